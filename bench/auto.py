"""How long ``auto`` takes over many files, beside the least it could take.

    python bench/auto.py                          100 files, 200 ms a reply, 100 at once
    python bench/auto.py --files 500 --delay 0.1 --concurrency 50

A local server in a process of its own answers each request after ``--delay`` seconds. The least: one reply's delay for each
round of ``concurrency`` files, one more for the summary, and writing all the files (each synced to disk). Start-up (imports, the
database's migrations) is measured apart, with a chat before the run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from windlass.workspace import Change, WorkspaceSetting, open_workspace


async def bare_writes(folder: Path, names: list[str]) -> float:
    """Seconds to write the files with nothing else to do."""
    workspace = await open_workspace(WorkspaceSetting(str(folder)), create=True)
    began = time.perf_counter()
    for name in names:
        await workspace.apply([Change(name, None, b"x" * 2000)])
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    names = [f"f{number:04}.txt" for number in range(options.files)]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        answers = [
            {
                "step": f"process_step[{name}]",
                "text": f"{name}\n````\n{'changed ' * 250}\n````",
                "delay": options.delay,
            }
            for name in names
        ] + [{"step": "summary_step*", "text": "Done.", "delay": options.delay}, {"text": "Hello."}]
        (home / "answers.json").write_text(json.dumps({"answers": answers}))
        server = subprocess.Popen(
            [sys.executable, "-m", "windlass.testing.server", "--answers", str(home / "answers.json")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            os.environ |= {
                "WINDLASS_HOME": scratch,
                "WINDLASS_MODEL": "openai-chat:test-model",
                "WINDLASS_TAG_REQUESTS": "1",
                "OPENAI_BASE_URL": url,
                "OPENAI_API_KEY": "none",
            }
            asyncio.run(measure(home, names, options))
        finally:
            server.terminate()
            server.wait()


async def measure(home: Path, names: list[str], options: argparse.Namespace) -> None:
    """Some runs, each in a folder of its own."""
    import windlass

    writes = await bare_writes(home / "bare", names)
    began = time.perf_counter()
    (await windlass.arun("chat", "Hello?", workspace=str(home / "bare"))).check()
    print(f"start-up (imports, database, one chat): {time.perf_counter() - began:.2f} s")
    rounds = math.ceil(len(names) / options.concurrency)
    least = options.delay * (rounds + 1) + writes
    for number in range(options.runs):
        folder = home / f"run{number}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("text\n" * 100)
        began = time.perf_counter()
        going = windlass.arun(
            "auto", "Change it.", files=names, workspace=str(folder), concurrency=options.concurrency
        )
        (await going).check()
        took = time.perf_counter() - began
        print(
            f"{len(names)} files: {took:.2f} s; least {least:.2f} s ({rounds + 1} replies of {options.delay} s + "
            f"{writes:.2f} s of writes); ratio {took / least:.2f}"
        )


if __name__ == "__main__":
    main()
