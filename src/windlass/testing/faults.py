"""A server that fails now and then, in every way it knows, the same way for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from windlass.testing.protocol import Answer, Fault, Handler, Request

#: All that trying again may help against. A stall only ends with the client's own timeout.
PASSING: Sequence[Fault] = (
    Fault("status", status=429, retry_after="0"),
    Fault("status", status=500),
    Fault("status", status=503),
    Fault("stall"),
    Fault("stall", after_chunks=2),
    Fault("clean_end", after_chunks=3),
    Fault("cut", after_chunks=3),
    Fault("drop", after_chunks=1),
    Fault("reset", after_chunks=2),
    Fault("malformed", after_chunks=2),
    Fault("raw"),
    Fault("error_event", after_chunks=1),
)


def sometimes(
    handler: Handler, *, rate: float = 0.3, seed: int = 0, faults: Sequence[Fault] = PASSING
) -> Handler:
    """``handler``, but a share ``rate`` of the requests meets one of ``faults`` instead.

    A stream that breaks off has begun with the real answer's text, so what a careless client keeps of it would pass
    for the real thing.
    """
    chance = random.Random(seed)

    def flaky(request: Request) -> Answer | Fault:
        reply = handler(request)
        if chance.random() >= rate or isinstance(reply, Fault):
            return reply
        fault = chance.choice(faults)
        return Fault(
            fault.kind, fault.status, fault.retry_after, after_chunks=fault.after_chunks, answer=reply
        )

    return flaky
