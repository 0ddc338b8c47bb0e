"""A text file that is edited by lines; what an edit does not touch stays as it is, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BOM = "\ufeff"
#: Places listed in an error; looking for more would cost time and tell nothing new.
MOST_PLACES = 20


class Document:
    """The lines of a file, each with its own line ending, and what is needed to put it together again."""

    def __init__(self, text: str) -> None:
        self.bom = text.startswith(BOM)
        body = text[1:] if self.bom else text
        self.final_newline = body.endswith("\n") or not body
        raws = body.split("\n")
        if body.endswith("\n") or not body:
            raws.pop()
        self._raws = raws
        self.lines = [raw[:-1] if raw.endswith("\r") else raw for raw in raws]
        self.crlf = uses_crlf(body)
        self._hay: str | None = None
        self._last_found: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def find(self, wanted: Sequence[str], key: Callable[[str], str] | None = None) -> list[int]:
        """Where the lines stand in the file (numbers from 0), at most :data:`MOST_PLACES`.

        ``key`` says what counts as equal, as in ``sorted``.
        """
        self._last_found = None
        if not wanted or len(wanted) > len(self.lines):
            return []
        hay = self._keyed(key)
        needle_lines = [key(line) for line in wanted] if key else list(wanted)
        needle = "\n" + "\n".join(needle_lines) + "\n"
        places: list[int] = []
        position = hay.find(needle)
        line, counted = 0, 0
        while position >= 0 and len(places) < MOST_PLACES:
            line += hay.count("\n", counted, position)
            counted = position
            places.append(line)
            self._last_found = (line, position) if key is None else None
            position = hay.find(needle, position + 1)
        return places

    def _keyed(self, key: Callable[[str], str] | None) -> str:
        """All lines between line feeds, to search in; the plain form is kept from one search to the next."""
        if key is not None:
            return "\n" + "\n".join(map(key, self.lines)) + "\n"
        if self._hay is None:
            self._hay = "\n" + "\n".join(self.lines) + "\n"
        return self._hay

    def replace(self, start: int, count: int, new: Sequence[str]) -> None:
        """Put ``new`` in the place of ``count`` lines."""
        ending = "\r" if self.crlf else ""
        if self._hay is not None:
            self._hay = self._respliced(self._hay, start, count, new)
        self._last_found = None
        self._raws[start : start + count] = [line + ending for line in new]
        self.lines[start : start + count] = new

    def _respliced(self, hay: str, start: int, count: int, new: Sequence[str]) -> str | None:
        """The kept search text after a replacement; None where building it anew is as good."""
        before = self._last_found
        if before is None or before[0] != start or not new:
            return None
        at = before[1]
        length = sum(len(line) + 1 for line in self.lines[start : start + count])
        return hay[: at + 1] + "\n".join(new) + "\n" + hay[at + 1 + length :]

    def rewrite(self, start: int, rows: Sequence[tuple[str, str]]) -> None:
        """Apply the rows of a hunk at ``start``: ``' '`` keeps the file's own line, ``-`` drops it, ``+`` adds."""
        ending = "\r" if self.crlf else ""
        raws: list[str] = []
        position = start
        for mark, text in rows:
            if mark == "+":
                raws.append(text + ending)
                continue
            if mark == " ":
                raws.append(self._raws[position])
            position += 1
        self._hay = self._last_found = None
        self._raws[start:position] = raws
        self.lines[start:position] = [raw[:-1] if raw.endswith("\r") else raw for raw in raws]

    def text(self) -> str:
        if not self._raws:
            return BOM if self.bom else ""
        last = self._raws[-1]
        if not self.final_newline and last.endswith("\r") and self.crlf:
            last = last[:-1]
        body = "\n".join([*self._raws[:-1], last])
        if self.final_newline:
            body += "\n"
        elif last.endswith("\r"):
            body = body[:-1]
        return (BOM if self.bom else "") + body


def uses_crlf(text: str) -> bool:
    """True where most lines of a text end with CR LF."""
    crlf = text.count("\r\n")
    return crlf > 0 and crlf * 2 > text.count("\n")


def _with_ends_of(known: str, text: str) -> str:
    """A text whose lines end as they do in a file that mixes line ends; a new line ends as most do there."""
    ends: dict[str, bool] = {}
    for raw in known.removeprefix(BOM).split("\n")[:-1]:
        ends.setdefault(raw.removesuffix("\r"), raw.endswith("\r"))
    usual = uses_crlf(known)
    *lines, last = text.split("\n")
    return "".join(f"{line}\r\n" if ends.get(line, usual) else f"{line}\n" for line in lines) + last


def in_style_of(known: str | None, text: str) -> str:
    """A whole new text with the line endings and the byte-order mark of the file it replaces."""
    if known is None:
        return text
    crlf = known.count("\r\n")
    if 0 < crlf < known.count("\n"):
        text = _with_ends_of(known, text.replace("\r\n", "\n"))
    elif crlf:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    if known.startswith(BOM) and not text.startswith(BOM):
        text = BOM + text
    return text
