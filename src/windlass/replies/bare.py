"""Decide whether a reply without any frame is the file itself, or talk."""

from __future__ import annotations

import re

from windlass.replies.languages import family_of_path, is_language, is_page
from windlass.replies.talk import reports_at_end

_CHATTER = re.compile(
    r"^\W{0,4}(?:sure|certainly|of course|absolutely|great|okay|ok|yes|no problem|got it|understood|alright|right|thanks|thank you|"
    r"here(?:'|’)?s|here (?:is|are|you)|below (?:is|are)|this is the|the following|i(?:'|’)?(?:ve|ll|m|d)\b|i (?:have|will|am|can|could|would|think|need|"
    r"cannot|wrote|created|updated|made|added|don|do not|was)|let me|let(?:'|’)?s|we (?:need|can|should|will)|you can|you(?:'|’)?ll|please|sorry|apologies|my apologies|"
    r"unfortunately|as an ai|as a language|to (?:fix|solve|implement|do|create|write|address)|first,|now,|based on|plan:|my plan|could you|can you|would you|do you|should i|shall i|"
    r"what |which |before i|done[.!:]|error:|error code|\{\"error|internal server error|bad gateway|service unavailable|rate limit|too many requests|"
    r"(?:http )?(?:error )?[45]\d\d\b|the (?:updated|corrected|complete|full|new|final|user)|updated (?:file|code|version)|good (?:question|idea)|the (?:file|code|change|module|script|test|page|document|function|fix)s? (?:has|have|is|are|was|were|now)\b|all (?:the )?(?:tests?|checks|done|changes|files)\b|no changes?\b|i (?:apologi[sz]e|understand|believe|suggest|recommend|hope|noticed|couldn|won|do)\b|apolog|regrettably|it (?:seems|looks|appears)\b|as requested|upstream |request (?:failed|timed)|nothing (?:to|needs)|hello|hi\b|hey\b)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:let me know|hope (?:this|that)|feel free|happy to|would you like|do you want|shall i|should i|if you(?:'|’)?d like|if you have any|this (?:should|will|code|function|implementation|module|file|script)|"
    r"you can (?:now|run|use|then)|enjoy[.!]?$|that(?:'|’)?s (?:it|all)|explanation|i(?:'|’)?(?:ve|ll|m)\b|i have|please (?:note|let)|note that|could you|can you)",
    re.IGNORECASE,
)
#: Sentences with which a reply ends, and no page.
_LAST_SENTENCE = re.compile(
    r"(?:let me know (?:if|what|whether|how)|feel free to|hope (?:this|that) helps|would you like me to|note: (?:i|this (?:file|text|document|version|draft))\b|"
    r"end of (?:the )?(?:file|document|page|readme|text)\W*$|i (?:kept|left|added|removed|changed|shortened|rewrote|fixed|updated) (?:the|all|out)\b)",
    re.IGNORECASE,
)
#: How an answer that is an apology, a refusal or a greeting begins in other languages.
_FOREIGN = re.compile(
    r"^\W{0,4}(?:(?:es )?tut mir (?:sehr )?leid|leider\b|entschuldig|ich (?:kann|habe|werde|bin|darf)\b|gerne?[!,. ]|natürlich[!,. ]|hier (?:ist|sind)\b|"
    r"(?:je suis )?(?:vraiment |sincèrement )?désolée?\b|malheureusement|je (?:ne |n['’]|vais|peux|suis|regrette)|voici\b|bien sûr|"
    r"lo siento|lamentablemente|desafortunadamente|disculp[ae]|no puedo\b|aquí (?:está|tienes)|claro[!,. ]|por supuesto|"
    r"desculp[ae]|lamento\b|infelizmente|(?:eu )?não (?:posso|consigo)|aqui está|"
    r"mi (?:di)?spiace|purtroppo|non posso\b|certo[!,. ]|ecco\b|"
    r"helaas|het spijt|ik kan\b|niestety|przepraszam|nie mogę|üzgünüm|maalesef|tyvärr|beklager|"
    r"извините|простите|к сожалению|я не могу|вот \w|конечно|вибачте|на жаль|"
    r"(?:很|非常)?抱歉|对不起|對不起|(?:很)?遗憾|我(?:无法|無法|不能|将|已)|好的|当然|以下是|申し訳|すみません|すいません|ごめん|残念|もちろん|以下は|"
    r"죄송|미안|안타깝|물론|다음은|"
    r"przykro mi|omlouvám|bohužel|ospravedlňujem|sajnál|elnézést|îmi pare|din păcate|ne pare|συγγνώμη|λυπάμαι|δυστυχώς|valitettavasti|pahoittel|"
    r"vabanda|kahjuks|atsiprašau|deja,|atvainoj|diemžēl|žao mi|nažalost|на жал|съжалявам|за жалост|maaf|mohon maaf|saya tidak|xin lỗi|rất tiếc|tôi (?:không|xin)|"
    r"عذر|آسف|أعتذر|للأسف|معذرة|متأسف|לא אוכל|מצטער|סליחה|ขออภัย|ขอโทษ|เสียใจ|क्षमा|माफ|मुझे खेद|দুঃখিত|மன்னிக்க|ببخشید|متاسف)",
    re.IGNORECASE,
)
#: A first heading under which a model tells what it is about to do.
_INTENT = re.compile(
    r"#{1,6} +[*_`]{0,3}(?:(?:my|the|an?|our|proposed|implementation|action|work|writing|high-level|step-by-step) +)*"
    r"(plan|approach|strategy|analysis|thoughts?|reasoning|next steps|steps)\b(?: (?:for|of|to)\b.*)?[*_`:. ]*$",
    re.IGNORECASE,
)
#: First lines that only source text has.
_STRONG = re.compile(
    r"(?:#!|import [\w.*{\"'@]|from [\w.]+ import |def \w|class \w+|async def |@\w|\"{3}|'{3}|#include\b|#pragma|#ifndef|#define|#\[|"
    r"package \w+;?\s*$|(?:const|let|var) [\w{\[]+.*=|//|/\*|<\?php|<\?xml|<!doctype|<html|<svg|use [\w:]+.*;|fn \w|pub |mod \w+ ?[;{]|function \w*\s*\(|"
    r"export |module \w|using [\w.]+;|namespace |public \w|private \w|struct \w|enum \w|interface \w|type \w+ ?[=\w]|"
    r"(?-i:CREATE|SELECT|INSERT|ALTER|DROP|FROM|WITH) \w|BEGIN;|-- |[\w.\[\]]+ ?[+:|]?= ?\S|[\w.]+\(|"
    r"require[ (]['\"\w]|local \w+ ?=|defmodule |\(\w|;|\\documentclass|if __name__|'use strict'|\"use strict\")",
    re.IGNORECASE,
)
#: First lines of data and settings, which prose can resemble ("Plan:").
_LOOSE = re.compile(
    r"(?:[#;%]|\[[\w.\-\" ]+\]\s*$|[\w.-]+ ?= ?\S|[\w./-]+:\s*(?:$|[\w\[{\"'/.])|\{|\[|-{3}\s*$|- \w|:root|[.#*@]?[\w-]+ ?[{,]|(?-i:[A-Z]{2,} \S))"
)
_DATA = frozenset({"yaml", "settings", "style", "make", "docker", "other", None})
_HASHES = frozenset({"python", "ruby", "shell", "windows"})
_TAGGED = re.compile(r"<(?:[a-zA-Z!?/]|$)")


_MARKDOWN = re.compile(r"\*\*\w|[-*] [A-Za-z`]|\d+[.)] [A-Za-z`]|[A-Z][a-z]+: [a-z]+ [a-z]+|`[a-z]")
_MARKDOWN_STARTS = frozenset("*-`0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_prose(line: str) -> bool:
    """True for a line that reads like a sentence, not like source text."""
    text = line.strip().strip("*_")
    if _CHATTER.match(text) and not _code_marks(text):
        return True
    words = text.split()
    if len(words) < 4 or text[-1] not in ".!?:" or not text[0].isalpha():
        return False
    if _code_marks(re.sub(r"`[^`]*`", "", text)):
        return False
    return text[0].isupper() or text[-1] in "!?"


def _code_marks(text: str) -> bool:
    return bool(
        re.search(
            r"[=;{}\[\]<>|\\]|\w\(|^\s*(?:import|from|def|class|return|if|for|while|try|with|else|elif)\b[^.!?]*$",
            text,
        )
    )


def is_chatter(line: str) -> bool:
    """True for a line that talks to the reader about the work."""
    text = line.strip()
    return bool(_CHATTER.match(text) or _FOREIGN.match(text))


def closes_talk(line: str) -> bool:
    """True for a last line that talks to the reader."""
    text = line.strip().lstrip("*_>([ ")
    sentences = re.split(r"(?<=[.!?])\s+", text[-1000:])
    if any(map(_LAST_SENTENCE.match, sentences)):
        return True
    return bool(_CLOSING.match(text)) or (text.endswith("?") and len(text.split()) > 3)


def starts_like(path: str, text: str) -> bool:
    """True where a text's first line can only be the first line of such a file."""
    head = text.lstrip("\n").lstrip("\ufeff")
    first = head.split("\n", 1)[0]
    family = family_of_path(path)
    if family in {"markdown", "output", "prose"}:
        if first.rstrip() == "---":
            return bool(re.match(r"---[ \t]*\n(?:[^\n]*\n){0,60}?---[ \t]*(?:\n|$)", head[:20000]))
        return bool(re.match(r"#{1,6} \S|<!--|<[a-z]+|\[!\[|!\[|=+ \S", first)) or _underlined(head)
    if family == "json":
        return first[:1] in ("{", "[")
    if family == "diff":
        return first.startswith(("--- ", "diff ", "Index: ", "From ", "*** "))
    if family == "markup":
        return bool(_TAGGED.match(first)) or first.startswith(("{%", "{{"))
    matched = (
        _STRONG.match(first)
        or (family in _DATA and _LOOSE.match(first))
        or (family in _HASHES and first[:1] == "#")
    )
    return bool(matched) and (_comments(path, first) or not (is_prose(first) or is_chatter(first)))


def _comments(path: str, line: str) -> bool:
    """True for a comment of source, in which a sentence is no talk."""
    return not is_page(path) and line.startswith(('"""', "'''", "#", "//", "/*"))


def opens_source(text: str) -> bool:
    """True where a text's first line is source text in some programming language."""
    first = text.lstrip("\n").split("\n", 1)[0]
    return bool(_STRONG.match(first)) and not is_prose(first) and not is_chatter(first)


def _underlined(head: str) -> bool:
    lines = head.split("\n", 2)
    if lines[0].startswith(("```", "~~~")):
        return False
    return len(lines) > 1 and bool(re.fullmatch(r"[=\-~^*]{3,}\s*", lines[1])) and bool(lines[0].strip())


def talk_in(path: str, text: str) -> str | None:
    """The first line that shows that a bare reply is (also) talk; None where all of it can be the file."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return None
    if re.search(r"<title>\s*(?:[45]\d\d|error)\b", text[:600], re.IGNORECASE):
        return lines[0]
    if is_page(path) and re.match(r"\s*<(?:html|!doctype)", text[:200], re.IGNORECASE):
        return lines[0]
    source = _comments(path, lines[0])
    if not source and is_chatter(lines[0]) and not (_code_marks(lines[0]) and not is_page(path)):
        return lines[0]
    if closes_talk(lines[-1]):
        return lines[-1]
    report = reports_at_end(path, lines)
    if report is not None:
        return report
    if is_page(path):
        intent = _INTENT.match(lines[0].strip())
        # A plan is a page too, where its name says so.
        named = re.sub(r"[\W_]", "", path.lower())
        return lines[0] if intent and re.sub(r"\W|s$", "", intent[1].lower()) not in named else None
    if not source and is_prose(lines[0]):
        return lines[0]
    if is_prose(lines[-1]):
        return lines[-1]
    return _prose_inside(path, text)


def _prose_inside(path: str, text: str) -> str | None:
    """A sentence at the margin between blank lines, or a line of Markdown, outside any triple-quoted text."""
    lines = text.split("\n")
    head = next((line for line in lines if line.strip()), "")
    first = "" if _comments(path, head) and not head.startswith("##") else head.strip(" *`#:")
    if first == path or (first and path.endswith("/" + first)) or is_language(first):
        return first
    source = family_of_path(path) not in _DATA
    quotes = 0
    for number, line in enumerate(lines):
        if len(line) > 12 and line[0].isalpha() and quotes % 2 == 0:
            above = number == 0 or not lines[number - 1].strip()
            below = number + 1 == len(lines) or not lines[number + 1].strip()
            if above and below and is_prose(line):
                return line
        if source and quotes % 2 == 0 and line[:1] in _MARKDOWN_STARTS and _MARKDOWN.match(line):
            return line
        if '"""' in line or "'''" in line:
            quotes += line.count('"""') + line.count("'''")
    return None


def is_talk_only(text: str) -> bool:
    """True for a reply that holds nothing like source text."""
    lines = [line for line in text.split("\n")[:400] if line.strip()]
    code = sum(
        1
        for line in lines
        if (_STRONG.match(line.strip()) and not is_prose(line)) or (_code_marks(line) and not is_prose(line))
    )
    return code * 5 <= len(lines)
