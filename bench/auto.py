"""How long ``auto`` takes over many files, beside the least it could take.

    python bench/auto.py                          100 files, 200 ms a reply, 100 at once
    python bench/auto.py --files 500 --delay 0.1 --concurrency 50

A local server in a process of its own (on the same cores) answers each request after ``--delay`` seconds. What a run's wall time
is divided by:

- *least*: one reply's delay for each round of ``concurrency`` files, and writing all the files (each synced to disk) one after
  the other. The run itself needs one more reply, the summary's, which begins when all files are done;
- *with the summary*: the same and that reply's delay;
- *sockets*: the same requests over bare sockets, and the writes: what the server and the machine allow;
- *library*: the same requests through pydantic-ai, and the writes: a script without a journal, prompts or parsing.

Start-up (imports, the database's migrations) is measured apart, with a chat before the run. Wall time is that of the whole call
``windlass.arun("auto", …)``: making the run, walking it, reporting; *files* is until the last file was written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import sqlite3
import statistics
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


async def bare_requests(url: str, names: list[str], options: argparse.Namespace) -> float:
    """Seconds for the same requests and answers with nothing but sockets: what the server and the machine allow."""
    host, port = url.split("/")[2].split(":")
    gate = asyncio.Semaphore(options.concurrency)

    async def one(step: str) -> None:
        body = json.dumps(
            {"model": "test-model", "messages": [{"role": "user", "content": "text\n" * 400}]}
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nX-Windlass-Step: {step}\r\nContent-Length: {len(body)}\r\n\r\n"
        async with gate:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            json.loads(await reader.readexactly(length))["choices"][0]["message"]["content"]
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(f"process_step[{name}]") for name in names))
    await one("summary_step")
    return time.perf_counter() - began


async def library_requests(url: str, names: list[str], options: argparse.Namespace) -> float:
    """Seconds for the same requests through pydantic-ai, one client for all."""
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest, UserPromptPart
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("test-model", provider=OpenAIProvider(base_url=url, api_key="none"))
    gate = asyncio.Semaphore(options.concurrency)

    async def one(step: str) -> None:
        asked = [ModelRequest(parts=[UserPromptPart("text\n" * 400)])]
        async with gate:
            await model_request(model, asked, model_settings={"extra_headers": {"X-Windlass-Step": step}})

    began = time.perf_counter()
    await asyncio.gather(*(one(f"process_step[{name}]") for name in names))
    await one("summary_step")
    return time.perf_counter() - began


def last_write(home: Path) -> float:
    """When the newest run wrote its last file, in seconds since 1970."""
    with contextlib.closing(sqlite3.connect(home / "windlass.db")) as connection:
        (at,) = connection.execute("SELECT max(at) FROM run_events WHERE name = 'file_change'").fetchone()
    return float(at)


async def measure(home: Path, names: list[str], options: argparse.Namespace) -> None:
    """Some runs, each in a folder of its own."""
    import windlass

    url, writes = os.environ["OPENAI_BASE_URL"], await bare_writes(home / "bare", names)
    sockets = await bare_requests(url, names, options) + writes
    began = time.perf_counter()
    (await windlass.arun("chat", "Hello?", workspace=str(home / "bare"))).check()
    print(f"start-up (imports, database, one chat): {time.perf_counter() - began:.2f} s")
    await library_requests(url, names, options)
    least = options.delay * math.ceil(len(names) / options.concurrency) + writes
    ratios: dict[str, list[float]] = {}
    for number in range(options.runs):
        library = await library_requests(url, names, options) + await bare_writes(
            home / f"bare{number}", names
        )
        folder = home / f"run{number}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("text\n" * 100)
        cpu, started, began = time.process_time(), time.time(), time.perf_counter()
        going = windlass.arun(
            "auto", "Change it.", files=names, workspace=str(folder), concurrency=options.concurrency
        )
        (await going).check()
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        files = last_write(home) - started
        limits = {
            "least": least,
            "with the summary": least + options.delay,
            "sockets": sockets,
            "library": library,
        }
        print(
            f"{len(names)} files: {took:.2f} s, {files:.2f} s of it until the last was written; {cpu:.2f} s of CPU"
        )
        print(
            "  divided by "
            + ", ".join(f"{name} ({limit:.2f} s): {took / limit:.2f}" for name, limit in limits.items())
        )
        for name, limit in limits.items():
            ratios.setdefault(name, []).append(took / limit)
        ratios.setdefault("files by least", []).append(files / least)
    print(
        "medians: " + ", ".join(f"{name} {statistics.median(values):.2f}" for name, values in ratios.items())
    )


if __name__ == "__main__":
    main()
