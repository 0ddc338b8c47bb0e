"""How long ``auto`` takes over many files, beside the least it could take.

    python bench/auto.py                          100 files, 200 ms a reply, 100 at once
    python bench/auto.py --files 500 --delay 0.1 --concurrency 50

A local server in a process of its own (on the same cores) answers each request after ``--delay`` seconds. The least: one
reply's delay for each round of ``concurrency`` files, and writing all the files (each synced to disk) one after the other. The
run's summary is one more reply that begins when all files are done; the ratio with it is printed too, and the ratio to the same
requests over bare sockets and the same writes. Start-up (imports, the database's migrations) is measured apart, with a chat
before the run. Wall time is that of the whole call ``windlass.arun("auto", …)``: making the run, walking it, reporting.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
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


async def measure(home: Path, names: list[str], options: argparse.Namespace) -> None:
    """Some runs, each in a folder of its own."""
    import windlass

    writes = await bare_writes(home / "bare", names)
    bare = await bare_requests(os.environ["OPENAI_BASE_URL"], names, options) + writes
    began = time.perf_counter()
    (await windlass.arun("chat", "Hello?", workspace=str(home / "bare"))).check()
    print(f"start-up (imports, database, one chat): {time.perf_counter() - began:.2f} s")
    rounds = math.ceil(len(names) / options.concurrency)
    least = options.delay * rounds + writes
    print(
        f"least: {least:.2f} s ({rounds} x {options.delay} s of replies + {writes:.2f} s of writes); with the summary's reply "
        f"{least + options.delay:.2f} s; bare sockets and writes (with the summary's): {bare:.2f} s"
    )
    ratios = []
    for number in range(options.runs):
        folder = home / f"run{number}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("text\n" * 100)
        cpu, began = time.process_time(), time.perf_counter()
        going = windlass.arun(
            "auto", "Change it.", files=names, workspace=str(folder), concurrency=options.concurrency
        )
        (await going).check()
        took = time.perf_counter() - began
        ratios.append(took / least)
        print(
            f"{len(names)} files: {took:.2f} s ({time.process_time() - cpu:.2f} s of CPU); ratio {took / least:.2f}, with the "
            f"summary's reply {took / (least + options.delay):.2f}, to bare sockets {took / bare:.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
