"""Notice placeholders that stand for text the model left out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from windlass.replies.languages import family_of_path, is_page

_COMMENT = re.compile(
    r"^\s*(?:#+|//+|--+|;+|%+|'|/\*+|\*+|<!--|<%#|<#|!(?=\s)|\{/\*|\{#|\{-|\(\*|REM\b|::|\"{3}|'{3})\s?(.*?)\s*(?:\*/\}?|-->|%>|#>|#\}|-\}|\*\)|\"{3}|'{3})?\s*$"
)
_BRACKETED = re.compile(r"^\s*[\[(<{]+\s*(.*?)\s*[\])>}]+\s*$")
_TRAILING = re.compile(r"(?:#|//|--|/\*)\s*((?:\.{3}|…).*)$")
_DOTS = re.compile(r"\.{3,}|…|⋮|\.(?: \.){2,}")
#: Parts that other sentences speak of, too, so that they count in fewer phrases.
_PARTS = "(?:columns|rows|dependencies|exports|types|parameters|arguments|elements|statements)"
_TODO = re.compile(r"^(?:TODO|NOTE|FIXME)\b[:\s]*")
#: A text in single quotes; in Visual Basic alone that is a comment.
_QUOTED = re.compile(r"\s*'(?!'')")
_DOTTED_KEY = re.compile(r"\s*\"(?:\.{3}|…)\"\s*:.*")
_WHAT = (
    r"(?:code|file|files|class|function|functions|method|methods|implementation|content|contents|body|logic|imports?|tests?|"
    r"lines?|section|sections|module|script|document|definitions?|fields?|routes?|handlers?|styles?|rules?|head|header|footer|"
    r"nav|markup|page|text|component|components|props|state|program|query|config\w*|settings|entries|everything|stuff|items|"
    r"properties|attributes|cases|variables|constants|declarations)"
)
_KEY = re.compile(
    r"\b(?:rest|remain\w*|unchanged|same|existing|previous|original|omitted|elided|skipped|truncated|before|above|earlier|"
    r"others?|more|etc|continu\w*|here|unmodified|snip\w*|as is|additional|similar\w*|repeat|keep|implementation|code)\b",
    re.IGNORECASE,
)
_PHRASES = re.compile(
    rf"(?:^|\b)(?:(?:the )?(?:rest|remainder) of (?:the |your |this |my )?(?:\w+ )?{_WHAT}\b"
    rf"|(?:the )?(?:rest|remainder) (?:is |are |of it |stays? |remains? )?(?:the |un)?(?:same|changed|as before|identical)\b"
    rf"|(?:the )?(?:existing|remaining|previous|original|other|unchanged) (?:\w+ )?(?:{_WHAT}|{_PARTS})\b[^.]{{0,30}}?(?:here|unchanged|the same|as before|go(?:es)?\b|stays?|remains?|omitted|above|below|continues?|$)"
    rf"|{_WHAT} (?:above |below )?(?:remains?|stays?|is|are|unchanged|kept)\s?(?:here )?(?:exactly )?(?:the same|unchanged|as is|as before|the same as|identical|omitted|unmodified)\b"
    rf"|{_WHAT} (?:omitted|elided|unchanged|truncated|skipped)\b"
    r"|(?:same|unchanged|identical|as) (?:as )?(?:before|above|in the original|previously)\b\W*$"
    r"|same as (?:the )?original\W*$|(?:omitted|elided)\W*$"
    r"|omitted for (?:brevity|clarity)|for brevity|no changes? (?:here|below|above|needed)|(?<![`'\"])\bunchanged(?![`'\"])\W*$|snip(?:ped)?\W*$"
    rf"|^{_WHAT} continues?\b(?: here| below)?\W*$|^(?:implement|add|put|write) the rest\b(?: (?:here|of it))?\W*$"
    r"|^keep everything else\b|^everything else (?:stays|remains|is) (?:the same|unchanged|as)\b"
    r"|\bunverändert\W*$|^(?:rest|restliche[rsn]?|bestehende[rsn]?|übrige[rsn]?) (?:\w+ )?(?:code|datei|inhalt|methoden|funktionen)\b"
    r"|^(?:le )?reste (?:du|de la|de l['’]) ?\w+ .{0,12}(?:inchangée?|identique)|^(?:le )?code existant\b|\binchangée?s?\W*$"
    r"|^(?:el )?(?:resto|o resto) d(?:el|e|o) .{0,20}(?:sin cambios|igual|inalterado)|^código existente\b|\bsin cambios\W*$"
    r"|^остальн\w+ .{0,20}(?:без изменений|как было|прежн|тот же|те же)|\bбез изменений\W*$"
    r"|(?:其余|其他|剩余|余下).{0,12}(?:不变|省略|相同|保持)|(?:代码|部分|内容)?(?:保持)?不变\W*$|(?:此处|以下|代码)?省略\W*$"
    r"|(?:以下|残り|その他|他)?.{0,8}(?:変更なし|省略)\W*$|^既存の(?:コード|実装)|나머지.{0,12}(?:동일|생략|그대로)|생략\W*$"
    r"|keep (?:the )?(?:existing|rest|remaining|other|original)\b|(?:stays?|remains?) (?:the same|unchanged)\W*$)",
    re.IGNORECASE,
)
#: Every placeholder holds one of these; most lines, and most texts, are done after looking for them.
_HINTS = (
    "...", "…", ". . .", "rest", "else", "continue", "remain", "changed", "same", "existing", "previous", "original", "omitted", "elided", "skipped",
    "truncated", "before", "above", "other", "brevity", "below", "no change", "etc", "⋮", "clarity", "snip", "keep", "identical", "unmodified", "stays",
    "unverändert", "bestehend", "inchang", "existant", "existente", "sin cambios", "остальн", "без изменений", "其余", "其他", "剩余", "不变", "省略",
    "変更なし", "既存", "나머지", "생략",
)  # fmt: skip
#: A longer line is no placeholder.
_LONGEST = 300


def first_elision(path: str, lines: Sequence[str], known: str | None) -> tuple[int, str] | None:
    """(line number from 1, line) of the first placeholder that the known file did not hold."""
    # Comments of TeX stand for left-out text as those of source do.
    page = is_page(path) and not path.endswith((".tex", ".sty", ".cls"))
    data = family_of_path(path) == "json"
    quote_comments = path.endswith((".vb", ".vbs", ".bas"))
    python = family_of_path(path) == "python"
    before: set[str] | None = None
    text = "\n".join(lines).lower()
    hints = [hint for hint in _HINTS if hint in text]
    if not hints:
        return None
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST or not line or (not quote_comments and _QUOTED.match(line)):
            continue
        lowered = line.lower()
        if not any(hint in lowered for hint in hints) or not (
            (data and _DOTTED_KEY.fullmatch(line)) or _suspicious(line, page=page, python=python)
        ):
            continue
        if before is None:
            before = {old.strip() for old in (known or "").split("\n")}
        if line.strip() not in before:
            return number, line.strip()
    return None


def _suspicious(line: str, *, page: bool, python: bool) -> bool:
    stripped = line.strip()
    if len(stripped) < 3:
        return False
    if page:
        stripped = stripped.lstrip("> *_").rstrip("*_ ")
        if len(stripped) < 3:
            return False
        if stripped.startswith(("...", "…")):
            return len(stripped) > 3 and bool(
                _PHRASES.search(stripped.strip(". …"))
                or (_KEY.search(stripped) and stripped.endswith(("...", "…")))
            )
        if stripped[0] in "[(<":
            inner = stripped.strip("[](){}<>!- \t")
            return bool((_DOTS.search(inner) and _KEY.search(inner)) or _PHRASES.match(inner))
        return False
    if _DOTS.fullmatch(stripped):
        return not python
    comment = _COMMENT.match(line)
    if comment and comment.group(1):
        return _says_elided(comment.group(1))
    if stripped[0] in "[(<{":
        bracketed = _BRACKETED.match(line)
        if bracketed and _DOTS.fullmatch(bracketed.group(1)):
            return True
        if bracketed and not re.search(r"[=;\"']", bracketed.group(1)) and _DOTS.search(bracketed.group(1)):
            return bool(_KEY.search(bracketed.group(1)))
        return bool(bracketed and _PHRASES.match(bracketed.group(1)) and " " in bracketed.group(1))
    if stripped.startswith(("...", "…")):
        return bool(_KEY.search(stripped)) and not re.search(r"[\"'=(;\[\w]\s*,", stripped)
    if '"' not in line and "'" not in line and ("..." in line or "…" in line):
        trailing = _TRAILING.search(line)
        return bool(trailing and _KEY.search(trailing.group(1)))
    return False


#: What a program does with the rest of a line or a file while it runs.
_AT_WORK = re.compile(
    r"(?:skip|read|pars|consum|ignor|copy|copies|print|return|process|handl|drop|discard|send|fill|scan|tak(?:e|ing)|strip|trim|iterat|loop|walk|match)\w*\b",
    re.IGNORECASE,
)


def _says_elided(comment: str) -> bool:
    comment = _TODO.sub("", comment)
    dots = _DOTS.search(comment)
    text = _DOTS.sub(" ", comment).strip(" \t.-–—:()[]*<>!#/")
    if not dots and _AT_WORK.match(text):
        return False
    if text.lower() == "etc":
        return True
    if dots:
        if not text:
            return True
        # "Loading..." ends a thought; "... existing code ..." stands for one.
        starts = comment.lstrip(" ([<*-").startswith(("...", "…"))
        phrase = bool(_PHRASES.search(text))
        return (starts and phrase) or (bool(_KEY.search(text)) and (starts or phrase))
    return bool(_PHRASES.match(text)) or (len(text.split()) <= 7 and bool(_PHRASES.search(text)))


_DEFINITION = re.compile(
    r"^(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|static|async|abstract) +)*"
    r"(?:def|class|function\*?|fn|func|struct|enum|interface|trait|impl|type|const|module) +(\w+)",
    re.MULTILINE,
)


def leaves_out_most(text: str, before: str) -> bool:
    """True where a text has only definitions that the file has too, and fewer than half of the file's.

    So looks the one function that was changed, sent without the rest of its file.
    """
    kept, had = set(_DEFINITION.findall(text)), set(_DEFINITION.findall(before))
    return bool(kept) and kept <= had and len(kept) * 2 < len(had)
