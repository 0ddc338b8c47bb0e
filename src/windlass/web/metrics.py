"""Counts for Prometheus, in its text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from windlass.events import Event

_HELP = {
    "windlass_http_requests_total": ("counter", "Requests answered, by method, route and status."),
    "windlass_http_seconds_total": ("counter", "Seconds spent on them."),
    "windlass_runs_total": ("counter", "Runs that this server worked on, by workflow and how they ended."),
    "windlass_model_calls_total": ("counter", "Finished model calls, by model."),
    "windlass_tokens_total": ("counter", "Tokens, by model and kind (input, output, cached)."),
    "windlass_cost_usd_total": ("counter", "USD, where the price is known, by model."),
    "windlass_events_total": ("counter", "Events passed on, by name."),
    "windlass_slow_clients_total": ("counter", "Clients cut off because they did not read."),
    "windlass_runs_active": ("gauge", "Runs that this server has now, waiting for a place or running."),
    "windlass_sockets": ("gauge", "Open Socket.IO connections."),
}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Metrics:
    """Everything that this process counted."""

    values: dict[str, dict[Labels, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    _workflows: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Count."""
        self.values[name][tuple(labels.items())] += amount

    async def on_event(self, event: Event) -> None:
        """A sink for the feed."""
        self.add("windlass_events_total", name=event.name)

    def on_local_event(self, event: Event) -> None:
        """A listener for the runs of this process."""
        payload = event.payload
        if event.name == "call":
            model = str(payload["model"])
            self.add("windlass_model_calls_total", model=model)
            for kind in ("input", "output", "cached"):
                self.add(
                    "windlass_tokens_total", float(payload[f"{kind}_tokens"] or 0), model=model, kind=kind
                )
            if payload["cost_usd"] is not None:
                self.add("windlass_cost_usd_total", float(payload["cost_usd"]), model=model)
        elif event.name == "run_status":
            if "workflow" in payload:
                self._workflows[event.run_id] = payload["workflow"]
            else:
                workflow = self._workflows.pop(event.run_id, "")
                self.add("windlass_runs_total", workflow=workflow, status=payload["status"])

    def text(self, gauges: Mapping[str, float]) -> str:
        """All of it, with these gauges."""
        lines = []
        for name, (kind, text) in _HELP.items():
            rows = {(): gauges[name]} if name in gauges else self.values.get(name, {})
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            for labels, value in rows.items():
                inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                lines.append(f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
