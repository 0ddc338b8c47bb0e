"""The command that adds an extra: true for wherever this installation came from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from windlass.extras import install_command, missing_extra


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            {"url": "file:///src/my%20windlass", "dir_info": {"editable": True}},
            "--editable '/src/my windlass[s3]'",
        ),
        ({"url": "file:///src/windlass", "dir_info": {}}, "'windlass[s3] @ file:///src/windlass'"),
        (
            {"url": "https://git.example/w.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}},
            "'windlass[s3] @ git+https://git.example/w.git'",
        ),
        (
            {"url": "file:///dist/windlass-0.1.0-py3-none-any.whl", "archive_info": {}},
            "'windlass[s3] @ file:///dist/windlass-0.1.0-py3-none-any.whl'",
        ),
        (None, "'windlass[s3]'"),
    ],
)
def test_the_command_names_where_the_installation_came_from(
    tmp_path: Path, said: dict[str, object] | None, wanted: str
) -> None:
    """A folder with the installation's own record, as an installer writes it, comes first on the path."""
    record = tmp_path / "windlass-0.1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: windlass\nVersion: 0.1.0\n")
    if said is not None:
        (record / "direct_url.json").write_text(json.dumps(said))
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import windlass.extras as e; print(e.install_command('s3'))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith(f" {wanted}")
    assert sys.executable in shown


def test_the_sentence_names_the_part_and_the_extra() -> None:
    told = str(missing_extra("The server", "server"))
    assert told == f"The server needs the extra 'server': {install_command('server')}"
