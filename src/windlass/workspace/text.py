"""Between a file's bytes and the text a model works on, keeping the habits of the file that is edited."""

from __future__ import annotations

import codecs
import re

from windlass.errors import WorkspaceError
from windlass.workspace.base import decode

# More than one CR is what a text looks like that was converted twice.
_ANY_NEWLINE = re.compile(r"\r*\n")


def to_text(path: str, data: bytes) -> str:
    """The file's text without a byte order mark, line ends as they are. WorkspaceError when it is not UTF-8 text."""
    return decode(path, data).removeprefix("\ufeff")


def to_bytes(new_text: str, existing: bytes | None, *, path: str = "The file") -> bytes:
    """The bytes to write for ``new_text``, in the style of the file it replaces.

    A CRLF file stays CRLF and an LF file LF (one that mixes both is taken as the text says); a byte
    order mark stays, or stays away; a file that ends without a newline goes on doing so, any other
    text that is not empty ends with one. A new file (``existing`` None or empty) gets LF and no mark,
    and its end is left as given. Doing it twice changes nothing more.

    Raises WorkspaceError when ``existing`` is not UTF-8 text or ``new_text`` cannot be written as such.
    """
    text = new_text.lstrip("\ufeff")
    if not existing:
        return _encode(_ANY_NEWLINE.sub("\n", text), path)
    old = decode(path, existing)
    if not old.endswith("\n"):
        text = text.rstrip("\r\n") if text.endswith("\n") else text
    elif text and not text.endswith("\n"):
        text += "\n"
    newline = _newline_of(old)
    if newline is not None:
        text = _ANY_NEWLINE.sub(newline, text)
    return (codecs.BOM_UTF8 if existing.startswith(codecs.BOM_UTF8) else b"") + _encode(text, path)


def _newline_of(text: str) -> str | None:
    """The one line end a text uses; LF when it has no line end, None when it mixes them."""
    crlf = text.count("\r\n")
    if crlf == 0:
        return "\n"
    return "\r\n" if crlf == text.count("\n") and "\r\r\n" not in text else None


def _encode(text: str, path: str) -> bytes:
    if "\0" in text:
        raise WorkspaceError(
            f"{path} would hold a NUL character, which no text file has; nothing was written."
        )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise WorkspaceError(
            f"{path} would hold half a character (U+{ord(text[error.start]):04X} at {error.start});"
            " nothing was written."
        ) from None
