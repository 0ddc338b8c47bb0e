"""Who may use a server: its token, launch links that work once, and the sessions of browsers.

As Jupyter does it: a random token a process, in a file that only its owner can read; a link that is good for one
use turns into a cookie. A session is a signed text, so servers that share a token share their sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: How long a launch link and a browser's session are good for (seconds).
LAUNCH_SECONDS = 600.0
SESSION_SECONDS = 7 * 24 * 3600.0
#: Characters of a token that somebody chose; a random one has 43.
SHORTEST_TOKEN = 16


@dataclass
class Access:
    """The secrets of one server. ``clock`` gives seconds since 1970."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    clock: Callable[[], float] = time.time
    _codes: dict[str, float] = field(default_factory=dict, repr=False)

    def launch_code(self) -> str:
        """A new code for a launch link: good once, for ten minutes."""
        now = self.clock()
        self._codes = {code: until for code, until in self._codes.items() if until > now}
        code = secrets.token_urlsafe(32)
        self._codes[code] = now + LAUNCH_SECONDS
        return code

    def redeem(self, code: str) -> str | None:
        """A session for a launch code, which is used up by it; None for any other text."""
        until = self._codes.pop(code, 0.0)
        return self.new_session() if until > self.clock() else None

    def new_session(self) -> str:
        """A session, to be kept in a cookie."""
        text = f"{int(self.clock() + SESSION_SECONDS)}.{secrets.token_urlsafe(12)}"
        return f"{text}.{self._sign(text)}"

    def session_ends(self, session: str) -> float | None:
        """When a session that this server (or one with its token) made ends; None for any other, or one that is over."""
        text, _, signature = session.rpartition(".")
        if not text or not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        ends = float(text.partition(".")[0])
        return ends if ends > self.clock() else None

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes the same time for every text."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _sign(self, text: str) -> str:
        key = hashlib.sha256(b"windlass session\0" + self.token.encode()).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
