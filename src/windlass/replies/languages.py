"""Which words name a language, which endings belong to it, and which blocks are not files."""

from __future__ import annotations

#: language family -> (info-string words, file endings)
_FAMILIES: dict[str, tuple[str, str]] = {
    "python": ("python py python3 py3 pyi cython ipython", "py pyi pyx pyw"),
    "script": (
        "javascript js jsx mjs cjs typescript ts tsx node ecmascript vue svelte",
        "js jsx mjs cjs ts tsx mts cts vue svelte",
    ),
    "markup": (
        "html htm xhtml xml svg xsl jinja jinja2 handlebars hbs ejs",
        "html htm xhtml xml svg xsl j2 jinja hbs ejs rss",
    ),
    "style": ("css scss sass less stylus", "css scss sass less styl"),
    "c": ("c cpp c++ cc cxx h hpp objc cuda arduino glsl", "c cc cpp cxx h hh hpp hxx m mm cu ino glsl"),
    "markdown": ("markdown md mdx gfm commonmark", "md markdown mdx mkd"),
    "prose": ("rst restructuredtext asciidoc adoc tex latex org", "rst adoc tex org"),
    "json": ("json jsonc json5 jsonl geojson", "json jsonc json5 jsonl ndjson geojson ipynb webmanifest"),
    "yaml": ("yaml yml", "yaml yml"),
    "settings": (
        "toml ini cfg conf properties dotenv env editorconfig",
        "toml ini cfg conf properties env lock",
    ),
    "shell": ("bash sh shell zsh fish ksh shellscript", "sh bash zsh fish ksh bats"),
    "windows": ("powershell ps1 pwsh bat batch cmd", "ps1 psm1 bat cmd"),
    "console": ("console shell-session terminal sh-session shellsession pycon python-console doctest", ""),
    "output": ("text txt plaintext plain output log stdout none", "txt text log out"),
    "diff": ("diff patch udiff", "diff patch"),
    "go": ("go golang", "go"),
    "rust": ("rust rs", "rs"),
    "java": ("java kotlin kt scala groovy gradle", "java kt kts scala groovy gradle"),
    "ruby": ("ruby rb erb", "rb erb rake gemspec"),
    "php": ("php", "php"),
    "csharp": ("csharp cs c# fsharp vb", "cs fs vb csproj"),
    "sql": ("sql postgresql mysql sqlite plsql", "sql"),
    "make": ("makefile make mk cmake", "mk cmake"),
    "docker": ("dockerfile docker containerfile", "dockerfile"),
    "other": (
        "lua perl r julia swift dart haskell elixir erlang clojure ocaml nim zig elm graphql proto protobuf hcl "
        "terraform nginx vim lisp scheme racket csv tsv solidity nix assembly asm wat",
        "lua pl pm r jl swift dart hs ex exs erl hrl clj cljs ml mli nim zig elm graphql gql proto hcl tf nginx vim "
        "lisp el scm rkt csv tsv sol nix s asm wat lean v vhd sv tcl awk sed po pot srt cff bib cls sty "
        "tmpl tpl template example sample service plist desktop map snap in typed rules",
    ),
}

_BY_WORD = {word: family for family, (words, _) in _FAMILIES.items() for word in words.split()}
_BY_ENDING = {ending: family for family, (_, endings) in _FAMILIES.items() for ending in endings.split()}
_NAMES = {
    "makefile": "make", "gnumakefile": "make", "dockerfile": "docker", "containerfile": "docker",
    "cmakelists.txt": "make", "gemfile": "ruby", "rakefile": "ruby", "procfile": "settings",
    "jenkinsfile": "java", "vagrantfile": "ruby", "justfile": "make", "pipfile": "settings",
    "license": "output", "licence": "output", "copying": "output", "notice": "output", "authors": "output",
    "readme": "output", "changelog": "output", "contributing": "output", "codeowners": "output",
    "version": "output", "manifest.in": "output", "requirements.txt": "output",
}  # fmt: skip
#: Pairs that models use for one another without meaning anything by it.
_LOOSE = frozenset(
    frozenset(pair.split())
    for pair in (
        "markup script", "settings yaml", "prose markdown", "markdown output", "prose output", "json script",
        "settings shell", "markup php", "markdown markup", "settings make", "settings output", "json output",
    )
)  # fmt: skip
#: Families of source in which no line can begin with a tag.
_SOURCE = frozenset(
    [
        "python",
        "script",
        "style",
        "c",
        "go",
        "rust",
        "java",
        "ruby",
        "csharp",
        "sql",
        "shell",
        "make",
        "docker",
    ]
)
#: Files that are useful with nothing in them.
EMPTY_NAMES = frozenset(
    {"__init__.py", "py.typed", ".gitkeep", ".keep", ".nojekyll", "conftest.py", ".placeholder"}
)
ENDINGS = frozenset(_BY_ENDING)


def family_of_word(info: str) -> str | None:
    """The family an info string's first word names; None when it names none we know."""
    words = info.strip().lstrip("{.").split()
    return _BY_WORD.get(words[0].rstrip("},:").lower()) if words else None


def is_language(word: str) -> bool:
    return word.lower() in _BY_WORD


def family_of_path(path: str) -> str | None:
    """The family of a file by its ending or well-known name; None when unknown."""
    name = path.rpartition("/")[2].lower()
    if name in _NAMES:
        return _NAMES[name]
    stem, dot, ending = name.rpartition(".")
    return _BY_ENDING.get(ending) if dot and (stem or ending) else None


def is_page(path: str) -> bool:
    """True for files made of prose, where a fence or a sentence is ordinary content."""
    return family_of_path(path) in {"markdown", "prose", "output"}


def is_source(path: str) -> bool:
    """True for files of source in which no line can begin with a tag."""
    return family_of_path(path) in _SOURCE and not path.endswith((".vue", ".svelte", ".csproj"))


def is_prose_file(path: str) -> bool:
    """True for files of prose, of data that people read in lines, and of no known kind."""
    return family_of_path(path) in {"markdown", "prose", "output", None} or path.lower().endswith(
        (".csv", ".tsv", ".po", ".srt", ".bib")
    )


def is_well_known_name(name: str) -> bool:
    """True for file names without an ending that everyone knows (Makefile, .gitignore)."""
    low = name.lower()
    if _NAMES.get(low) == "output" and "." not in low:
        # In small letters these are ordinary words ("license", "version").
        return name.isupper()
    return low in _NAMES or (
        low.startswith(".") and low[1:].replace("-", "").replace("_", "").isalnum() and len(low) > 3
    )


def runs_in_a_shell(family: str | None) -> bool:
    return family in {"shell", "windows", "console"}


def fits(word_family: str | None, path: str) -> bool:
    """False when a block's language is certainly not that of the file."""
    file_family = family_of_path(path)
    if word_family is None or file_family is None or word_family == file_family:
        return True
    if runs_in_a_shell(word_family):
        return file_family in {"shell", "windows"}
    if word_family == "output":
        return file_family in {"markdown", "prose", "settings", "other", "make", "docker"}
    return frozenset({word_family, file_family}) in _LOOSE
