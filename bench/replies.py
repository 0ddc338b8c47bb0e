"""What the reply parser does with the shared corpus, how fast it is, and what its peers do with the same replies.

::

    python bench/replies.py [--peers FOLDER] [--sizes 1,10]
    python bench/replies.py --humaneval

``FOLDER`` is one into which ``pip install --no-deps --target FOLDER aider-chat gpt-engineer regex`` has been
run; only their parsing functions are imported. Without it the peers' rows say "not installed".
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from windlass.replies import ReplyError, parse_reply

CORPUS = Path(__file__).parents[1] / "../shared/corpus/replies.jsonl"
Row = dict[str, Any]
Parser = Callable[[Row], dict[str, Any]]


def ours(row: Row) -> dict[str, Any]:
    try:
        return dict(
            parse_reply(
                row["reply"],
                asked_for=row["asked_for"],
                known_files=row["known_files"],
                finish_reason=row["finish_reason"],
            )
        )
    except ReplyError as error:
        return {"error": error.kind}


def gpt_engineer() -> Parser | None:
    try:
        from gpt_engineer.core.chat_to_files import chat_to_files_dict  # type: ignore[import-not-found]
    except ImportError:
        return None
    logging.disable(logging.CRITICAL)

    def parse(row: Row) -> dict[str, Any]:
        files = dict(chat_to_files_dict(row["reply"]))
        return changed(row, files) or {"error": "no_file"}

    return parse


def aider() -> Parser | None:
    """Aider's SEARCH/REPLACE parser where the reply holds such blocks, else its whole-file parser."""
    try:
        editblock, wholefile = aider_modules()
    except (ImportError, AttributeError, FileNotFoundError):
        return None

    def parse(row: Row) -> dict[str, Any]:
        reply, known = row["reply"], row["known_files"]
        names = row["asked_for"] or list(known)
        files = dict(known)
        try:
            if "<<<<<<< SEARCH" in reply:
                for path, before, after in editblock.find_original_update_blocks(
                    reply, ("```", "```"), names
                ):
                    if path is None:
                        continue
                    if path in files:
                        new = (
                            editblock.replace_most_similar_chunk(files[path], before, after)
                            if before.strip()
                            else files[path] + after
                        )
                    else:
                        new = after if not before.strip() else None
                    if new is None:
                        return {"error": "search_not_found"}
                    files[path] = new
            else:
                coder = types.SimpleNamespace(
                    get_multi_response_content_in_progress=lambda: reply,
                    abs_root_path=lambda path: path,
                    get_inchat_relative_files=lambda: list(names),
                    fence=("```", "```"),
                )
                for path, _, lines in wholefile.WholeFileCoder.get_edits(coder):
                    files[path] = "".join(lines)
        except ValueError as error:
            return {"error": type(error).__name__}
        return changed(row, files) or {"error": "no_file"}

    return parse


def aider_modules() -> tuple[Any, Any]:
    """The two modules alone: what they import for talking to models is left out."""
    import importlib
    import importlib.util

    found = next(
        (
            Path(entry) / "aider"
            for entry in sys.path
            if (Path(entry) / "aider/coders/editblock_coder.py").is_file()
        ),
        None,
    )
    if found is None:
        raise ImportError("aider")
    for name, folder in (("aider", found), ("aider.coders", found / "coders")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    absent = {
        "aider.utils": {}, "aider.dump": {"dump": print}, "aider.diffs": {},
        "aider.coders.base_coder": {"Coder": object},
        "aider.coders.editblock_prompts": {"EditBlockPrompts": object},
        "aider.coders.wholefile_prompts": {"WholeFilePrompts": object},
    }  # fmt: skip
    for name, members in absent.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
        setattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2], module)
    return importlib.import_module("aider.coders.editblock_coder"), importlib.import_module(
        "aider.coders.wholefile_coder"
    )


def changed(row: Row, files: dict[str, str]) -> dict[str, Any]:
    return {path: text for path, text in files.items() if text != row["known_files"].get(path)}


def verdict(row: Row, got: dict[str, Any]) -> str:
    if got == row["expect"] or got in (row.get("alt") or []):
        return "correct"
    if "error" in got:
        # Peers have no such kinds: any refusal is right where a refusal is expected.
        return "refused"
    return "wrong"


def quality(rows: list[Row], parser: Parser, *, kinds: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        got = parser(row)
        result = verdict(row, got)
        expects_error = any("error" in outcome for outcome in [row["expect"], *(row.get("alt") or [])])
        if result == "refused" and not kinds and expects_error:
            result = "correct"
        counts[result] += 1
    return counts


def workloads(size: int) -> Iterator[tuple[str, Row]]:
    """Replies of about ``size`` characters."""
    line = "total = total + item.price * item.quantity  # as agreed\n"
    body = line * 40
    block = f"```python\n{body}```\n\n"

    def row(reply: str, asked: list[str] | None = None, known: dict[str, str] | None = None) -> Row:
        return {"reply": reply, "asked_for": asked, "known_files": known or {}, "finish_reason": "stop"}

    yield "one file in a fence", row("a.py\n```python\n" + line * (size // len(line)) + "```\n")
    yield "many files", row("".join(f"src/f{n}.py\n{block}" for n in range(size // len(block))))
    yield "bare file", row("x = 1\n" + "y = x + 1\n" * (size // 10), ["a.py"])
    edits = size // 120
    yield (
        "edits of one small file",
        row(
            "".join(
                f"a.py\n<<<<<<< SEARCH\nx{n % 50} = 0\n=======\nx{n % 50} = 0\n>>>>>>> REPLACE\n{'':50}\n"
                for n in range(edits)
            ),
            known={"a.py": "".join(f"x{n} = 0\n" for n in range(50))},
        ),
    )
    yield (
        "one JSON object",
        row(json.dumps({"files": [{"path": "a.py", "content": line * (size // len(line))}]})),
    )
    yield (
        "new file as a diff",
        row("--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n" + f"+{line}" * (size // len(line))),
    )
    yield "never closed fences", row("```python\n" * (size // 10), ["a.py"])
    yield "unlabelled fences", row("```\nx\n```\n" * (size // 10))
    yield "never closed edits", row("<<<<<<< SEARCH\n" * (size // 15), ["a.py"])
    yield "never closed tags", row('<file path="a.py">\n' * (size // 19))
    yield "never closed thinking", row("</think>" + "<think>" * (size // 7), ["a.py"])
    yield "many thoughts on one line", row("<think></think>" * (size // 15), ["a.py"])
    yield "growing fences", row("".join("`" * n + "x\n" for n in range(3, int((2 * size) ** 0.5))), ["a.md"])
    yield "fences in fences", row("````\n" + "a.py\n```\nx\n```\n" * (size // 15) + "````\n")
    yield (
        "diffs of one file",
        row("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n" * (size // 42), known={"a.py": "x\n"}),
    )
    yield (
        "an edit that fits nowhere",
        row(
            "a.py\n<<<<<<< SEARCH\n" + "abc def\n" * (size // 16) + "=======\n>>>>>>> REPLACE\n",
            known={"a.py": "abc dex\n" * (size // 16)},
        ),
    )
    yield "many JSON objects", row('{"path": "a.py", "content": "x"}\n' * (size // 33))
    yield "deep JSON", row("[" * size)
    yield "one long line", row("a" * size, ["a.py"])


def best_of_three(parser: Parser, row: Row) -> float:
    """Seconds of processor time; the best of three, so that the ratio of two sizes says something. One run that takes long is enough."""
    best = float("inf")
    for _ in range(3):
        gc.collect()
        begun = time.process_time()
        parser(row)
        best = min(best, time.process_time() - begun)
        if best > 5:
            break
    return best


def speed(parser: Parser, sizes: list[int]) -> None:
    print(f"\n{'workload':28}" + "".join(f"{size:>6} MB: s   MB/s" for size in sizes) + "   ratio")
    columns = [list(workloads(size * 1_000_000)) for size in sizes]
    for rows in zip(*columns, strict=True):
        times = []
        for _, row in rows:
            times.append(best_of_three(parser, row))
        cells = "".join(
            f"{took:12.2f}{len(row['reply']) / 1e6 / took:7.1f}"
            for took, (_, row) in zip(times, rows, strict=True)
        )
        print(f"{rows[0][0]:28}{cells}{times[-1] / times[0]:8.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--peers", help="folder with the peers' packages")
    options.add_argument("--sizes", default="1,10", help="megabytes, comma-separated; empty: no timing")
    options.add_argument(
        "--humaneval",
        action="store_true",
        help="every program in every shape, checked in the sandbox; nothing else",
    )
    chosen = options.parse_args()
    if chosen.humaneval:
        sys.exit(humaneval())
    print(
        "Peers are given the same text and files; aider's parser for SEARCH blocks or whole files, by what the reply holds."
    )
    if chosen.peers:
        sys.path.insert(0, chosen.peers)
    if CORPUS.is_file():
        rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
        print(f"{'parser':14}{'correct':>9}{'refused':>9}{'wrong':>7}   of {len(rows)}")
        for name, parser, kinds in (
            ("windlass", ours, True),
            ("aider", aider(), False),
            ("gpt-engineer", gpt_engineer(), False),
        ):
            if parser is None:
                print(f"{name:14}{'not installed':>25}")
                continue
            counts = quality(rows, parser, kinds=kinds)
            print(f"{name:14}{counts['correct']:>9}{counts['refused']:>9}{counts['wrong']:>7}")
            if chosen.sizes and parser is not ours:
                peer_speed(name, parser)
    else:
        print("the shared corpus is not beside the repository: no counts")
    if chosen.sizes:
        speed(ours, [int(size) for size in chosen.sizes.split(",")])


def humaneval() -> int:
    """Every program of the corpus in every shape; 1 when anything is wrong."""
    from windlass.sandbox import select_sandbox

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from bench.support.humaneval import walk

    path = CORPUS.with_name("humaneval.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(walk(rows, Path(folder), select_sandbox()))
    print(
        f"{len(rows)} programs, {outcome.shapes} shapes, {outcome.replies} replies; passed in the sandbox "
        f"({outcome.level}): {outcome.passed}; problems: {len(outcome.problems)}"
    )
    print("\n".join(outcome.problems[:20]))
    return 1 if outcome.problems else 0


def peer_speed(name: str, parser: Parser) -> None:
    """Throughput of a peer on the first two workloads (the others are not its formats)."""
    cells = []
    for (label, row), _ in zip(workloads(1_000_000), range(2), strict=False):
        begun = time.process_time()
        parser(row)
        cells.append(f"{label} {len(row['reply']) / 1e6 / (time.process_time() - begun):.1f} MB/s")
    print(f"{'':14}{name} at 1 MB: {', '.join(cells)}")


if __name__ == "__main__":
    main()
