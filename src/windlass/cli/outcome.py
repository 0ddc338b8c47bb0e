"""How a run ended, in lines for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.text import Text

from windlass.budget import usd
from windlass.cli.root import safe


def outcome_lines(result: dict[str, Any]) -> list[Text]:
    """How a run ended, for people."""
    status = result["status"]
    style = {"Success": "bold green", "Failure": "bold red"}.get(status, "bold yellow")
    word = "Interrupted" if status == "Started" else status
    lines = [Text.assemble((word, style))]
    if result.get("label"):
        lines.append(Text(f"({result['label']})", style="yellow"))
    if result["summary"] and status == "Success":
        lines.append(Text(safe(result["summary"])))
    if result["error"]:
        lines.append(Text(safe(result["error"]), style="red"))
    waiting = result.get("waiting_for")
    if waiting:
        lines.append(Text(safe(waiting["text"])))
        lines += [Text(f"  ? {safe(line)}") for line in waiting["detail"].get("open_questions", ())]
    for file in result["files"]:
        lines.append(Text(f"  {file['change']:<9} {safe(file['path'])} ({counted(file['bytes'], 'byte')})"))
    tests = result["tests"]
    if tests:
        lines.append(Text(f"  tests     {tests_told(tests)}"))
    usage = result["usage"]
    lines.append(
        Text(
            f"  {counted(usage['requests'], 'request')} · {usage['input_tokens']:,} in{_cached(usage)} · "
            f"{usage['output_tokens']:,} out · {cost_told(usage)}",
            style="dim",
        )
    )
    run_id = result["run_id"]
    lines.append(Text(f"  workspace {result['workspace']}", style="dim"))
    lines += [Text(f"  {what:<9} {command}", style="bold") for what, command in _next(result)]
    lines.append(Text(f"  look      windlass runs show {run_id}", style="dim"))
    if result["files"]:
        lines.append(Text(f"  changes   windlass diff {run_id}", style="dim"))
    return lines


def _next(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What the person can type now so that the run goes on: what for, and the command."""
    from windlass.people import actions_for

    run_id, error = result["run_id"], result["error"] or ""
    waiting = result.get("waiting_for")
    if waiting:
        words = [
            f"{word} TEXT" if word in ("edit", "answer") else word
            for word in actions_for(waiting.get("kind", ""))
        ]
        # It may have been answered since, for later.
        return [
            ("answer", f"windlass answer {run_id} {'|'.join(words)}"),
            ("go on", f"windlass resume {run_id}"),
        ]
    if result["status"] in ("Waiting", "Started"):
        return [("go on", f"windlass resume {run_id}")]
    if result["status"] != "Failure":
        return []
    if "larger --budget" in error:
        return [("go on", f"windlass resume {run_id} --budget USD")]
    return [("go on", f"windlass resume {run_id}")] if "resume" in error and run_id not in error else []


def cost_told(usage: Any) -> str:
    """What something cost; where a part of that is not known, the part that is."""
    if usage["cost_usd"] is not None:
        return usd(Decimal(str(usage["cost_usd"])))
    if not usage.get("known_cost_usd"):
        return usd(None)
    known = usd(Decimal(str(usage["known_cost_usd"])))
    return f"{known} known, the cost of {counted(usage['unpriced_calls'], 'call')} unknown"


def counted(number: int, noun: str) -> str:
    """``1 request``, ``2,000 requests``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def counts_told(counts: Any) -> str:
    """``3 passed, 1 failed, 1 error``, from a run's test counts."""
    told = [f"{counts[key]} {key}" for key in ("passed", "failed") if counts[key]]
    told += [counted(counts["errors"], "error")] if counts["errors"] else []
    return ", ".join(told) or "none run"


def tests_told(counts: Any) -> str:
    """The same, and the sandbox it happened in."""
    return f"{counts_told(counts)} (sandbox: {counts['sandbox']})"


def _cached(usage: Any) -> str:
    if not usage["cached_tokens"] and not usage.get("cacheable_tokens"):
        return ""
    return f" ({usage['cached_tokens']:,} cached, {usage.get('cacheable_tokens', 0):,} could be)"
