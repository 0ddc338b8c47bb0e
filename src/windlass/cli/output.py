"""Where commands print: an encoding that lacks characters, a reader that goes away, a disk that is full."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast


def replace_unknown() -> None:
    """From now on a character that standard output or error cannot encode is replaced instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def json_text(value: Any, *, indent: int | None = None, encoding: str | None = None) -> str:
    """JSON for a file of that encoding, or for standard output; escaped where not every character of it could be encoded
    (half of one, as a model may send it, never can), for a replaced one is lost."""
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    text = json.dumps(value, ensure_ascii=not encoding.lower().startswith("utf"), indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


class _Patient:
    """A stream that swallows everything once it cannot be written to any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or do nothing where nobody reads."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """The same for what is buffered."""
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], Any]) -> None:
        if self.lost is not None:
            return
        try:
            work()
        except OSError as error:
            self.lost = error
            # What is still buffered goes nowhere either, without a word when the interpreter ends.
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


@contextlib.contextmanager
def going_on_unwatched() -> Iterator[None]:
    """For commands that do work, also as a decorator: output that nobody takes any more ends the output, never the work.

    A disk that is full is said on standard error and leaves the exit code as it is. Where the reader has gone
    (``| head``) the command ends with 1 once its work is done, as every command does.
    """
    out = None if sys.stdout is None else _Patient(sys.stdout)
    error = None if sys.stderr is None else _Patient(sys.stderr)
    with (
        contextlib.redirect_stdout(cast(TextIO, out)),
        contextlib.redirect_stderr(cast(TextIO, error)),
    ):
        try:
            yield
        finally:
            for stream in (out, error):
                if stream is not None:
                    stream.flush()
            if out is not None and isinstance(out.lost, BrokenPipeError):
                sys.exit(1)
            if out is not None and out.lost is not None:
                print(
                    f"Standard output could not be written ({out.lost.strerror}); the work went on. See "
                    "what came of it with: windlass runs list",
                    file=sys.stderr,
                )
