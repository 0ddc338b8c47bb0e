"""Optional parts (extras): the command that adds one to the installation that is running."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shlex
import sys
from typing import Any

from windlass.errors import ConfigError


def missing_extra(what: str, extra: str) -> ConfigError:
    """The error for ``what`` ("The server") when the packages of ``extra`` are not installed, with the command to add them."""
    return ConfigError(f"{what} needs the extra '{extra}': {install_command(extra)}")


def install_command(extra: str) -> str:
    """A shell command that adds ``extra`` to this installation, from wherever that came (a checkout, a wheel, an index)."""
    return f"{_installer()} {_requirement(extra)}"


def package_command(requirement: str) -> str:
    """A shell command that adds a package that is no extra of ours."""
    return f"{_installer()} {shlex.quote(requirement)}"


def _installer() -> str:
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is not None:
        return f"{python} -m pip install"
    return f"uv pip install --python {python}"


def _requirement(extra: str) -> str:
    # Format: https://packaging.python.org/en/latest/specifications/direct-url/
    said = _direct_url()
    url = str(said.get("url", ""))
    if not url:
        return shlex.quote(f"windlass[{extra}]")
    if said.get("dir_info", {}).get("editable"):
        return f"--editable {shlex.quote(f'{_folder(url)}[{extra}]')}"
    vcs = said.get("vcs_info", {}).get("vcs")
    return shlex.quote(f"windlass[{extra}] @ {f'{vcs}+' if vcs else ''}{url}")


def _direct_url() -> dict[str, Any]:
    try:
        text = importlib.metadata.distribution("windlass").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return {}
    said = json.loads(text or "{}")
    return said if isinstance(said, dict) else {}


def _folder(url: str) -> str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(url).path)
