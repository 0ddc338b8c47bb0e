"""Which file the tests of a file go into, and what they say they cover; from names and texts alone."""

from __future__ import annotations

import ast
import keyword
import posixpath
import re
from collections.abc import Collection, Sequence

from windlass.errors import ArgumentError


def module_of(source: str) -> str:
    """What to import a Python file as, from the workspace's root (or its ``src`` folder)."""
    name = source.removesuffix(".py").removeprefix("src/").removesuffix("/__init__")
    return name.replace("/", ".")


def how_to_import(source: str, tests: str) -> str:
    """How the tests of a Python file get at it: by its name, or by its path where Python has no such name (``my-mod.py``)."""
    stem = source.removesuffix(".py")
    parts = stem.removeprefix("src/").split("/")
    if all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        return f"import from `{module_of(source)}`"
    name = re.sub(r"\W", "_", parts[-1])
    name = f"module_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
    root = f"Path(__file__).resolve().parents[{tests.count('/')}]"
    return (
        f"Python cannot import `{source}` by its name, so load it by its path: "
        f'`spec = importlib.util.spec_from_file_location("{name}", {root} / "{source}")`, '
        f"`{name} = importlib.util.module_from_spec(spec)`, `sys.modules[spec.name] = {name}`, `spec.loader.exec_module({name})`"
    )


def is_test_file(name: str) -> bool:
    """Whether a file holds tests, by its name."""
    base = posixpath.basename(name)
    return bool(re.match(r"(test_.*|.*_test|.*[.-](test|spec)|conftest)\.[a-z]+$", base, re.IGNORECASE))


def test_files(sources: Sequence[str], existing: Collection[str], to: str | None) -> list[tuple[str, str]]:
    """Each file under test with the name of its test file. No two share a base name, which pytest would mix up.

    Raises ArgumentError when a test file would be the file under test, or a source is a test file itself.
    """
    if to is not None:
        to = like_the_source(to, sources[0])
        if to in sources:
            raise ArgumentError(f"{to} is the file under test; its tests need a file of their own.")
        return [(sources[0], to)]
    folder = "tests/" if any(name.startswith("tests/") for name in existing) else ""
    taken: set[str] = set(sources)
    pairs = []
    for source in sources:
        if is_test_file(source):
            raise ArgumentError(f"{source} is a test file itself; name the file that it tests.")
        for target in _candidates(source, folder):
            bases = {posixpath.basename(name) for name in taken}
            if target not in taken and posixpath.basename(target) not in bases:
                break
        taken.add(target)
        pairs.append((source, target))
    return pairs


def like_the_source(target: str, source: str) -> str:
    """The test file that a person named; one without an ending gets that of the file under test."""
    named = "." in posixpath.basename(target)
    return target if named else target + posixpath.splitext(source)[1]


def _candidates(source: str, folder: str) -> list[str]:
    stem, ending = posixpath.splitext(source.removeprefix("src/"))
    base = posixpath.basename(stem)
    where = posixpath.dirname(source)
    if ending in (".py", ".pyw"):
        own = folder or (where + "/" if where and not source.startswith("src/") else "")
        # pytest imports a test file by its name, in which a dot would be a package.
        parts = stem.replace(".", "_").split("/")
        longer = ["_".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        numbered = [f"{longer[-1]}_{number}" for number in range(2, 1000)]
        return [f"{own}test_{name}.py" for name in (*longer, *numbered)]
    beside = where + "/" if where else ""
    names = [f"{base}_test{ending}"] if ending == ".go" else [f"{base}.test{ending}"]
    return [f"{beside}{name}" for name in (*names, *(f"{base}_{n}.test{ending}" for n in range(2, 1000)))]


def coverage_facts(source: str, tests: str) -> str:
    """Which public functions and classes of a Python file its tests name; empty for a file that cannot be read so."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    public = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
    ]
    if not public:
        return ""
    named = [name for name in public if re.search(rf"\b{re.escape(name)}\b", tests)]
    missing = [name for name in public if name not in named]
    told = f"the tests name {len(named)} of its {len(public)} public functions and classes"
    return told + (f" (not {', '.join(missing[:10])})" if missing else "")
