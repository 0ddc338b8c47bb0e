"""Runs as OpenTelemetry traces: a span for the run, each step and each model call, and nothing that anybody wrote.

Names follow OpenTelemetry's semantic conventions for generative AI. Spans are made from the events of a run, so what is
traced is what was stored; a call's span gets the times that its event tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from windlass import __version__
from windlass.events import STEP_ENDS, UPDATE_WORKFLOW_STEP, Event, StepStatus, WorkflowStatus

_NANO = 1_000_000_000


@dataclass
class _Run:
    span: Span
    steps: dict[str, Span] = field(default_factory=dict)


class Traces:
    """A listener for the runs of this process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._runs: dict[str, _Run] = {}

    def on_event(self, event: Event) -> None:
        """Begin or end spans."""
        payload, at = event.payload, int(event.at * _NANO)
        if event.name == "run_status":
            self._run(event.run_id, payload, at)
            return
        run = self._runs.get(event.run_id)
        if run is None:
            return
        if event.name == UPDATE_WORKFLOW_STEP and "status" in payload:
            self._step(run, payload, at)
        elif event.name == "call":
            self._call(run, payload, at)

    def _run(self, run_id: str, payload: Mapping[str, Any], at: int) -> None:
        status = payload["status"]
        if status == WorkflowStatus.Started and "workflow" in payload:
            attributes = {"windlass.run.id": run_id, "windlass.workflow": payload["workflow"]}
            attributes |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": run_id}
            span = self._tracer.start_span(f"run {payload['workflow']}", start_time=at, attributes=attributes)
            self._runs[run_id] = _Run(span)
            return
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        for step in run.steps.values():
            step.end(at)
        run.span.set_attribute("windlass.run.status", status)
        if status == WorkflowStatus.Failure:
            run.span.set_status(Status(StatusCode.ERROR))
        run.span.end(at)

    def _step(self, run: _Run, payload: Mapping[str, Any], at: int) -> None:
        path, status = payload["path"], payload["status"]
        if status == StepStatus.IN_PROGRESS:
            context = trace.set_span_in_context(run.span)
            attributes = {"windlass.step.path": path, "windlass.step.number": payload["step"]}
            run.steps[path] = self._tracer.start_span(
                f"step {path}", context=context, start_time=at, attributes=attributes
            )
        elif status in STEP_ENDS and path in run.steps:
            span = run.steps.pop(path)
            span.set_attribute("windlass.step.status", status)
            if status == StepStatus.ERROR:
                span.set_status(Status(StatusCode.ERROR))
            span.end(at)

    def _call(self, run: _Run, payload: Mapping[str, Any], at: int) -> None:
        parent = run.steps.get(payload["step_path"], run.span)
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": str(payload["model"]),
            "gen_ai.response.model": str(payload["model"]),
            "windlass.call.path": payload["path"],
            "windlass.call.attempt": payload["attempt"],
            "windlass.prompt": payload["prompt"],
        }
        for kind in ("input", "output"):
            if payload[f"{kind}_tokens"] is not None:
                attributes[f"gen_ai.usage.{kind}_tokens"] = payload[f"{kind}_tokens"]
        if payload["cost_usd"] is not None:
            attributes["windlass.cost_usd"] = float(payload["cost_usd"])
        span = self._tracer.start_span(
            f"chat {payload['model']}",
            context=trace.set_span_in_context(parent),
            kind=SpanKind.CLIENT,
            start_time=at - int(payload["seconds"] * _NANO),
            attributes=attributes,
        )
        span.end(at)


def traces(environ: Mapping[str, str]) -> Traces | None:
    """Traces that are exported, where an endpoint is set and the SDK with its OTLP exporter is installed; else None."""
    if not environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        return None
    from importlib import import_module

    sdk: Any = import_module("opentelemetry.sdk.trace")
    batches: Any = import_module("opentelemetry.sdk.trace.export")
    otlp: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    resources: Any = import_module("opentelemetry.sdk.resources")
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "windlass"}))
    provider.add_span_processor(batches.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return Traces(provider.get_tracer("windlass", __version__))
