"""How much one client may ask for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

#: Bytes of a request's body, and of one Socket.IO message.
MAX_BODY = 2_000_000
#: Seconds in which a body must have come.
BODY_SECONDS = 30.0
#: Open Socket.IO connections, and the runs that one of them may watch.
MAX_SOCKETS = 500
MAX_WATCHED = 100
#: What may wait for one client before it is cut off: messages, and characters once there are several.
MAX_BACKLOG = 2_000
MAX_BACKLOG_CHARS = 16_000_000


@dataclass
class Rate:
    """A token bucket a key: ``burst`` at once, then ``per_second``. Remembers the last 1,000 keys."""

    burst: float
    per_second: float
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)

    def allows(self, key: Hashable) -> bool:
        """Whether one more is allowed now; it is counted then."""
        now = self.clock()
        left, at = self._left.pop(key, (self.burst, now))
        left = min(self.burst, left + (now - at) * self.per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > 1000:
            self._left.popitem(last=False)
        return allowed
