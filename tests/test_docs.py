"""The documentation is true: links lead somewhere, commands exist, settings are all there, the quick start runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from windlass.cli.root import cli
from windlass.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = [
        t
        for t in LINK.findall(_outside_fences(page.read_text()))
        if "://" not in t and not t.startswith("mailto:")
    ]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert missing == []


def _outside_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def shown_commands(page: Path) -> Iterator[str]:
    """The ``windlass`` commands in a page's console blocks."""
    for block in re.findall(
        r"^```(?:console|sh|bash)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    ):
        for line in block.splitlines():
            match = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(windlass .*)", line)
            if match and "…" not in match[1]:
                yield match[1].split("  #")[0].split(" # ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_shown_commands_exist_with_their_options(page: Path) -> None:
    checked = [check_command(command) for command in shown_commands(page)]
    assert all(checked), page


def check_command(shown: str) -> bool:
    """Fails, naming the command, when it or one of its options does not exist."""
    words = shlex.split(re.split(r"\s[|>]|&&", shown)[0])[1:]
    command: click.Command = cli
    ctx = click.Context(cli, info_name="windlass")
    while words and isinstance(command, click.Group):
        found = command.get_command(ctx, words[0])
        if found is None and "start" in command.commands:
            # A group that may be used without its first command, as in `windlass batch items.jsonl`.
            found, words = command.commands["start"], ["start", *words]
        if found is None and words[0].startswith("-"):
            break
        assert found is not None, f"no command {words[0]!r} in: {shown}"
        command, words = found, words[1:]
    known = {
        name for p in command.params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)
    }
    known |= {"--help", "-h", "--version", "-V"}
    for word in words:
        if word.startswith("-") and word != "-" and not re.fullmatch(r"-\d.*", word):
            assert word.split("=")[0] in known, f"no option {word} in: {shown}"
    return True


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    missing = [
        name
        for name in Settings.model_fields
        if f"`{name}`" not in page and f"WINDLASS_{name.upper()}" not in page
    ]
    assert missing == []


def test_the_command_reference_is_what_the_commands_say() -> None:
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "scripts/cli_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run: python scripts/cli_reference.py"


def test_every_command_has_a_help_text() -> None:
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "scripts/cli_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    everything = list(module.commands(cli, click.Context(cli), "windlass"))
    assert len(everything) > 20
    assert [name for name, command in everything if not (command.help or "").strip()] == []
    assert [
        f"{name} {o.opts[0]}"
        for name, command in everything
        for o in command.params
        if isinstance(o, click.Option) and not o.help and o.opts[0] != "--help"
    ] == []


@pytest.mark.skipif(
    not (ROOT / ".venv/bin/windlass").exists(), reason="needs the checkout's own .venv (make setup)"
)
def test_the_quick_start_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    assert "$ make demo" in readme
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "WINDLASS_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        ["make", "-s", "demo"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scripted example, not a live model" in done.stdout
    assert re.search(r"tests: \d+ passed, \d+ failed", done.stdout) and "after 1 repair" in done.stdout
