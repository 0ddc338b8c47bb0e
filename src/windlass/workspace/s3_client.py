"""Talking to an S3-compatible store: which options there are, the client, and its errors as sentences."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from windlass.errors import ConfigError, WorkspaceError
from windlass.extras import missing_extra

if TYPE_CHECKING:
    from obstore.store import S3Store

#: Seconds for one request, and for one request with its retries.
REQUEST_SECONDS = 30
RETRY_SECONDS = 60

#: Option name -> the environment variables it may come from, first one first.
OPTIONS = {
    "access_key_id": ("AWS_ACCESS_KEY_ID",),
    "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}

_STATUS = re.compile(r"status code: (\d{3})")


def chosen_options(options: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The options given, completed from ``environ``. Raises ConfigError for an unknown one."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ConfigError(f"Unknown object store option {unknown[0]!r}; known are {', '.join(OPTIONS)}.")
    chosen = {}
    for name, variables in OPTIONS.items():
        value = options.get(name) or next((environ[key] for key in variables if environ.get(key)), "")
        if value:
            chosen[name] = value
    return chosen


def connect(bucket: str, prefix: str, options: Mapping[str, str]) -> S3Store:
    """A client for one prefix; sends nothing yet. Raises ConfigError when the ``s3`` extra is missing."""
    try:
        from obstore.store import S3Store
    except ImportError:
        raise missing_extra("An s3:// workspace", "s3") from None
    endpoint = options.get("endpoint", "")
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=dict(options),  # type: ignore[arg-type]
        # Stores other than Amazon's rarely have a host name for each bucket.
        virtual_hosted_style_request=not endpoint,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=5),
        },
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


@contextlib.contextmanager
def explained(subject: str, bucket: str, endpoint: str) -> Iterator[None]:
    """Turn the client's errors about ``subject`` into a WorkspaceError with one sentence."""
    from obstore import exceptions

    try:
        yield
    except (exceptions.BaseError, OSError) as error:
        raise WorkspaceError(f"{subject}: {_sentence(error, bucket, endpoint)}.") from error


def _sentence(error: Exception, bucket: str, endpoint: str) -> str:
    from obstore import exceptions

    # The client's own text is a debug dump with XML that can repeat an access key id: never shown.
    text = str(error)
    found = _STATUS.search(text)
    status = found[1] if found else ""
    refused = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
    if "NoSuchBucket" in text:
        return f"the bucket {bucket} does not exist; create it or name another"
    if refused or status in ("401", "403"):
        return "the object store refuses these credentials; check the key, the secret and the bucket's policy"
    if isinstance(error, exceptions.InvalidPathError):
        return "the bucket holds an object whose name is no path; remove it or use another prefix"
    if isinstance(error, OSError) and error.strerror:
        return f"the copy cannot be written: {error.strerror}"
    if status:
        return f"the object store answered with status {status}; try again later"
    return f"the object store at {endpoint} cannot be reached; check the endpoint and the network"
