"""What a model may not write once tests are given."""

from __future__ import annotations

import pytest

from windlass.errors import ReplyError
from windlass.steps.context import CodingOptions
from windlass.steps.guard import refuse_steering, steering

GIVEN = CodingOptions("x", tests=("tests/test_slug.py",))


@pytest.mark.parametrize(
    "path",
    [
        "conftest.py", "tests/conftest.py", "deep/er/conftest.py", "pytest.ini", "tests/.pytest.ini", "pytest.toml",
        "sitecustomize.py", "src/usercustomize.py", "hook.pth", "pytest.py", "_pytest/__init__.py", "src/pluggy.py",
        "json.py", "tests/random.py", "unittest/__init__.py", "src/re/__init__.py", "math.cpython-311-x86_64-linux-gnu.so",
    ],
)  # fmt: skip
def test_files_that_decide_how_tests_run_are_refused(path: str) -> None:
    reason = steering(path, GIVEN)
    assert reason
    assert reason.startswith(f"{path} may not be written: it ")
    with pytest.raises(ReplyError) as caught:
        refuse_steering({"slug.py": "x", path: "x"}, {}, GIVEN)
    assert (caught.value.kind, caught.value.path) == ("unexpected_file", path)
    assert "make the given tests pass with the other files" in caught.value.correction
    # What the person names, and what is written beside tests of the model's own, is allowed.
    assert steering(path, CodingOptions("x", tests=GIVEN.tests, files=(path,))) is None
    assert steering(path, CodingOptions("x")) is None


@pytest.mark.parametrize(
    "path",
    ["slug.py", "tests/helpers.py", "lib/json.py", "json/codec.py", "json.md", "src/app/queue.py", "app/__init__.py",
     "src/app/__init__.py", "conftest_helper.py", "docs/pytest.md"],
)  # fmt: skip
def test_other_files_are_not(path: str) -> None:
    assert steering(path, GIVEN) is None
    refuse_steering({path: "x"}, {}, GIVEN)


@pytest.mark.parametrize(
    ("path", "before", "after", "refused"),
    [
        ("pyproject.toml", "", '[project]\nname = "x"\n', False),
        ("pyproject.toml", "", '[tool.pytest.ini_options]\naddopts = "-k nothing"\n', True),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\npythonpath = ['src']\n",
            "[project]\nname = 'x'\n",
            True,
        ),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\npythonpath = ['src']\n",
            "[project]\nname = 'x'\n[tool.pytest.ini_options]\npythonpath = [\"src\"]\n",
            False,
        ),
        ("pyproject.toml", "", "[tool.pytest\n", True),
        ("setup.cfg", "[metadata]\nname = x\n", "[metadata]\nname = y\n", False),
        ("setup.cfg", "[metadata]\nname = x\n", "[tool:pytest]\npython_files = no.py\n", True),
        ("sub/tox.ini", "", "[pytest]\naddopts = -x\n", True),
        ("tox.ini", "[pytest]\naddopts = -x\n", None, True),
    ],
)
def test_the_part_for_pytest_of_a_shared_file_stays(
    path: str, before: str, after: str | None, refused: bool
) -> None:
    known = {path: before} if before else {}
    if not refused:
        assert refuse_steering({path: after}, known, GIVEN) is None
        return
    with pytest.raises(ReplyError, match=r"for pytest .* may not be changed"):
        refuse_steering({path: after}, known, GIVEN)
    refuse_steering({path: after}, known, CodingOptions("x", tests=GIVEN.tests, files=(path,)))
