"""Which file names are usable. Pure; every other module asks here before it touches a file.

A name comes from a model, an archive or a person, and later reaches shells, editors, other file
systems and other people's screens. So the rule is the same on every system and refuses rather than
repairs: a repaired name is a name nobody asked for. The one repair is Unicode composition (NFC),
which changes no character that a reader sees. A file that another program named in decomposed form, as
macOS does, is found under its composed name; see :func:`spelling_among`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from windlass.errors import UnsafePath

#: Limits of a name: bytes of UTF-8 for one component and for the whole, and the number of components.
MAX_COMPONENT_BYTES = 255
MAX_NAME_BYTES = 1024
MAX_DEPTH = 32

#: Version-control data. Whoever writes there runs commands at the next ``git status`` (hooks, fsmonitor).
VCS_FOLDERS = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", ".sl", ".pijul", "_darcs", "cvs"})

_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)}
)

#: The 8.3 alias under which Windows also opens a version-control folder.
_SHORT_VCS = re.compile(r"(?:git|hg|svn|jj|bzr)~[0-9]+")

_DRIVE = re.compile(r"[a-zA-Z]:")

_FORBIDDEN = {
    "\\": "a backslash is a separator on Windows; use '/'",
    ":": "a colon makes it a URL, a drive or a hidden stream",
    **dict.fromkeys('*?"<>|', 'the characters * ? " < > | are not allowed in file names everywhere'),
}

# Printable ASCII without the characters above: nearly every name, so it is asked first.
_PLAIN = re.compile(r"[ !#-)+-9;=@-\[\]-{}~]*")

# Drawn like a slash or backslash, so that a reader sees folders where there are none.
_SLASH_LOOKALIKES = frozenset("\u2044\u2215\u29f8\u29f9\u2216\u29f5\u29f6\u29f7")

# Invisible, yet not of a Unicode category that says so: fillers, joiners, variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def check_path(name: str) -> str:
    """The name in composed form (NFC), or UnsafePath with the reason.

    A usable name is relative, uses ``/``, stays inside its root on every operating system, has at most
    32 components of at most 255 bytes (1,024 in all), shows every character it holds, and names no
    device and no version-control data. Percent signs, quotes, dollars and braces are ordinary
    characters: a name is never decoded or expanded.
    """
    if not isinstance(name, str) or not name:
        raise UnsafePath(name, "it is empty" if name == "" else "it is not a text")
    _refuse_characters(name, name)
    composed = unicodedata.normalize("NFC", name)
    _refuse_characters(name, composed)
    if composed.startswith("/"):
        raise UnsafePath(name, "it is absolute; give a path relative to the workspace")
    if len(composed.encode()) > MAX_NAME_BYTES:
        raise UnsafePath(name, f"it is longer than {MAX_NAME_BYTES} bytes")
    components = composed.split("/")
    if len(components) > MAX_DEPTH:
        raise UnsafePath(name, f"it is more than {MAX_DEPTH} folders deep")
    for component in components:
        _refuse_component(name, component)
    return composed


def collision_key(name: str) -> str:
    """What two names share when some file system, or a reader, takes one for the other.

    Equal for names that differ only in case, composition or compatibility forms (``ﬁ`` and ``fi``).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def has_other_spelling(name: str) -> bool:
    """Whether a composed name has another form that looks the same."""
    return not name.isascii() and unicodedata.normalize("NFD", name) != name


def spelling_among(path: str, component: str, present: Collection[str]) -> str:
    """How a composed component of ``path`` is spelled in the folder that holds ``present``; as it is when it is not there.

    Raises UnsafePath when two names there differ only in composition: nobody could say which is meant.
    """
    spellings = [
        name for name in present if name == component or unicodedata.normalize("NFC", name) == component
    ]
    if len(spellings) > 1:
        raise UnsafePath(
            path, f"its folder holds {len(spellings)} names that look like {component!r}; rename one"
        )
    return spellings[0] if spellings else component


def _refuse_characters(name: str, text: str) -> None:
    if _PLAIN.fullmatch(text):
        return
    for char in text:
        if char in _FORBIDDEN:
            raise UnsafePath(name, _FORBIDDEN[char])
        if char in _SLASH_LOOKALIKES:
            raise UnsafePath(name, f"U+{ord(char):04X} looks like a path separator")
        if char in _BLANK or _is_hidden(char):
            raise UnsafePath(name, f"it holds a control, invisible or invalid character (U+{ord(char):04X})")


def _is_hidden(char: str) -> bool:
    # Cc control, Cf format (bidi, zero-width, BOM, tags), Cs lone surrogate, Co private use (some
    # systems map forbidden characters there), Zl and Zp line breaks.
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return True
    point = ord(char)
    variation_selector = 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF
    noncharacter = 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
    return variation_selector or noncharacter


def _refuse_component(name: str, component: str) -> None:
    if not component:
        raise UnsafePath(name, "it has an empty component ('//' or a trailing '/')")
    # Some systems compare or convert names in compatibility form, so what a component *becomes* there
    # must be harmless too: full-width dots are '..', a superscript 1 makes COM¹ a device.
    plain = unicodedata.normalize("NFKC", component)
    if plain in (".", ".."):
        raise UnsafePath(name, f"the component {component!r} is a step through the folder tree")
    if component[0] in "-~":
        raise UnsafePath(
            name, f"a component starting with {component[0]!r} reads as an option or a home folder"
        )
    if plain[-1] in ". ":
        raise UnsafePath(name, "a component ends with a dot or a space, which Windows drops")
    if "/" in plain or "\\" in plain or _DRIVE.match(plain):
        raise UnsafePath(name, "it holds a character that becomes a path separator or a drive elsewhere")
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        raise UnsafePath(name, f"a component is longer than {MAX_COMPONENT_BYTES} bytes")
    folded = collision_key(component)
    if folded in VCS_FOLDERS or _SHORT_VCS.fullmatch(folded):
        raise UnsafePath(name, f"{component!r} is version-control data")
    if folded.split(".", 1)[0].rstrip(" ") in _DEVICES:
        raise UnsafePath(name, f"{component!r} is a device on Windows")
