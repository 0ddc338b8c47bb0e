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
    cost = None if usage["cost_usd"] is None else Decimal(str(usage["cost_usd"]))
    lines.append(
        Text(
            f"  {counted(usage['requests'], 'request')} · {usage['input_tokens']:,} in{_cached(usage)} · "
            f"{usage['output_tokens']:,} out · {usd(cost)}",
            style="dim",
        )
    )
    run_id = result["run_id"]
    lines.append(Text(f"  workspace {result['workspace']}", style="dim"))
    if status in ("Waiting", "Started"):
        lines.append(Text(f"  go on     windlass resume {run_id}", style="bold"))
    lines.append(Text(f"  look      windlass runs show {run_id}", style="dim"))
    if result["files"]:
        lines.append(Text(f"  changes   windlass diff {run_id}", style="dim"))
    return lines


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
