"""What the words above a block say about it: an example, a part, an earlier state."""

from __future__ import annotations

import re
from collections.abc import Sequence

from windlass.replies.pathlike import LONGEST

#: Lines above a block that are searched for its path.
FAR = 40
_FRAGMENT = re.compile(
    r"\b(?:add|insert|append|change|replace|modify|part|snippet|function|method|line|lines|section|top|bottom|"
    r"end of|beginning|start of|imports?|just|only|portion|tweak|patch|look at|examine|review|current\w*|class)\b",
    re.IGNORECASE,
)
_USAGE = re.compile(
    r"\b(?:usage|use it|using it|example|run|runs|running|test it|try|output|outputs|prints?|printed|result|results|"
    r"invoke|call it|install|prints|shows?|returns?|produces?|gives|yields|verify|demo)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\((?:before|old|original|previous)\)|\b(?:original|old|previous)(?: (?:code|file|version|content|text|one))? (?:was|is|looked|looks|were)\b"
    r"|(?:^|\n)\W*before\W*(?:$|\n)|\bbefore(?: the change)?:\s*$"
    r"|(?:^|\n)\W*(?:here(?:'s|’s| is) )?(?:(?:the|your|our) )?(?:current|existing|present|buggy|broken|faulty)\s(?:\S+\s)?\W*"
    r"(?:code|file|version|contents?|implementation|text|state|[\w./]+\.\w+)\b[^.:\n]{0,40}:?\W*(?:$|\n)"
    r"|\bthe (?:bug|problem|issue|error|culprit|mistake) (?:is|lies|was|seems to be)\b[^.\n]{0,60}:?\s*$"
    r"|(?:^|\n)\W*(?:❌.{0,30}|(?:bad|wrong|incorrect|avoid|don['’]t)(?: \w+){0,2}\W*:\W*)(?:$|\n)"
    r"|\b(?:do not|don['’]t|never|instead of) [^.\n]{0,40}:\s*(?:$|\n)",
    re.IGNORECASE,
)


_ANOTHER = re.compile(
    r"(?:^|\n)[\W_]*(?:option|alternative|approach|variant|solution|choice|version)\s*(?:#?\s*\d+|[a-z]|one|two|three)\b"
    r"|\((?:option|alternative|approach|variant|solution|version)\s*(?:\d+|[a-z])\)"
    r"|\balternatively\b|\balternative (?:version|implementation|solution|approach)\b"
    r"|\banother (?:option|way|approach|version|alternative|solution|possibility)\b"
    r"|\bif you(?:['’]d)? (?:prefer|rather|want|like|need)\b|(?:^|\n)[\W_]*or\b[^\n]{0,60}:",
    re.IGNORECASE,
)
_USE_HEADING = re.compile(
    r"[\W_]*(?:(?:here(?:['’]s| is) )?(?:an? |the )?(?:quick |simple |small )?(?:example|sample|expected)?\s*(?:usage|output|examples?|results?)(?: example)?|"
    r"(?:how to )?(?:use|run|try|test)(?: it)?(?: like this)?|you can (?:use|run|call|try|test) it like this|"
    r"(?:beispiel|ausgabe|verwendung|exemple|utilisation|sortie|ejemplo|uso|salida|saída|пример|вывод|用法|使用示例|输出|使い方|出力|사용 예시?|출력))[\W_]*",
    re.IGNORECASE,
)
_SHOWS_USE = re.compile(
    r"\b(?:you (?:can|could|would|may|might|should)(?: now| then)? (?:use|call|run|try|import|invoke)|usage|use it|using it|"
    r"example (?:of )?(?:use|usage|call)|(?:to|how to) (?:use|call|run|try) (?:it|this))\b",
    re.IGNORECASE,
)


def last_paragraph(gap: Sequence[str]) -> str:
    """The text directly above a block, as one line."""
    lines: list[str] = []
    for line in reversed(gap[-FAR:]):
        if line.strip():
            lines.append(line.strip())
        elif lines:
            break
    return " ".join(reversed(lines))[-4 * LONGEST :]


def speaks_of_usage(gap: Sequence[str]) -> bool:
    """True where the text above a block says that it shows a use or an output, not a file."""
    return bool(_USAGE.search(last_paragraph(gap)))


def speaks_of_a_part(gap: Sequence[str]) -> bool:
    """True where the text above a block says that it is a part to put into a file."""
    return bool(_FRAGMENT.search(last_paragraph(gap)))


def speaks_of_the_past(gap: Sequence[str]) -> bool:
    """True where the text above a block says that it shows the file as it was."""
    lines = [line for line in gap[-6:] if line.strip()][-2:]
    return bool(_PAST.search("\n".join(lines)[-4 * LONGEST :]))


def is_headed_as_use(gap: Sequence[str]) -> bool:
    """True where the line above a block is a heading for a use of the file, or for what it prints, and no more."""
    line = next((line for line in reversed(gap) if line.strip()), "").strip()
    if len(line) > LONGEST:
        return False
    return (line.startswith("#") or line.rstrip("*_ ").endswith((":", "*"))) and bool(
        _USE_HEADING.fullmatch(line)
    )


def offers_another(gap: Sequence[str]) -> bool:
    """True where the text above a block says that it is one of several to choose from."""
    return bool(_ANOTHER.search("\n".join(line for line in gap[-12:] if line.strip())[-4 * LONGEST :]))


def shows_a_use(gap: Sequence[str]) -> bool:
    """True where the text above a block can only introduce a use of the file, not the file."""
    paragraph = last_paragraph(gap)
    return paragraph.rstrip("*_ ").endswith(":") and bool(_SHOWS_USE.search(paragraph))
