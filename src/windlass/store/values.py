"""JSON values on their way into rows and back: long texts are kept once, by hash, beside the row.

A row holds the value with every text of 1024 bytes or more replaced by ``{"$text": SHA-256}``; the text
itself is a blob. The same file content in a request, a reply, an event and a workspace change is one blob.
An object of the caller's that looks like such a pointer is wrapped as ``{"$as-is": object}``.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

#: Bytes from which a text, or what is left of a value without its long texts, is kept beside the row.
INLINE_BYTES = 1024

#: Bytes from which deflating is worth its time.
_DEFLATE_BYTES = 2048

_TEXT = "$text"
_JSON = "$json"
_AS_IS = "$as-is"
_MARKS = frozenset({_TEXT, _JSON, _AS_IS})


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dump_json(value: Any) -> str:
    """Compact JSON that every database takes as text. Raises TypeError for what JSON cannot hold."""
    text = _encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which only the escaped spelling can carry
            return json.dumps(value, separators=(",", ":"))
    return text


def load_json(text: str) -> Any:
    """The value that :func:`dump_json` wrote."""
    return json.loads(text)


def dump_value(value: Any) -> str | None:
    """:func:`dump_json`, but None for None, which reads back as None."""
    return None if value is None else dump_json(value)


class Parcel:
    """Collects the blobs that belong to one write."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, bytes] = {}

    def add(self, content: bytes) -> bytes:
        """Take a blob along; its SHA-256."""
        key = hashlib.sha256(content).digest()
        self.blobs[key] = content
        return key

    def pack(self, text: str | None) -> str | None:
        """The column text of a value, given as :func:`dump_json` wrote it."""
        if text is None or (len(text) < INLINE_BYTES and '{"$' not in text):
            return text
        packed = dump_json(self._without_long_texts(json.loads(text)))
        if len(packed) < 4 * INLINE_BYTES:
            return packed
        return dump_json({_JSON: self.add(packed.encode()).hex()})

    def _without_long_texts(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) * 4 < INLINE_BYTES:
                return value
            try:
                content = value.encode()
            except UnicodeEncodeError:
                return value
            return {_TEXT: self.add(content).hex()} if len(content) >= INLINE_BYTES else value
        if isinstance(value, dict):
            inner = {key: self._without_long_texts(item) for key, item in value.items()}
            return {_AS_IS: inner} if len(inner) == 1 and not _MARKS.isdisjoint(inner) else inner
        if isinstance(value, list):
            return [self._without_long_texts(item) for item in value]
        return value


def pointers(text: str | None) -> Iterator[tuple[str, bool]]:
    """The hashes, in hex, that a column text points to, and whether each is of such a text itself."""
    if text is not None and '{"$' in text:
        yield from _pointers(json.loads(text))


def _pointers(value: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(value, dict):
        mark = _mark(value)
        if mark in (_TEXT, _JSON):
            yield value[mark], mark == _JSON
        else:
            for item in (value[_AS_IS] if mark else value).values():
                yield from _pointers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pointers(item)


def unpack(text: str | None, texts: Mapping[str, str]) -> Any:
    """The value of a column text; ``texts`` holds every text it points to, by hash in hex."""
    if text is None:
        return None
    value = json.loads(text)
    return _with_long_texts(value, texts) if '{"$' in text else value


def _mark(value: dict[str, Any]) -> str | None:
    if len(value) != 1:
        return None
    (key,) = value
    return key if key in _MARKS else None


def _with_long_texts(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        mark = _mark(value)
        if mark == _TEXT:
            return texts[value[_TEXT]]
        if mark == _JSON:
            return _with_long_texts(json.loads(texts[value[_JSON]]), texts)
        inner = value[_AS_IS] if mark else value
        return {key: _with_long_texts(item, texts) for key, item in inner.items()}
    if isinstance(value, list):
        return [_with_long_texts(item, texts) for item in value]
    return value


def compress(content: bytes) -> tuple[str, bytes]:
    """The encoding name and the bytes to store: deflated where that saves a tenth, else as they are."""
    if len(content) >= _DEFLATE_BYTES:
        packed = zlib.compress(content, 1)
        if len(packed) * 10 <= len(content) * 9:
            return "zlib", packed
    return "raw", content


def expand(encoding: str, content: bytes) -> bytes:
    """The bytes that :func:`compress` was given."""
    return zlib.decompress(content) if encoding == "zlib" else bytes(content)
