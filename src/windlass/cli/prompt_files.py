"""``windlass prompts export | import | gc``: versions as files, and the removal of what nobody needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, json_list_option, json_option, print_json
from windlass.cli.outcome import counted
from windlass.cli.prompts import who, with_store
from windlass.cli.root import safe
from windlass.errors import InputError

if TYPE_CHECKING:
    from windlass.prompt import PromptStore


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--retired", is_flag=True, help="Retired versions too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the files.")
def export(folder: Path, names: tuple[str, ...], retired: bool, as_json: bool) -> None:
    """Write one Markdown file a version into FOLDER, to be reviewed in version control.

    \b
    windlass prompts export prompts/
    windlass prompts export prompts/ coding.repair coding.tests
    """
    from windlass.prompt import files

    def work(store: PromptStore) -> list[Path]:
        if not folder.exists() and str(folder) in store.names():
            raise InputError(
                f"{folder} is a prompt, not a folder: the folder comes first, as in windlass prompts export FOLDER {folder}"
            )
        return files.export(store, folder, names or None, retired=retired)

    written = with_store(work)
    if as_json:
        print_json([str(path) for path in written])
    else:
        console().print(f"Wrote {counted(len(written), 'file')} into {folder}.", soft_wrap=True)


@click.command("import")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--author", help="Who, where a file does not say. [default: your user name]")
@json_list_option
def import_(paths: tuple[Path, ...], author: str | None, as_json: bool) -> None:
    """Add the texts of exported files that no version has yet; none is put in effect. A folder means its .md files.

    \b
    windlass prompts import prompts/
    """
    from windlass.prompt import files

    given = [file for path in paths for file in (sorted(path.glob("*.md")) if path.is_dir() else [path])]
    if not given:
        raise InputError(f"There is no .md file in {', '.join(map(str, paths))}.")
    found = with_store(lambda store: files.import_files(store, given, author=who(author)))
    if as_json:
        print_json([asdict(item) for item in found])
        return
    added = [item for item in found if item.added]
    for item in added:
        told = f"{item.file} is {item.name} version {item.version_no} now"
        console().print(Text(safe(told)), soft_wrap=True)
    console().print(f"{len(added)} added, {len(found) - len(added)} there already.")


@click.command("gc")
@json_option
def gc(as_json: bool) -> None:
    """Remove retired versions that no run, experiment or evidence refers to."""
    from windlass.store.prompts import SqlPromptStore

    def work(store: PromptStore) -> tuple[int, int]:
        assert isinstance(store, SqlPromptStore)
        return store.gc()

    versions, texts = with_store(work)
    if as_json:
        print_json({"versions": versions, "texts": texts})
    else:
        console().print(
            f"Removed {versions} retired {_s(versions, 'version')} and {texts} {_s(texts, 'text')} that nothing refers to."
        )


def _s(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"
