"""Find the path that a block belongs to: in its info string, the lines above it, or its first line."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from windlass.replies.languages import is_language, is_well_known_name
from windlass.replies.pathlike import (
    LONGEST,
    is_only_words,
    looks_like_path,
    only_label_words,
    undecorate,
    without_symbols,
)
from windlass.replies.sentences import (
    CODE_SPAN,
    Clash,
    Label,
    mentions,
    sentence_label,
)
from windlass.replies.wording import FAR, speaks_of_a_part, speaks_of_the_past, speaks_of_usage

_BULLET = re.compile(r"^\s*(?:[-*+•–]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_HTML_COMMENT = re.compile(r"<!--(.*?)-->")
_HTML_TAG = re.compile(r"</?(?:b|i|em|strong|code|summary|h[1-6]|p|kbd|tt|details|u)>", re.IGNORECASE)
PARTIAL = re.compile(
    r"\b(?:excerpt|partial|snippet|fragment|extract|relevant|lines?\s+\d|abridged|shortened|changes? only|"
    r"only (?:the )?chang\w+|diff)\b",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"(?:^|[\s{,;:|])(?:file\s?name|file\s?path|filepath|file|path|title|name|src)\s*[:=]\s*(\"[^\"]*\"|'[^']*'|[^\s}\"',]+)",
    re.IGNORECASE,
)
_RULE = r"={2,}|-{2,}|~{2,}|#{2,}|[─━—═┌┐└┘╭╮╰╯]{2,}"
_PATH_MARK = re.compile(r"[./\\]")
_WRAPPER = re.compile(r"\s*</?(?:source|code|pre|codeblock|sourcecode)>\w{0,20}\s*", re.IGNORECASE)
_RANGE = re.compile(r"(?:[:#]L?\d+(?:\s*[-:]\s*L?\d+)?|\s+lines?\s+\d+.*|\s+\(?L?\d+-L?\d+\)?)$")
_RULED = re.compile(rf"(?:{_RULE})\s*(\S.*?)\s*(?:{_RULE})")
_CITED = re.compile(r"\d+:\d+:(?=\S)")
#: ``Create src/x.py``: what is done comes before the name.
_TOLD = re.compile(
    r"(?:create|creating|update|updating|modify|edit|add|write|rewrite|replace|save)\s+(?:the\s+)?(?:new\s+)?(?:file\s+)?(\S+)$",
    re.IGNORECASE,
)
#: ``src/x.py - the helpers``: a name, and what the file is.
DESCRIBED = re.compile(r"(\S+)\s+[-–—]+\s+(\S[^|]*)$")
#: ``python slug.py`` in a code span.
_COMMAND = re.compile(
    r"(?:python3?|node|npm|npx|deno|bun|pytest|bash|sh|zsh|cat|vim?|nano|code|git|pip3?|uv|go|cargo|ruby|php|java|javac|gcc|make|touch|mv|cp|rm|cd|"
    r"chmod|curl|sed|diff|open|source|docker|streamlit|flask|uvicorn|sudo|rustc|tsc|perl|Rscript|lua)\s"
)
SUFFIX = re.compile(r"\s*\(([^()]*)\)\s*[:.]?\s*$")


def unruled(text: str) -> str:
    """The text between rules of equal signs, dashes or lines of a box (``--- src/x.py ---``)."""
    ruled = _RULED.fullmatch(text)
    return ruled.group(1) if ruled else text


def strict_label(line: str, names: Collection[str]) -> Label | None:
    """The path of a line that holds a path and nothing else but decoration."""
    for exact in (line, line.strip(), line.strip().rstrip(":").strip("*`")):
        if exact in names:
            return Label(exact, strict=True)
    if len(line) > LONGEST or not line.strip():
        return None
    if not _PATH_MARK.search(line):
        # Most lines end here: without a dot or a slash only a well-known or given name can be a path.
        lone = line.strip(" \t>#*_`:\"'").rsplit(None, 1)
        if not lone or (
            not (lone[-1] in names or is_well_known_name(lone[-1].strip("*_`:\"'"))) and "`" not in line
        ):
            return None
    text = line.strip().lstrip(">").strip()
    comment = _HTML_COMMENT.fullmatch(text)
    if comment:
        text = comment.group(1).strip()
    text = _HTML_TAG.sub("", text).strip()
    if text.startswith("//") and not text.startswith("///"):
        text = text[2:].strip()
    text = unruled(text)
    for _ in range(3):
        text = without_symbols(_HEADING.sub("", _BULLET.sub("", text, count=1), count=1)).strip()
    link = _LINK.search(text)
    if link and only_label_words(text[: link.start()]) and not re.search(r"\w", text[link.end() :]):
        for candidate in (undecorate(link.group(1)), link.group(2)):
            if looks_like_path(candidate, names):
                return Label(candidate, strict=True)
    spans = list(CODE_SPAN.finditer(text))
    if len(spans) == 1:
        span = spans[0]
        before, after = text[: span.start()], text[span.end() :]
        note = SUFFIX.search(after)
        tail = after[: note.start()] if note else after
        name = span.group(2).strip()
        if only_label_words(before) and only_label_words(tail) and not _reads_on(tail):
            unlabelled = looks_like_path(name, names, spaces=not _COMMAND.match(name))
            if unlabelled or (_MARKER_BEFORE.search(before) and re.fullmatch(r"[\w.@+\-/\\]+", name)):
                return Label(name, strict=True, partial=bool(note and PARTIAL.search(note.group(1))))
        return None
    if spans:
        return None
    note = SUFFIX.search(text.rstrip("*_ :"))
    partial = False
    if note and looks_like_path(undecorate(text[: note.start()]), names):
        partial = bool(PARTIAL.search(note.group(1)))
        text = text[: note.start()]
    plain = undecorate(text)
    if is_only_words(plain) and plain not in names:
        return None
    emphatic = plain != text.strip().rstrip(":")
    if looks_like_path(plain, names):
        return Label(plain, strict=True, partial=partial)
    worded = _after_words(plain, names, partial=partial)
    if worded is None and emphatic and ":" not in plain and looks_like_path(plain, names, spaces=True):
        return Label(plain, strict=True, partial=partial)
    return worded


_MARKER_BEFORE = re.compile(r"(?:file|path|filename|filepath)\b[\s*_:.\-–—#\d)]*$", re.IGNORECASE)


def _reads_on(tail: str) -> bool:
    """True where a sentence goes on behind the name."""
    return len(re.findall(r"\w+", tail)) > 2


def _after_words(text: str, names: Collection[str], *, partial: bool) -> Label | None:
    """``File: src/x.py``, ``**File 2:** src/x.py``, ``Create src/x.py``."""
    marked = re.match(
        r"(.{0,60}?(?:file|path|name|filename|filepath|step\s*\d*|\d|datei|dateiname|pfad|fichier|chemin|archivo|ruta|arquivo|файл|путь|"
        r"文件|文件名|路径|ファイル|ファイル名|파일|경로)\s*\**\s*[:：=]\s*\**)\s*(.+)$",
        text,
        re.IGNORECASE,
    )
    if marked and only_label_words(marked.group(1)):
        name = undecorate(marked.group(2))
        told = _TOLD.match(name)
        if told and name not in names:
            name = undecorate(told.group(1))
        if looks_like_path(name, names, spaces=True) or re.fullmatch(
            r"[\w.@+\-/\\]*[./\\][\w.@+\-/\\]*\w", name
        ):
            return Label(name, strict=True, partial=partial)
    words = text.rsplit(None, 1)
    if len(words) == 2 and only_label_words(words[0]) and len(words[0]) < 40:
        name = undecorate(words[1])
        if (name in names or re.search(r"[./\\]", name)) and looks_like_path(name, names):
            return Label(name, strict=True, partial=partial)
    return None


def info_label(info: str, names: Collection[str]) -> Label | None:
    """The path in a fence's info string, in the spellings models use."""
    info = info.strip()
    if not info or len(info) > LONGEST:
        return None
    attribute = _ATTRIBUTE.search(info)
    if attribute:
        name = attribute.group(1).strip("\"'")
        if looks_like_path(name, names, spaces=True):
            return _ranged(name)
    cited = _CITED.match(info)
    if cited:
        return Label(info[cited.end() :].strip(), strict=True, partial=True)
    text = info.strip("{}").strip().lstrip("." if info.startswith("{") else "")
    head, colon, rest = re.sub(r"^(\w+)\s*[|;]\s*", r"\1:", text, count=1).partition(":")
    if (
        colon
        and rest.strip()
        and (is_language(head.strip()) or re.fullmatch(r"[\w+#-]*", head.strip()))
        and len(head.strip()) != 1
    ):
        name = rest.strip()
        ranged = _ranged(name)
        if looks_like_path(ranged.raw, names, spaces=True):
            return ranged
    words = text.split(None, 1)
    if len(words) == 2 and is_language(words[0].rstrip(":,")):
        name = words[1].strip().strip("\"'`()[]")
        name = re.sub(r"^(?://|#|--)\s*|^@(?=[^/]*$)", "", name)
        note = SUFFIX.search(words[1])
        if note and looks_like_path(words[1][: note.start()].strip("\"'`"), names):
            name = words[1][: note.start()].strip("\"'`")
            return Label(name, strict=True, partial=bool(PARTIAL.search(note.group(1))))
        told = _TOLD.match(name)
        ranged = _ranged(told.group(1) if told and name not in names else name)
        if looks_like_path(ranged.raw, names, spaces=True):
            return ranged
    text = text.removeprefix("@") if "/" not in text else text
    ranged = _ranged(text)
    if not is_language(ranged.raw) and looks_like_path(ranged.raw, names):
        return ranged
    if words and len(words) == 2 and looks_like_path(words[0], names) and is_language(words[1].strip("()")):
        return _ranged(words[0])
    return None


def _ranged(name: str) -> Label:
    found = _RANGE.search(name)
    if found and found.start() and not re.fullmatch(r"\d+", name):
        return Label(name[: found.start()], strict=True, partial=True)
    return Label(name, strict=True)


def _described(gap: Sequence[str], index: int, names: Collection[str]) -> Label | None:
    """The path of a line that says what the file is (``**src/x.py** - the helpers``), alone above a block."""
    above = next((line for line in reversed(gap[max(0, index - 3) : index]) if line.strip()), "")
    if len(gap[index]) > LONGEST or _BULLET.match(gap[index]) or DESCRIBED.match(above.strip()):
        return None
    line = without_symbols(_HEADING.sub("", gap[index].strip(), count=1)).strip()
    found = DESCRIBED.fullmatch(line)
    if found is None or any(
        says([found.group(2)]) for says in (speaks_of_a_part, speaks_of_usage, speaks_of_the_past)
    ):
        return None
    name = undecorate(found.group(1))
    if mentions(found.group(2), names) or strict_label(above, names) is not None:
        return None
    return Label(name, strict=False) if looks_like_path(name, names) else None


def label_above(gap: Sequence[str], names: Collection[str]) -> Label | Clash | None:
    """The path that the lines between the previous block and this one give to it."""
    strict: list[tuple[Label, int, bool]] = []
    sentence: Label | Clash | None = None
    paragraph: list[str] = []
    seen_paragraph = False
    lines_read = 0
    for index in range(len(gap) - 1, max(-1, len(gap) - 1 - FAR), -1):
        line = gap[index]
        if not line.strip(" \t>") or _WRAPPER.fullmatch(line):
            seen_paragraph = seen_paragraph or bool(paragraph)
            continue
        label = strict_label(line, names)
        if label is None and lines_read == 0 and not paragraph:
            sentence = _described(gap, index, names)
            if sentence is not None:
                return sentence
        if label is not None:
            bullet = bool(_BULLET.match(line))
            if bullet and (lines_read > 0 or _neighbour_is_bullet(gap, index)):
                lines_read += 1
                if not seen_paragraph:
                    paragraph.append(line)
                continue
            strict.append((label, lines_read, bullet))
            if lines_read == 0:
                break
        elif _HEADING.match(line) or re.fullmatch(r"\s*\*\*[^*]+\*\*:?\s*", line):
            if not strict and not seen_paragraph:
                paragraph.append(_HEADING.sub("", line))
            break
        elif not seen_paragraph:
            paragraph.append(line)
        lines_read += 1
    if paragraph:
        sentence = sentence_label(paragraph[0], names)
    distinct = {label.raw for label, _, _ in strict}
    if strict and strict[0][1] == 0:
        return strict[0][0]
    if len(distinct) > 1:
        return Clash(tuple(sorted(distinct)))
    if strict:
        label = strict[0][0]
        if isinstance(sentence, Label) and sentence.raw != label.raw:
            return Clash((label.raw, sentence.raw))
        return label
    return sentence


def _neighbour_is_bullet(gap: Sequence[str], index: int) -> bool:
    for line in reversed(gap[max(0, index - 3) : index]):
        if line.strip():
            return bool(_BULLET.match(line))
    return False
