"""The workspaces that the contract holds for, each with a side door for what other programs do to it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from windlass.workspace.base import Workspace
from windlass.workspace.local import LocalWorkspace
from windlass.workspace.object_store import ObjectStoreWorkspace

KEYS = {"access_key_id": "test-id", "secret_access_key": "test-key", "region": "us-east-1"}


class Place(Protocol):
    """A workspace under test and the way around it."""

    workspace: Workspace

    def put(self, path: str, data: bytes) -> None: ...

    def get(self, path: str) -> bytes | None: ...

    def everything(self) -> dict[str, bytes]: ...


class LocalPlace:
    def __init__(self, root: Path, resolver: str) -> None:
        self.root = root
        self.workspace = LocalWorkspace(root, resolver=resolver)  # type: ignore[arg-type]

    def put(self, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def get(self, path: str) -> bytes | None:
        return (self.root / path).read_bytes() if (self.root / path).exists() else None

    def everything(self) -> dict[str, bytes]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}


class ObjectPlace:
    def __init__(self, endpoint: str, bucket: str) -> None:
        import boto3  # slow to load; most tests here do without

        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=KEYS["region"],
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
        )
        self.bucket = bucket
        self.client.create_bucket(Bucket=bucket)
        self.workspace = ObjectStoreWorkspace(f"s3://{bucket}/some/prefix", endpoint=endpoint, **KEYS)

    def put(self, path: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"some/prefix/{path}", Body=data)

    def get(self, path: str) -> bytes | None:
        return self.everything().get(path)

    def everything(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            item["Key"].removeprefix("some/prefix/"): self.client.get_object(
                Bucket=self.bucket, Key=item["Key"]
            )["Body"].read()
            for item in listed
        }


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """A mock of S3 on a free loopback port; gives its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
