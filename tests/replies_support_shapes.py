"""Unusual shapes of what current models send, for each the one right reading or the refusal.

Cases have the form of :data:`tests.replies_support.CASES`.
"""

from __future__ import annotations

import json
from typing import Any

from tests.replies_support import edit, fence
from windlass.replies import KINDS

S = "import re\n\n\ndef slugify(text):\n    return re.sub(r'\\W+', '-', text.lower())\n"
S2 = S.replace("'-'", "'_'")
OLD, NEW = S.splitlines(keepends=True)[-1], S2.splitlines(keepends=True)[-1]
T = "from slug import slugify\n\n\ndef test_slugify():\n    assert slugify('A b') == 'a-b'\n"
MD = "# Title\n\nIntro.\n\n```bash\npip install x\n```\n\n## Use\n\n```python\nimport x\n```\n"
A = ["slug.py"]
K = {"slug.py": S}
OK = {"slug.py": S}
OK2 = {"slug.py": S2}
#: Any refusal: nothing is written, and the model is told.
NO: Any = frozenset(KINDS)

LABELS = [
    "**`slug.py`**", "### 1. `slug.py`", "#### **slug.py**", "__slug.py__", "`slug.py`:", "→ slug.py", "📄 slug.py", "**File:** `slug.py`",
    "Filename: slug.py", "## File: slug.py", "<!-- slug.py -->", "// slug.py", "=== slug.py ===", "--- slug.py ---", "[slug.py]", "<slug.py>",
    "1) slug.py", "* `slug.py` (new)", "./slug.py", "**Path:** `./slug.py`", "Create a new file called slug.py with the following content:",
    "Update **slug.py**:", "Save this as `slug.py`:", "Here's `slug.py`:", "Now the implementation in `slug.py`:", "<summary>slug.py</summary>",
    "<details><summary><code>slug.py</code></summary>", "———— slug.py ————", "┌── slug.py ──┐", "File 1/1: slug.py", "```slug.py```", "`slug.py` — updated",
    "\u200bslug.py", "slug.py\u00a0", "‘slug.py’",
]  # fmt: skip
#: May be understood; must not lead to another file.
ODD_LABELS = [
    "file=slug.py",
    "**slug.py** – the implementation",
    "# --- slug.py ---",
    "| file | slug.py |",
    "`/slug.py`",
]
INFOS = [
    "python slug.py", "python:slug.py", 'python title="slug.py"', "python filename=slug.py", "python path=slug.py", "py {file: slug.py}", "slug.py",
    "python # slug.py", "{.python filename=slug.py}", "python (slug.py)", "python, slug.py", "Python: slug.py", 'python linenums="1" title="slug.py"',
    "python [slug.py]", "path=slug.py", "file:slug.py", "python:./slug.py", "python @slug.py", "@slug.py", "slug.py python",
]  # fmt: skip
ODD_INFOS = [
    "python data-file='slug.py'",
    "python | slug.py",
    "python - slug.py",
    "python:/slug.py",
    "1:6:slug.py",
]
ELIDED = {
    "a.py": ["# [Previous implementation remains the same]", "# (other methods unchanged)", "# <existing code>", "# TODO: rest of the implementation stays the same",
             "# -- unchanged --", "# same as original", "# no changes below this line", "# ⋮", "# etc.", "# [omitted]", "# rest is identical",
             "# --snip--", "    ...  # rest of the method as before", "# (existing tests here)", "# Everything else stays the same", "# existing imports"],
    "a.js": ["// (rest of the component)", "{/* rest of JSX unchanged */}", "  /* ... other props ... */", "..."],
    "a.html": ["<!-- existing content -->", "<!-- ... -->"],
    "a.sql": ["-- rest of the query unchanged", "/* existing columns */"],
    "a.go": ["\t// unchanged"], "a.rs": ["    // ... other fields ..."], "a.yml": ["# ... other services ..."],
    "a.toml": ["# existing dependencies"], "a.lua": ["--[[ unchanged ]]"], "a.hs": ["{- ... -}", "{- rest of the module unchanged -}"],
    "a.tex": ["% ... rest of the document ...", "% unchanged"], "a.bat": ["REM rest unchanged", ":: rest unchanged"], "a.ml": ["(* rest unchanged *)"],
    "a.lisp": [";; ... rest unchanged"], "a.ini": ["; rest unchanged"], "a.json": ['  "...": "..."', "  // ... existing entries ..."], "a.j2": ["{# ... #}"],
    "a.erb": ["<%# rest unchanged %>"], "a.ps1": ["<# rest unchanged #>"], "a.f90": ["! ... rest unchanged"], "a.jl": ["#= rest unchanged =#"],
    "a.md": ["*(rest unchanged)*", "_… unchanged …_", "> [rest of section unchanged]", "[... rest unchanged ...]"],
}  # fmt: skip
FRAMES = [
    ("<code>\n", "</code>"), ("<python>\n", "</python>"), ("<output>\n", "</output>"), ("<slug.py>\n", "</slug.py>"), ('<artifact title="slug.py">\n', "</artifact>"),
    ("<file path=slug.py>\n", "</file>"), ('<invoke name="w">\n<parameter name="path">slug.py</parameter>\n<parameter name="content">', "</parameter>\n</invoke>"),
    ('<pre><code class="python">\n', "</code></pre>"), ("", "<|im_end|>"), ("", "<|endoftext|>"), ("assistant: ", ""),
    ('<document index="1">\n<source>slug.py</source>\n<document_content>\n', "</document_content>\n</document>"),
]  # fmt: skip
OBJECTS: list[Any] = [
    {"result": {"files": [{"path": "slug.py", "content": S}]}}, {"path": "slug.py", "lines": S.split("\n")}, {"code": S}, {"answer": S},
    {"functionCall": {"name": "write", "args": {"path": "slug.py", "content": S}}}, {"role": "assistant", "content": "slug.py\n" + fence(S)},
    [{"op": "add", "path": "/slug.py", "value": S}], {"path": "slug.py", "content": S.replace("\n", "\\n")},
]  # fmt: skip
MARKERS = [
    ("<<<<<<< HEAD", "=======", ">>>>>>> main"), ("[SEARCH]", "[REPLACE]", "[/REPLACE]"), ("<<<<<< SEARCH", "======", ">>>>>> REPLACE"),
    ("<<<<<<<<< SEARCH", "=========", ">>>>>>>>> REPLACE"), ("<<<<<<< ORIGINAL", "=======", ">>>>>>> UPDATED"), ("------- SEARCH", "=======", "+++++++ REPLACE"),
    ("<<<<<<< SEARCH", "=======", ">>>>>>>"), ("<<<<<<< SEARCH", "---", "+++ REPLACE"), ("<<<<<<< SEARCH", "=======", "======="),
]  # fmt: skip
PASSAGES = {
    "options": ("## Option A\n\nslug.py\n{0}\n## Option B\n\nslug.py\n{1}", NO),
    "options-in-bold": ("**Option 1: simple**\n\n`slug.py`\n{0}\n**Option 2: fast**\n\n`slug.py`\n{1}", NO),
    "alternatively": ("`slug.py`\n{0}\nAlternatively, if you prefer underscores:\n\n`slug.py`\n{1}", NO),
    "or": ("`slug.py`\n{0}\nOr, shorter:\n\n`slug.py`\n{1}", NO),
    "versions": ("`slug.py` (version 1)\n{0}\n`slug.py` (version 2)\n{1}", NO),
    "final": ("`slug.py`\n{0}\nWait. Final version:\n\n`slug.py`\n{1}", OK2),
    "not-like-this": ("Do not write it like this:\n\nslug.py\n{1}\nbut like this:\n\nslug.py\n{0}", OK),
    "good-bad": ("✅ Good:\n\nslug.py\n{0}\n❌ Bad:\n\nslug.py\n{1}", OK),
    "current-then-new": ("Current `slug.py`:\n\n{0}\nNew `slug.py`:\n\n{1}", OK2),
    "the-current-one": ("The current slug.py:\n\nslug.py\n{1}\nIt looks fine to me.", NO),
    "your-code": ("Your current code:\n\n{1}\nlooks fine.", NO),
    "the-bug": ("The bug is here:\n\n{1}\nShall I fix it?", NO),
}
USES = {
    "use": "You would use it like this:\n\n" + fence("from slug import slugify\n"),
    "test": "Here's a test for it:\n\n" + fence(T),
    "session": "```pycon\n>>> slugify('A b')\n'a-b'\n```\n",
    "session-python": "```python\n>>> slugify('A b')\n'a-b'\n```\n",
    "traceback": '```\nTraceback (most recent call last):\n  File "slug.py", line 3\nNameError\n```\n',
    "tree": "```\n.\n├── slug.py\n└── test_slug.py\n```\n",
    "heredoc": "cat > slug.py <<'EOF'\n" + S + "EOF\n",
    "sed": "```\nsed -i 's/a/b/' slug.py\n```\n",
    "open": "```python\nwith open('slug.py', 'w') as f:\n    f.write('''x = 1''')\n```\n",
    "write_text": "```python\nfrom pathlib import Path\nPath('slug.py').write_text('x')\n```\n",
    "two-files-in-one": fence(f"# slug.py\n{S}\n# test_slug.py\n{T}"),
    "fence-in-fence": "slug.py\n```\n```python\n" + S + "```\n```\n",
    "conflict": "slug.py\n" + fence("import re\n<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> main\n"),
    "emptied": "slug.py\n" + edit(S, ""),
}


def marked(number: int) -> str:
    """An edit between the markers of that number."""
    opened, divider, closed = MARKERS[number]
    return f"{opened}\n{OLD}{divider}\n{NEW}{closed}\n"


def wrapped(value: Any) -> list[str]:
    """A JSON value as replies carry it."""
    text = json.dumps(value)
    return [
        text,
        json.dumps(value, indent=2),
        fence(text + "\n", "json"),
        fence(text + "\n", ""),
        f"Here:\n\n{text}\n\nDone.",
    ]


SHAPES: list[tuple[Any, ...]] = [
    *((f"label/{label}", f"Sure.\n\n{label}\n\n{fence(S)}\nDone.", None, {}, OK) for label in LABELS),
    *((f"label/{label}", f"Sure.\n\n{label}\n\n{fence(S)}\nDone.", None, {}, (OK, NO)) for label in ODD_LABELS),
    *((f"info/{info}", f"Here:\n\n{fence(S, info)}", None, {}, OK) for info in INFOS),
    *((f"info/{info}", f"Here:\n\n{fence(S, info)}", None, {}, (OK, NO)) for info in ODD_INFOS),
    *(
        (f"placeholder/{path}/{line}", f"{path}\n```\nx = 1\n{line}\nx = 2\n```\n", [path], {path: "x = 1\nx = 2\n"}, frozenset({"elision"}))
        for path, lines in ELIDED.items()
        for line in lines
    ),
    *((f"frame/{first}{last}", f"{first}{S}{last}\n", asked, {}, (OK, NO)) for first, last in FRAMES for asked in (None, A)),
    *(
        (f"object/{number}/{way}/{asked}", text, asked, {}, (OK, NO))
        for number, value in enumerate(OBJECTS)
        for way, text in enumerate(wrapped(value))
        for asked in (None, A)
    ),
    (
        "object/two-lists",
        json.dumps({"files": [{"path": "slug.py", "content": S}], "tests": [{"path": "test_slug.py", "content": T}]}),
        None,
        {},
        {"slug.py": S, "test_slug.py": T},
    ),
    *((f"markers/{number}/{asked}", "slug.py\n" + marked(number), asked, K, (OK2, NO)) for number in range(len(MARKERS)) for asked in (None, A)),
    *((f"markers/fence/{number}/{asked}", "slug.py\n" + fence(marked(number)), asked, K, (OK2, NO)) for number in range(len(MARKERS)) for asked in (None, A)),
    *((f"passage/{name}", text.format(fence(S), fence(S2)), A, {"slug.py": "x = 1\n"}, expected) for name, (text, expected) in PASSAGES.items()),
    *((f"use/{name}", text, A, K, NO) for name, text in USES.items()),
    ("use/session-behind", "slug.py\n" + fence(S) + "\n```pycon\n>>> slugify('A b')\n'a-b'\n```\n", A, {}, OK),
    ("use/tree-above", "```\n.\n├── slug.py\n└── test_slug.py\n```\n\nslug.py\n" + fence(S), None, {}, OK),
    ("use/cell", fence("%%writefile slug.py\n" + S), None, {}, OK),
    *(
        (
            f"page/{mark}/{inner}",
            f"Here:\n\ndocs/a.md\n{mark}markdown\n{MD.replace('```', inner)}{mark}\n\nslug.py\n{fence(S)}",
            None,
            {},
            {"docs/a.md": MD.replace("```", inner), "slug.py": S},
        )
        for mark in ("```", "````", "~~~", "`````")
        for inner in ("```", "~~~")
    ),
]  # fmt: skip
