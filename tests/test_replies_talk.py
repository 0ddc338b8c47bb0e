"""Replies without a fence: talk about the work is never a file, a short text that is one is, and a file is not lost to another."""

from __future__ import annotations

import pytest

from windlass.replies import ReplyError, parse_reply

TALK = (
    "Unchanged.",
    "None",
    "N/A",
    "LGTM",
    "Updated.",
    "Request refused.",
    "(no edits)",
    "**Done**",
    "Same as before.",
    "No modifications required",
    "File updated successfully.",
    "notes.md is already up to date.",
    "`docs/notes.md` was left as it is.",
    "This request violates the content policy.",
    "Your prompt was flagged by our content filter.",
    "That goes against our usage guidelines, so it cannot be written.",
    "Writing this would be in breach of the safety guidelines.",
    "We are unable to process your request.",
    "I won't write that.",
    "Due to length limits, the full file cannot be shown.",
    "The rest of the document is omitted for brevity.",
    "The output exceeds the token limit.",
    "The chapter is too long to include in one reply.",
    "The spelling has been checked and everything is correct.",
    "All spelling mistakes in the document have been corrected.",
    "There were no typos to fix.",
    "Nothing in this text needs to be changed.",
    "The document already covers this.",
    "Everything in this file is already correct, so nothing was changed.",
    "The text reads well as it stands; nothing was edited.",
    "Looks good to me!",
    "It looks fine as is.",
    "This is already perfect.",
    "It depends on the audience.",
    "Fixed two typos and shortened the introduction.",
    "Rewrote the second paragraph.\nAdded an example at the end.",
    "- Shortened the introduction\n- Fixed typos",
    "1. Shorten the introduction\n2. Add an example\n3. Done",
    "Summary of changes:\n\n- Shortened the introduction\n- Fixed typos",
    "Changes made: the tone is friendlier.",
    "The introduction was rewritten, and two typos were fixed.",
    "To do this, the introduction should be shortened first, then an example added.",
    "The file you sent is empty.",
    "The request is too vague to act on.",
    "See the attached document for the changes.",
    "Error: the model is overloaded",
    "Connection reset by peer while reading the response.",
    "You exceeded your current quota.",
    "Keine Änderungen nötig.",
    "Die Datei ist bereits korrekt.",
    "Diese Anfrage verstößt gegen die Richtlinien.",
    "Erledigt.",
    "Aucune modification nécessaire.",
    "Le fichier est déjà à jour.",
    "Cette demande enfreint la politique d'utilisation.",
    "El archivo ya está actualizado.",
    "No se requieren cambios en el documento.",
    "Listo.",
    "O arquivo foi atualizado com sucesso.",
    "Nenhuma alteração necessária.",
    "Il file è già corretto.",
    "Nessuna modifica necessaria.",
    "Het bestand is al bijgewerkt.",
    "Geen wijzigingen nodig.",
    "Plik jest już aktualny, zmiany nie są konieczne.",
    "Изменений не требуется.",
    "Файл уже обновлён.",
    "无需更改。",
    "文件已更新。",
    "该请求违反了内容政策。",
    "変更は必要ありません。",
    "ファイルは既に最新です。",
    "변경 사항이 없습니다.",
)

#: New files that are no more than this.
TEXTS = (
    "Chapter 3: The sea was calm.",
    "The sea was calm, and nobody on deck spoke.",
    "It rained all night. In the morning the river had taken the bridge.",
    "She closed the door and did not look back.",
    "He could not sleep; the house was too quiet.",
    "Once upon a time there was a small lighthouse.",
    "'Nothing,' said the captain, and went below.",
    "The church was rebuilt in 1850 after the great fire.",
    "The library is open from nine to five on weekdays.",
    "Bring your own mug; coffee is free.",
    "Water boils at 100 °C at sea level.",
    "Meeting on Monday at ten in room 4.",
    "Attendees: Ann, Bo, Chen",
    "Buy milk\nBuy bread\nCall the dentist",
    "- milk\n- bread\n- eggs",
    "1. Boil the water\n2. Add the tea\n3. Wait three minutes",
    "- [ ] paint the fence\n- [ ] mow the lawn",
    "MIT License\n\nCopyright (c) 2026 Jane Doe",
    "Copyright 2026 Jane Doe. All rights reserved.",
    "1.4.2",
    "v2.0.0-beta.1",
    "requests>=2.31\nclick==8.1.7",
    "Jane Doe <jane@example.org>",
    "# Notes\n\nNothing yet.",
    "# Policy\n\nRequests that violate the content policy are refused.",
    "Windlass\n========\n\nRuns workflows.",
    "> To be, or not to be.",
    "| name | age |\n|---|---|\n| Ann | 41 |",
    "Roses are red,\nviolets are blue.",
    "An old silent pond\nA frog jumps into the pond\nSplash! Silence again.",
    "Dear Ms Park,\n\nyour parcel left our warehouse today.\n\nKind regards\nThe shop",
    "The parser reads one token at a time and keeps a stack.",
    "Run `make test` before you push.",
    "Install with pip install windlass, then start it with windlass serve.",
    "Kapitel 3: Das Meer war ruhig.",
    "Die Bibliothek öffnet um neun Uhr.",
    "La mer était calme et le ciel clair.",
    "El mar estaba en calma.",
    "Il mare era calmo.",
    "Море было спокойным.",
    "海は静かだった。",
    "海面很平静，没有人说话。",
    "바다는 잔잔했다.",
)

PRESENT = "# Harbour\n\nThe sea was calm.\nBoats come in at nine.\n\nTickets cost two pounds.\n"


def written(reply: str, path: str, present: str | None) -> str | None:
    """What the reply makes of the file: None where it is refused."""
    try:
        texts = parse_reply(reply, asked_for=[path], known_files={} if present is None else {path: present})
    except ReplyError as error:
        assert error.correction
        return None
    return texts.get(path, present)


@pytest.mark.parametrize("reply", TALK)
@pytest.mark.parametrize("path", ["docs/notes.md", "notes.md", "novel.txt"])
def test_talk_is_no_new_file(reply: str, path: str) -> None:
    assert written(reply, path, None) is None


@pytest.mark.parametrize("reply", TALK)
def test_talk_never_replaces_a_file(reply: str) -> None:
    assert written(reply, "docs/notes.md", PRESENT) is None
    assert written(reply, "data.csv", "name,age\nAnn,41\nBo,39\n") is None


@pytest.mark.parametrize("reply", TEXTS)
def test_a_short_text_is_a_new_file(reply: str) -> None:
    assert written(reply, "page.md", None) == reply + "\n"


@pytest.mark.parametrize(
    "reply",
    [
        PRESENT,
        PRESENT.replace("calm", "rough"),
        "# Harbour\n\nThe sea was calm.\n",
        "# Port\n\nIt was calm at sea.\n\nBoats arrive\nat nine\nand leave at ten.\nTickets: two pounds each.\n",
    ],
    ids=["as it is", "one word", "shorter", "written anew"],
)
def test_a_bare_reply_that_is_plainly_the_file_is_taken(reply: str) -> None:
    assert written(reply, "harbour.md", PRESENT) == reply


@pytest.mark.parametrize(
    "reply",
    [
        "The ticket office moved to the pier.\n",
        "# Summary\n\nA harbour by the sea.\n",
        "- see\n- the\n- sea\n- by\n- boat\n",
    ],
)
def test_a_bare_reply_that_is_not_plainly_the_file_is_asked_for_again(reply: str) -> None:
    with pytest.raises(ReplyError) as refused:
        parse_reply(reply, asked_for=["harbour.md"], known_files={"harbour.md": PRESENT})
    assert "whole file between the fences" in str(refused.value.correction)


def test_the_same_text_in_a_fence_is_taken() -> None:
    for reply in (*TALK[:3], "The ticket office moved to the pier."):
        framed = f"harbour.md\n````\n{reply}\n````"
        assert written(framed, "harbour.md", PRESENT) == reply + "\n"


def test_a_file_without_text_has_nothing_to_keep() -> None:
    assert written("The sea was calm.", "page.md", "") == "The sea was calm.\n"
    assert written("Unchanged.", "page.md", "") is None


def test_a_file_whose_name_says_so_may_list_changes() -> None:
    for path, text in (
        ("CHANGELOG.md", "- Fixed typos in the introduction\n- Added an example"),
        ("todo.md", "- Fix the typos\n- Add an example"),
        ("policy.md", "Posts that violate the content policy are removed."),
    ):
        assert written(text, path, None) == text + "\n"
