"""Three machines in one: network namespaces on a bridge, and a way for them to reach a database's socket."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BRIDGE, NETWORK = "wlbr0", "10.77.0"


def ip(*words: str, check: bool = True) -> None:
    """The command ``ip``, as root."""
    subprocess.run(["ip", *words], check=check, capture_output=True)


@contextmanager
def namespaces(names: list[str]) -> Iterator[None]:
    """Namespaces with addresses of their own on a bridge, whose own address is .1."""
    ip("link", "add", BRIDGE, "type", "bridge")
    try:
        ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number, name in enumerate(names, 2):
            ip("netns", "add", name)
            ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"v{name}", "master", BRIDGE, "up")
            ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in names:
            ip("netns", "del", name, check=False)
        ip("link", "del", BRIDGE, check=False)


async def relay(path: Path) -> asyncio.Server:
    """The database's socket under an address that the namespaces can reach."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one side is gone; the other is told below
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(str(path))
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    return await asyncio.start_server(accept, f"{NETWORK}.1", 5432)
