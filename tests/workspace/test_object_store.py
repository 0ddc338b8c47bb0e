"""The object store: nobody's write is lost, a failure in the middle is taken back, errors are sentences."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workspace.interfering import Hook, interfering_proxy
from tests.workspace.places import KEYS, ObjectPlace
from windlass.errors import ConfigError, UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.workspace import Change, WorkspaceSetting, open_workspace
from windlass.workspace.object_store import ObjectStoreWorkspace


@pytest.fixture
def store(s3_endpoint: str) -> ObjectPlace:
    return ObjectPlace(s3_endpoint, f"test-{uuid.uuid4().hex}")


@pytest.fixture
def through(store: ObjectPlace, s3_endpoint: str) -> Iterator[Callable[[Hook], ObjectStoreWorkspace]]:
    """The same workspace, reached through a proxy that asks the given hook about every request."""
    hooks: list[Hook] = []

    def ask(method: str, path: str) -> int | None:
        return hooks[-1](method, path)

    def reach(hook: Hook) -> ObjectStoreWorkspace:
        hooks.append(hook)
        return ObjectStoreWorkspace(f"s3://{store.bucket}/some/prefix", endpoint=proxy, **KEYS)

    with interfering_proxy(s3_endpoint, ask) as proxy:
        yield reach


def before_write_of(name: str, action: Callable[[], int | None]) -> Hook:
    """Calls ``action`` once, right before the first PUT of ``name``."""
    done: list[bool] = []

    def hook(method: str, path: str) -> int | None:
        if method == "PUT" and path.endswith("/" + name) and not done:
            done.append(True)
            return action()
        return None

    return hook


async def test_another_writers_change_is_not_overwritten(store: ObjectPlace, through) -> None:
    store.put("a", b"old")
    store.put("b", b"old")
    workspace = through(before_write_of("b", lambda: store.put("b", b"theirs")))
    with pytest.raises(WorkspaceConflict, match=r"^b is not what it was"):
        await workspace.apply(
            [Change("a", b"old", b"new"), Change("new", None, b"1"), Change("b", b"old", b"new")]
        )
    assert store.everything() == {"a": b"old", "b": b"theirs"}


async def test_another_writers_new_object_is_not_overwritten(store: ObjectPlace, through) -> None:
    store.put("gone", b"old")
    workspace = through(before_write_of("b", lambda: store.put("b", b"theirs")))
    with pytest.raises(WorkspaceConflict):
        await workspace.apply(
            [Change("gone", b"old", None), Change("a", None, b"1"), Change("b", None, b"1")]
        )
    assert store.everything() == {"gone": b"old", "b": b"theirs"}


async def test_an_object_deleted_meanwhile_is_a_conflict(store: ObjectPlace, through) -> None:
    store.put("b", b"old")

    def delete() -> None:
        store.client.delete_object(Bucket=store.bucket, Key="some/prefix/b")

    with pytest.raises(WorkspaceConflict):
        await through(before_write_of("b", delete)).apply([Change("b", b"old", b"new")])
    assert store.everything() == {}


async def test_a_deletion_of_what_changed_meanwhile_is_refused(store: ObjectPlace, through) -> None:
    store.put("b", b"old")
    workspace = through(before_write_of("a", lambda: store.put("b", b"theirs")))
    with pytest.raises(WorkspaceConflict):
        await workspace.apply([Change("b", b"old", None), Change("a", None, b"1")])
    assert store.everything() == {"b": b"theirs"}


async def test_what_somebody_changed_after_us_is_not_taken_back(store: ObjectPlace, through) -> None:
    store.put("a", b"old")
    store.put("b", b"old")

    def both() -> None:
        store.put("a", b"theirs, later")
        store.put("b", b"theirs")

    with pytest.raises(WorkspaceConflict):
        await through(before_write_of("b", both)).apply(
            [Change("a", b"old", b"new"), Change("b", b"old", b"new")]
        )
    assert store.everything() == {"a": b"theirs, later", "b": b"theirs"}


async def test_a_lost_answer_is_not_taken_for_a_conflict(store: ObjectPlace, through) -> None:
    """The first PUT arrives and its answer is lost; repeating it is refused by the store: it was ours."""
    store.put("a", b"old")
    applied = await through(before_write_of("a", lambda: -1)).apply([Change("a", b"old", b"new")])
    assert applied.written == ("a",)
    assert store.everything() == {"a": b"new"}


async def test_a_refused_write_in_the_middle_takes_back_the_rest(store: ObjectPlace, through) -> None:
    store.put("a", b"old")
    workspace = through(lambda method, path: 403 if method == "PUT" and path.endswith("/b") else None)
    with pytest.raises(WorkspaceError, match="refuses these credentials"):
        await workspace.apply([Change("a", b"old", b"new"), Change("n", None, b"1"), Change("b", None, b"1")])
    assert store.everything() == {"a": b"old"}


async def test_what_cannot_be_taken_back_is_named(store: ObjectPlace, through) -> None:
    store.put("a", b"old")
    writes: list[str] = []

    def hook(method: str, path: str) -> int | None:
        if method == "PUT":
            writes.append(path)
        return 403 if method == "PUT" and len(writes) > 1 else None

    with pytest.raises(WorkspaceError, match=r"^a could neither be finished nor be taken back .* run again"):
        await through(hook).apply([Change("a", b"old", b"new"), Change("b", None, b"1")])
    assert store.everything() == {"a": b"new"}
    await store.workspace.apply([Change("a", b"old", b"new"), Change("b", None, b"1")])
    assert store.everything() == {"a": b"new", "b": b"1"}


async def test_folder_markers_are_no_files(store: ObjectPlace) -> None:
    store.put("folder/", b"")
    store.put("folder/a", b"")
    store.put("empty/", b"")
    assert list(await store.workspace.list()) == ["folder/a"]


async def test_other_prefixes_are_out_of_sight(store: ObjectPlace) -> None:
    for key in ("top", "some/other", "some/prefix-too/x"):
        store.client.put_object(Bucket=store.bucket, Key=key, Body=b"x")
    store.put("mine", b"x")
    assert list(await store.workspace.list()) == ["mine"]


async def test_a_workspace_may_be_the_whole_bucket(store: ObjectPlace, s3_endpoint: str) -> None:
    workspace = ObjectStoreWorkspace(f"s3://{store.bucket}", endpoint=s3_endpoint, **KEYS)
    await workspace.apply([Change("a/b", None, b"1")])
    assert list(await workspace.list()) == ["a/b"]
    assert workspace.location == f"s3://{store.bucket}"
    with pytest.raises(UnsafePath, match="differs only"):
        await workspace.apply([Change("A", None, b"1")])


async def test_a_missing_bucket(s3_endpoint: str) -> None:
    workspace = ObjectStoreWorkspace("s3://no-such-bucket/x", endpoint=s3_endpoint, **KEYS)
    for work in (
        workspace.open(),
        workspace.read("a"),
        workspace.list(),
        workspace.apply([Change("a", None, b"1")]),
    ):
        with pytest.raises(WorkspaceError, match=r"the bucket no-such-bucket does not exist; create it"):
            await work


async def test_an_object_whose_name_is_no_path(store: ObjectPlace) -> None:
    store.put("a/../b", b"1")
    with pytest.raises(WorkspaceError, match="holds an object whose name is no path"):
        await store.workspace.list()


async def test_refused_credentials(through) -> None:
    with pytest.raises(WorkspaceError, match="refuses these credentials") as caught:
        await through(lambda method, path: 403).open()
    assert KEYS["secret_access_key"] not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_store_that_is_not_there() -> None:
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        workspace = ObjectStoreWorkspace("s3://bucket/x", endpoint=endpoint, **KEYS)
        with pytest.raises(WorkspaceError) as caught:
            await workspace.open()
    assert str(caught.value) == (
        f"s3://bucket/x: the object store at {endpoint} cannot be reached; check the endpoint and the network."
    )


async def test_options_may_come_from_an_environment(store: ObjectPlace, s3_endpoint: str) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "HOME": "/nowhere",
    }
    store.put("a", b"1")
    setting = WorkspaceSetting(f"s3://{store.bucket}/some/prefix/")
    workspace = await open_workspace(setting, environ=environ)
    assert list(await workspace.list()) == ["a"]
    assert workspace.location == f"s3://{store.bucket}/some/prefix"
    workspace = await open_workspace(setting, options={**KEYS, "endpoint": s3_endpoint})
    assert list(await workspace.list()) == ["a"]


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///x", "s3://b", "s3://Key:Secret@bucket/x", "gs://bucket", "s3://bucket?x=1"]
)
def test_an_address_that_cannot_be_one(address: str) -> None:
    with pytest.raises(ConfigError, match="is not an object store address"):
        ObjectStoreWorkspace(address)


@pytest.mark.parametrize("prefix", ["../x", "a//b", ".git/x", "/a"])
def test_a_prefix_that_is_no_path(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        ObjectStoreWorkspace(f"s3://bucket/{prefix}")


def test_an_unknown_option() -> None:
    with pytest.raises(ConfigError, match="Unknown object store option 'endpont'; known are access_key_id, "):
        ObjectStoreWorkspace("s3://bucket", endpont="http://127.0.0.1")


def test_the_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ImportError('not installed')")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from windlass.workspace.object_store import ObjectStoreWorkspace\n"
        "try:\n    ObjectStoreWorkspace('s3://bucket')\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert child.stdout.startswith("ConfigError An s3:// workspace needs the extra 's3': ")
    assert "[s3]" in child.stdout


def test_the_client_library_is_loaded_only_when_needed() -> None:
    script = (
        "import sys, windlass.workspace, windlass.workspace.local, windlass.workspace.object_store\n"
        "print('obstore' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert child.stdout == "False\n"
