"""What the document workflows send, beside what sending every file to every step would cost.

    python bench/tokens.py            a table: write, write-pages and auto over 1, 10 and 100 files
    python bench/tokens.py --json

Real runs (engine, database, files in a temporary folder) against a model in the same process that answers at once, so
that what is counted is what would go over the wire. Tokens are characters / 4, for all columns alike.

``original``: the calls of the systems that Windlass replaces, computed from their description (SPEC C8: every step is sent
every file): for each of our calls, the same instructions with all given files in place of those that ours sends. Pages are
measured with one given file, since that is what a manual has; their earlier pages go along in both columns. ``cacheable``: the share of our input that is, byte for byte, the beginning of an earlier request of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from windlass.prefixes import shared_prefixes
from windlass.testing.llm import Asked, ScriptedLLM

#: Files of about 500 tokens.
FILE = "A line of an ordinary source text, sixty characters a line.\n" * 33
MESSAGE = "Bring every file up to the house style: one idea a sentence, no filler, British spelling. " * 4
COUNTS = (1, 10, 100)


@dataclass(frozen=True)
class Figure:
    """One run's input, in tokens."""

    workflow: str
    files: int
    calls: int
    tokens: int
    original: int
    cacheable: float


def answer(asked: Asked, names: list[str]) -> str:
    """A good reply, about as long as the file."""
    text = asked.messages[0].content
    prompt = asked.tags.prompt.partition("@")[0]
    if prompt == "documents.find_files":
        return json.dumps(
            {"files": [{"path": f"new/{n}", "purpose": "rewrite", "needs": [n]} for n in names]}
        )
    if prompt == "documents.define_pages":
        count = int(re.search(r"exactly (\d+) page", text)[1])  # type: ignore[index]
        return json.dumps({"pages": [f"part {number} of the manual" for number in range(count)]})
    if prompt == "documents.plan_file":
        return "- keep the order\n- shorten the sentences\n- British spelling"
    if prompt == "documents.summarise":
        return "Done."
    path = re.search(r"# The file\n`?([\w/.]+)", text)
    assert path is not None
    return f"{path[1]}\n````\n{FILE[:-2]}!\n````"


def measure(workflow: str, count: int) -> Figure:
    """One run."""
    import windlass

    names = [f"f{number:03}.txt" for number in range(count)]
    model = ScriptedLLM(lambda asked: answer(asked, names))
    options: dict[str, Any] = (
        {"to": "manual.md", "pages": min(count, 100)} if workflow == "write-pages" else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).write_text(FILE)
        given = names[:1] if workflow == "write-pages" else names
        windlass.run(workflow, MESSAGE, files=given, workspace=folder, model=model, **options).check()
    texts = ["".join(m.content for m in asked.messages) for asked in model.requests]
    every_file = len(FILE) * len(given)
    original = sum(len(text) - text.count(FILE) * len(FILE) + every_file for text in texts)
    whole = sum(map(len, texts))
    return Figure(workflow, count, len(texts), whole // 4, original // 4, sum(shared_prefixes(texts)) / whole)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["WINDLASS_HOME"] = home
        figures = [
            measure(workflow, count) for workflow in ("write", "write-pages", "auto") for count in COUNTS
        ]
    if options.json:
        json.dump([asdict(figure) for figure in figures], sys.stdout, indent=2)
        return
    print(
        f"{'workflow':<12}{'files/pages':>12}{'calls':>7}{'tokens':>11}{'original':>12}{'ratio':>8}{'cacheable':>11}"
    )
    for figure in figures:
        print(
            f"{figure.workflow:<12}{figure.files:>12}{figure.calls:>7}{figure.tokens:>11,}{figure.original:>12,}"
            f"{figure.original / figure.tokens:>8.1f}{figure.cacheable:>11.0%}"
        )


if __name__ == "__main__":
    main()
