"""Runs one command in one sandbox, as whatever user this script is started as, and prints how it ended.

Started by the tests as root and as an ordinary user, with a copy of the package on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path

from windlass.errors import SandboxError
from windlass.sandbox.base import Limits, Sandbox


def make(level: str) -> Sandbox:
    name, _, abi = level.partition("-abi")
    if name == "bubblewrap":
        from windlass.sandbox.bubblewrap import Bubblewrap

        return Bubblewrap()
    if name == "landlock":
        from windlass.sandbox.landlock import Landlock

        return Landlock(abi=int(abi) if abi else None)
    from windlass.sandbox.off import Off

    return Off()


def peak_bytes() -> int:
    """The most memory this process held; ru_maxrss would count what the process that started it held."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


async def main() -> None:
    order = json.loads(sys.argv[1])
    if order.get("leak"):
        os.set_inheritable(os.open(order["leak"], os.O_RDONLY), True)
    folder = Path(order["folder"])
    running = asyncio.ensure_future(
        make(order["level"]).run(
            [sys.executable, "-c", order["code"], *order["args"]],
            folder=folder,
            limits=Limits(**order["limits"]),
            env=order["env"],
            read_back=order["read_back"],
        )
    )
    if order.get("cancel"):
        while not (folder / "started").exists():
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait({running})
        print(json.dumps({"cancelled": running.cancelled()}))
        return
    try:
        result = await running
    except SandboxError as error:
        print(json.dumps({"refused": str(error)}))
        return
    print(
        json.dumps(
            {
                "exit_code": result.exit_code,
                "output": result.output,
                "level": result.level,
                "stopped": result.stopped,
                "files": {name: base64.b64encode(data).decode() for name, data in result.files.items()},
                "peak_bytes": peak_bytes(),
            }
        )
    )


asyncio.run(main())
