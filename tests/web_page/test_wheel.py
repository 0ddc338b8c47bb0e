"""The wheel in an environment of its own, without Node: the page is whole. Opt-in, as it installs from PyPI:
``WINDLASS_TEST_WHEEL=1 pytest tests/web_page/test_wheel.py -n 0``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.web.serving import free_port, wait_for

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        not os.environ.get("WINDLASS_TEST_WHEEL"), reason="set WINDLASS_TEST_WHEEL=1: installs from PyPI"
    ),
]
ROOT = Path(__file__).resolve().parents[2]


def uv() -> str:
    """uv, as scripts/setup finds it."""
    return shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")


def test_the_wheel_alone_shows_the_whole_page(tmp_path: Path, browser: Browser) -> None:
    subprocess.run([uv(), "build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", ROOT], check=True)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "env"], check=True)
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", python, f"{wheel}[server]"], check=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "bwrap"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    env = {
        "PATH": str(tools),
        "HOME": str(tmp_path),
        "WINDLASS_HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
    }
    windlass, port = str(python.with_name("windlass")), free_port()
    subprocess.run([windlass, "demo"], env=env, cwd=tmp_path, check=True, capture_output=True)
    server = subprocess.Popen(
        [windlass, "serve", "--port", str(port)], env=env, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        told = tmp_path / "home" / f"server-{port}.json"
        wait_for(told.exists, why="the server")
        assert json.loads(told.read_text())["token"]
        link = subprocess.run(
            [windlass, "serve", "--link", "--port", str(port)],
            env=env,
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        found = re.search(r"http://\S+code=\S+", link)
        assert found is not None, link
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(found.group())
        expect(page.locator("[data-connection=live]")).to_be_visible()
        page.locator(".run-row").first.click()
        page.locator("[data-step='testing_step']").click()
        expect(page.locator(".output .tests").first).to_be_visible()
        page.locator("[data-file]").first.click()
        expect(page.locator("tr.added").first).to_be_visible()
        for path, heading in (("new", "New run"), ("prompts", "Prompts"), ("costs", "Costs")):
            page.goto(f"http://127.0.0.1:{port}/{path}")
            expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        page.close()
        assert wrong == []
    finally:
        server.terminate()
        assert server.wait(60) in (0, -15, 143)
