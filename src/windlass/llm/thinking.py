"""Thinking that a model writes into its reply, told apart from the reply.

Only a block at the very beginning counts: the same tags further down are text, and may be part of a file.
"""

from __future__ import annotations

_TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))


class ThinkingFilter:
    """Passes on the text of a stream without a thinking block at its start, however the pieces are cut."""

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._through = False

    def feed(self, piece: str) -> str:
        """The visible text that ``piece`` completes; may be empty."""
        if self._through:
            return piece
        self._held += piece
        if self._closing is None:
            self._look_for_opening()
        if self._closing is not None:
            _, closed, after = self._held.partition(self._closing)
            if not closed or not after.strip():
                return ""
            self._held, self._through = after.lstrip(), True
        if not self._through:
            return ""
        visible, self._held = self._held, ""
        return visible

    def end(self) -> str:
        """What was held back in case a tag followed; a thinking block that never closed stays hidden."""
        visible = "" if self._closing is not None else self._held
        self._held = ""
        return visible

    def _look_for_opening(self) -> None:
        start = self._held.lstrip()
        for opening, closing in _TAGS:
            if start.startswith(opening):
                self._closing = closing
                return
        self._through = not any(opening.startswith(start) for opening, _ in _TAGS)


def without_thinking(text: str) -> str:
    """``text`` without a thinking block at its start."""
    filtered = ThinkingFilter()
    return filtered.feed(text) + filtered.end()
