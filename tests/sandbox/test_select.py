from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.errors import ConfigError, SandboxError
from windlass.sandbox import select
from windlass.sandbox.base import Limits

from .conftest import need


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    select.forget_probes()
    yield
    select.forget_probes()


def test_the_strongest_that_works_is_taken() -> None:
    need("bubblewrap")
    results = select.probe()
    assert [result.level for result in results] == ["bubblewrap", "landlock"]
    assert results[0].works, results[0].why
    assert results[0].version is not None
    assert results[0].version.startswith("bubblewrap ")
    assert select.select_sandbox().level == "bubblewrap"
    assert select.probe()[0] is results[0], "tried once in a process"


def test_a_level_by_name() -> None:
    need("landlock")
    assert select.select_sandbox("landlock").level == "landlock"
    assert select.select_sandbox("off").level == "off"
    with pytest.raises(ConfigError, match="auto, bubblewrap, landlock or off"):
        select.select_sandbox("docker")


def _path_with(
    tmp_path: Path, script: str | None, monkeypatch: pytest.MonkeyPatch, interpreter: str = "/bin/sh"
) -> None:
    if script is not None:
        program = tmp_path / "bwrap"
        program.write_text(f"#!{interpreter}\n{script}")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_bubblewrap_the_reason_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("landlock")
    _path_with(tmp_path, None, monkeypatch)
    first = select.probe()[0]
    assert (first.works, first.version) == (False, None)
    assert "install the package bubblewrap" in first.why
    assert select.select_sandbox("auto").level == "landlock"
    with pytest.raises(SandboxError, match="install the package bubblewrap"):
        select.select_sandbox("bubblewrap")


def test_a_bubblewrap_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "bwrap: setting up uid map: Permission denied"
    _path_with(
        tmp_path,
        f'[ "$1" = --version ] && echo bubblewrap 9 && exit\necho "{message}" >&2; exit 1',
        monkeypatch,
    )
    first = select.probe()[0]
    assert (first.works, first.version) == (False, "bubblewrap 9")
    assert message in first.why


def test_a_bubblewrap_that_does_not_confine_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It drops every option up to "--" and starts the launcher unconfined, as the same user.
    launcher = Path(select.__file__).with_name("launcher.py")
    script = (
        "import json, os, sys\n"
        "if sys.argv[1] == '--version': print('bubblewrap 9'); sys.exit()\n"
        "python, *_, spec = sys.argv[sys.argv.index('--') + 1:]\n"
        "spec = json.dumps({**json.loads(spec), 'identity': None, 'home': None})\n"
        f"os.execv(python, [python, '-I', '-S', {str(launcher)!r}, spec])\n"
    )
    _path_with(tmp_path, script, monkeypatch, sys.executable)
    first = select.probe()[0]
    assert not first.works
    assert "did not confine" in first.why
    assert "wrote outside" in first.why
    assert "connected" in first.why
    assert "read secret" in first.why


def test_nothing_falls_back_to_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _path_with(tmp_path, None, monkeypatch)
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(SandboxError) as caught:
        select.select_sandbox("auto")
    assert "bubblewrap: it needs Linux" in str(caught.value)
    assert "landlock: it needs Linux" in str(caught.value)
    assert 'sandbox = "off"' in str(caught.value)


async def test_probing_works_beside_a_running_loop() -> None:
    need("landlock")
    assert select.probe()[1].works


async def test_off_limits_and_cleans_up_too(tmp_path: Path) -> None:
    box = select.select_sandbox("off")
    code = "import os, time\nprint(os.environ['HOME'])\nif os.fork() == 0: time.sleep(1000)\n"
    result = await box.run([sys.executable, "-c", code], folder=tmp_path, limits=Limits(wall_seconds=30))
    assert (result.exit_code, result.level) == (0, "off")
    assert not Path(result.output.strip()).exists()
    assert result.output.strip() != os.path.expanduser("~")
    missing = await box.run(["/not/there"], folder=tmp_path)
    assert (missing.exit_code, missing.output) == (127, "/not/there: No such file or directory\n")


async def test_a_folder_that_holds_home_is_refused(tmp_path: Path) -> None:
    for level in ("bubblewrap", "landlock", "off"):
        box = select._make(level)
        need(level)
        with pytest.raises(SandboxError, match="home folder"):
            await box.run(["true"], folder=Path("/"))
        with pytest.raises(SandboxError, match="no folder"):
            await box.run(["true"], folder=tmp_path / "missing")


async def test_many_runs_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    need("bubblewrap")
    box = select.select_sandbox("bubblewrap")
    folders = [tmp_path / str(number) for number in range(6)]
    for folder in folders:
        folder.mkdir()
    handles = len(os.listdir("/proc/self/fd"))
    results = await asyncio.gather(
        *(
            box.run(
                [sys.executable, "-S", "-c", f"open('out', 'w').write('{folder.name}')"],
                folder=folder,
                read_back=["out"],
            )
            for folder in folders
        )
    )
    assert [result.files["out"].decode() for result in results] == [folder.name for folder in folders]
    assert len(os.listdir("/proc/self/fd")) <= handles + 1, "descriptors leak"


def test_the_checkout_is_not_shown(tmp_path: Path) -> None:
    """An editable installation names the checkout in site-packages; its files must not be there."""
    need("bubblewrap")
    checkout = Path(__file__).parents[2]
    code = f"import os; print([os.path.exists(os.path.join({str(checkout)!r}, n)) for n in ('src', 'tests', 'pyproject.toml')])"
    for level in ("bubblewrap", "landlock"):
        need(level)
        copy = tmp_path / level
        copy.mkdir()
        reading = code.replace("os.path.exists", "readable")
        reading = f"def readable(p):\n    try: os.listdir(p) if os.path.isdir(p) else open(p).read(); return True\n    except OSError: return False\n{reading}"
        result = asyncio.run(
            select.select_sandbox(level).run([sys.executable, "-c", f"import os\n{reading}"], folder=copy)
        )
        assert result.output == "[False, False, False]\n"


def test_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, windlass.sandbox as s; s.Limits; "
        "print([n for n in ('asyncio', 'ctypes', 'pydantic', 'windlass.sandbox.select') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
