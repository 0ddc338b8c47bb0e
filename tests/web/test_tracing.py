"""Runs as traces: what each span says, and that it says nothing that anybody wrote."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, get_current_span
from opentelemetry.trace.propagation import get_current_span as span_of

from windlass.events import Event
from windlass.web.tracing import Traces, traces


class Recorded(NonRecordingSpan):
    """A span that remembers what it was told."""

    def __init__(
        self, number: int, name: str, parent: Span | None, start: int, attributes: dict[str, Any]
    ) -> None:
        super().__init__(SpanContext(1, number, False, TraceFlags(1)))
        self.name, self.parent, self.start, self.attributes = name, parent, start, dict(attributes)
        self.ended: int | None = None

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def end(self, end_time: int | None = None) -> None:
        self.ended = end_time


class Recorder:
    """A tracer for tests."""

    def __init__(self) -> None:
        self.spans: list[Recorded] = []

    def start_span(self, name: str, context: Any = None, start_time: int = 0, **more: Any) -> Recorded:
        parent = span_of(context) if context is not None else None
        span = Recorded(len(self.spans) + 1, name, parent, start_time, more["attributes"])
        self.spans.append(span)
        return span


def test_a_run_is_a_tree_of_spans() -> None:
    recorder = Recorder()
    listener = Traces(recorder)  # type: ignore[arg-type]
    step = {"step": 1, "path": "chat_step"}
    call = {
        "path": "chat_step/model[0]", "step_path": "chat_step", "model": "m", "prompt": "chat@1", "attempt": 1,
        "input_tokens": 5, "output_tokens": None, "cached_tokens": None, "cost_usd": "0.25", "seconds": 0.5,
    }  # fmt: skip
    said: list[tuple[str, dict[str, Any]]] = [
        ("run_status", {"status": "Started", "workflow": "chat", "title": "SECRET"}),
        ("update_workflow_step", {**step, "status": "in-progress"}),
        ("text", {**step, "delta": "SECRET"}),
        ("call", call),
        ("update_workflow_step", {**step, "status": "finished"}),
        ("update_workflow_step", {**step, "response": "SECRET"}),
        ("run_status", {"status": "Success", "summary": "SECRET", "error": None}),
    ]
    for number, (name, payload) in enumerate(said, 1):
        listener.on_event(Event(name, "01run", payload, seq=number, at=100.0 + number))
    run, step_span, call_span = recorder.spans
    assert (run.name, run.parent, run.ended) == ("run chat", None, 107_000_000_000)
    assert run.attributes["windlass.run.status"] == "Success"
    assert step_span.parent is run and step_span.ended == 105_000_000_000
    assert call_span.parent is step_span
    assert (call_span.start, call_span.ended) == (103_500_000_000, 104_000_000_000)
    assert call_span.attributes["gen_ai.usage.input_tokens"] == 5
    assert "gen_ai.usage.output_tokens" not in call_span.attributes, "not known is not zero"
    assert call_span.attributes["gen_ai.request.model"] == "m"
    assert "SECRET" not in str([(span.name, span.attributes) for span in recorder.spans])
    assert get_current_span() is not None


def test_nothing_is_exported_without_an_endpoint() -> None:
    assert traces({}) is None
