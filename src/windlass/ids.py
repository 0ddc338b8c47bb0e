"""Ids that are unique and sort by the time they were made."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case: no i, l, o, u


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


class UniqueIDGenerator:
    """Makes 20-character ids: 10 for milliseconds since 1970, 10 random.

    Ids made by one generator sort in the order they were made, also within one millisecond and when
    the clock jumps back. ``clock`` returns seconds; ``random_bits`` returns an integer of at most the
    given number of bits. Give both for ids that a test can foresee.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, random_bits: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = (0, 0)

    def generate_id(self) -> str:
        """A new id, greater than every id this generator made before."""
        with self._lock:
            now = max(int(self._clock() * 1000), self._last[0])
            if now == self._last[0]:
                # The top bit is left clear below, so that counting up has room.
                tail = self._last[1] + 1
            else:
                tail = self._random_bits(49)
            self._last = (now, tail)
            return _base32(now, 10) + _base32(tail, 10)


_default = UniqueIDGenerator()


def generate_id() -> str:
    """A new id from the process-wide generator."""
    return _default.generate_id()


def derived_id(*parts: str) -> str:
    """The same 20 characters for the same parts, on every machine and after every restart."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return _base32(int.from_bytes(digest[:13], "big"), 20)


def sha256_hex(text: str | bytes) -> str:
    """SHA-256 of a text (as UTF-8) or bytes, in hex."""
    return hashlib.sha256(
        text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    ).hexdigest()
