"""Whether a piece of text reads as a file's path, and what stands around one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from windlass.replies.languages import ENDINGS, is_well_known_name

LONGEST = 300
_ASSIGNED = re.compile(r"^(?:file|path|name|filename|filepath|title)=|=[\"']", re.IGNORECASE)
_WORDS = frozenset(
    [
        "new",
        "updated",
        "update",
        "modified",
        "modify",
        "create",
        "created",
        "creating",
        "edit",
        "edited",
        "complete",
        "completed",
        "full",
        "final",
        "the",
        "this",
        "corrected",
        "revised",
        "fixed",
        "file",
        "files",
        "filename",
        "filepath",
        "name",
        "path",
        "source",
        "code",
        "content",
        "contents",
        "module",
        "script",
        "of",
        "in",
        "at",
        "to",
        "step",
        "part",
        "section",
        "here",
        "is",
        "here's",
        "save",
        "saved",
        "as",
        "location",
        "listing",
        "my",
        "our",
        "your",
        "with",
        "into",
        "write",
        "rewrite",
        "rewritten",
        "replace",
        "added",
        "add",
        "version",
        "following",
        "for",
        "now",
        "target",
        "output",
    ]
)
#: The same in other languages that models answer in.
_FOREIGN_WORDS = """
    hier ist die der das den neue neuer neues neuen vollständige vollständiger komplette aktualisierte aktualisierter geänderte überarbeitete
    datei dateiname dateipfad pfad inhalt quelltext modul skript schritt erstelle erstellen von
    voici voilà le la du de fichier nouveau nouvelle chemin nom contenu complet complète mis jour à étape créer créez corrigé
    aquí está tienes el del archivo fichero nuevo nueva ruta nombre contenido completo completa actualizado actualizada código paso crear
    aqui o do da arquivo ficheiro novo nova caminho nome conteúdo atualizado atualizada passo criar
    ecco il lo nuovo nuova percorso contenuto aggiornato aggiornata codice
    bestand het nieuwe inhoud bestandsnaam plik ścieżka nazwa oto soubor dosya
    вот новый обновлённый обновленный полный файл файла путь имя код содержимое шаг
    """
_LABELS = _WORDS | frozenset(_FOREIGN_WORDS.split())
#: Chinese, Japanese and Korean do not part words by blanks.
_EAST_WORDS = re.compile(
    r"(?:这是|這是|以下是|下面是|以下|文件|檔案|档案|路径|路徑|文件名|名称|名|新建|创建|新增|新的?|更新|修改|修正|完整|全部|版本|代码|程式碼|内容|內容|后|後|的|了|"
    r"ファイル|パス|コード|新しい|新規|作成|全体|全文|完全|した|版|は|の|です|な|を|が|"
    r"파일|경로|이름|코드|내용|전체|새로운|새|수정된|업데이트된|다음은|입니다|의|은|는)++"
)


#: Names of programs that end like a file.
_PRODUCT_NAMES = """
    node.js next.js nuxt.js vue.js react.js angular.js ember.js express.js d3.js three.js p5.js nest.js backbone.js discord.js solid.js alpine.js
    electron.js
"""
#: Folders in which files without an ending lie.
_FOLDER_NAMES = """
    app apps assets bin build cmd conf config data debian deploy dist doc docker docs etc examples hooks include init.d lib libexec man migrations
    opt packages packaging pages pkg public sbin script scripts share source src static templates test tests tools usr util utils var web
    """
_PRODUCTS, _FOLDERS = frozenset(_PRODUCT_NAMES.split()), frozenset(_FOLDER_NAMES.split())


def is_only_words(text: str) -> bool:
    """True for words with slashes between them that need be no path: ``and/or``, ``TCP/IP``, ``2024/01/02``."""
    parts = text.split("/")
    return (
        len(parts) > 1
        and "\\" not in text
        and all(part.isalnum() for part in parts)
        and parts[0].lower() not in _FOLDERS
        and not is_well_known_name(parts[-1])
    )


def looks_like_path(text: str, names: Collection[str], *, spaces: bool = False) -> bool:
    """True where a text can only be meant as a file name."""
    if text in names:
        return True
    if text.lower() in _PRODUCTS:
        return False
    if not text or len(text) > LONGEST or text.endswith(("/", "\\")) or "://" in text:
        return False
    if any(char.isspace() for char in text) and not (spaces and has_ending(text)):
        return False
    if text[0] in "(=<>|&;{+" or text[-1] in ",;({=>":
        return False
    if _ASSIGNED.search(text):
        return False
    base = re.split(r"[/\\]", text)[-1]
    if "(" in text and not has_ending(text):
        return False
    if has_ending(base) or is_well_known_name(base):
        return True
    if text.startswith(("/", "~/", "../", "./", "\\\\", ".git/")) or re.match(r"[A-Za-z]:[\\/]", text):
        return bool(re.search(r"\w", text))
    return ("/" in text or "\\" in text) and bool(re.fullmatch(r"[\w.@+\-\[\]/\\~\0]+", text))


def has_ending(base: str) -> bool:
    stem, dot, ending = base.rpartition(".")
    return bool(dot) and bool(stem) and ending.lower() in ENDINGS and not stem.endswith("..")


def undecorate(text: str) -> str:
    """Without emphasis, brackets, quotes and arrows around a lone path."""
    text = text.strip()
    for _ in range(6):
        before = text
        text = text.strip().strip("*").strip()
        if (len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`") or (
            len(text) > 1
            and not text.startswith("</")
            and (text[0], text[-1])
            in {
                ("“", "”"),
                ("‘", "’"),
                ("<", ">"),
                ("[", "]"),
                ("(", ")"),
                ("_", "_"),
                ("「", "」"),
                ("【", "】"),
                ("«", "»"),
            }
            and not (text[0] == "_" and text[1] == "_" and text.endswith("__") and len(text) < 5)
        ):
            text = text[1:-1]
        if text.endswith((":", "：")):
            text = text[:-1]
        if text == before:
            break
    return text.strip()


def without_symbols(text: str) -> str:
    """Without pictures, arrows and the like at its edges."""
    while text and unicodedata.category(text[-1]) in ("So", "Sm", "Mn") and not text[-1].isascii():
        text = text[:-1].rstrip()
    index = 0
    while index < len(text) and not (text[index].isalnum() or text[index] in "._-~/\\`*[<\"'(@“‘#{【「«"):
        index += 1
    return text[index:]


def only_label_words(text: str) -> bool:
    words = re.findall(r"[^\W_]+(?:['’]\w+)?", text)
    return all(
        word.lower().replace("’", "'") in _LABELS or word.isdigit() or _EAST_WORDS.fullmatch(word)
        for word in words
    )
