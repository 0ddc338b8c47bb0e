"""Reply cases beyond the shared corpus: siblings of its families, and traps seen in real replies.

A case is (id, reply, what was asked for, known files, expectation[, finish reason]). An expectation is the
exact set of changes, or the kinds of refusal that are right; a tuple mixes both (a refusal never harms).
"""

from __future__ import annotations

from typing import Any

ADD = "import math\n\n\ndef area(r):\n    return math.pi * r * r\n"
ADD2 = ADD.replace("r * r", "r**2")
TEST = "from area import area\n\n\ndef test_area():\n    assert area(1) > 3\n"
KNOWN = {"area.py": ADD}
LONG = "import os\n\n\n" + "\n\n".join(f"def f{n}(x):\n    return x + {n}" for n in range(12)) + "\n"
PAGE = "# Title\n\nText.\n\n```bash\nmake\n```\n\nEnd.\n"
SQL = "select 1;\n"
R: Any = frozenset


def fence(text: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{text}{mark}\n"


def edit(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


A = ["area.py"]
A2 = ["area.py", "test_area.py"]
OK = {"area.py": ADD}
OK2 = {"area.py": ADD2}
E1 = edit("    return math.pi * r * r\n", "    return math.pi * r**2\n")

CASES: list[tuple[Any, ...]] = [
    # talk where a page was asked for
    ("talk/plan-for-readme", "# Plan\n\n1. Create the README.\n2. Describe the usage.\n", ["README.md"], {}, R({"no_file", "ambiguous"})),
    ("talk/plan-for-page", "## Plan for README.md\n\n- Title\n- Usage\n", ["README.md"], {}, R({"no_file", "ambiguous"})),
    ("talk/approach", "### My approach\n\nFirst the title, then the text.\n", ["notes.txt"], {}, R({"no_file", "ambiguous"})),
    ("talk/steps", "# Implementation steps:\n\n1. Read\n2. Write\n", ["docs/guide.md"], {}, R({"no_file", "ambiguous"})),
    ("talk/a-plan-is-a-page-too", "# Plan\n\n1. Do it\n", ["plan.md"], {}, {"plan.md": "# Plan\n\n1. Do it\n"}),
    ("talk/next-steps-page", "# Next steps\n\n1. Do it\n", ["next-steps.md"], {}, {"next-steps.md": "# Next steps\n\n1. Do it\n"}),
    ("talk/a-heading-further-down", "# Windlass\n\nText.\n\n## Plan\n\nMore.\n", ["README.md"], {}, {"README.md": "# Windlass\n\nText.\n\n## Plan\n\nMore.\n"}),
    ("talk/a-planner", "# Planner\n\nPlans.\n", ["README.md"], {}, {"README.md": "# Planner\n\nPlans.\n"}),
    ("talk/plain-list", "Milk\nEggs\nBread\n", ["shopping.txt"], {}, {"shopping.txt": "Milk\nEggs\nBread\n"}),
    ("talk/german-page", "# Über uns\n\nWir bauen Winden.\n", ["README.md"], {}, {"README.md": "# Über uns\n\nWir bauen Winden.\n"}),
    *(
        (f"talk/sorry-{number}", text, [name], {}, R({"no_file"}))
        for name in ("notes.txt", "README.md", "LICENSE", "area.py")
        for number, text in enumerate(
            (
                "Es tut mir leid, dabei kann ich nicht helfen.",
                "Leider kann ich diese Datei nicht erstellen.",
                "Je suis désolé, je ne peux pas vous aider avec cela.",
                "Je ne peux pas écrire ce fichier.",
                "Lo siento, no puedo ayudar con eso.",
                "Desculpe, mas não posso ajudar com isso.",
                "Mi dispiace, non posso aiutarti.",
                "Helaas kan ik dat niet doen.",
                "Извините, я не могу помочь с этим.",
                "抱歉，我无法完成这个请求。",
                "申し訳ありませんが、お手伝いできません。",
                "죄송합니다. 도와드릴 수 없습니다.",
            )
        )
    ),
    ("talk/closing-line-of-a-page", "# Title\n\nText.\n\nLet me know if anything should change.\n", ["README.md"], {}, R({"no_file", "ambiguous"})),
    ("talk/closing-question-of-a-page", "# Title\n\nText.\n\nWould you like a section on tests?\n", ["README.md"], {}, R({"no_file", "ambiguous"})),
    # thinking tags as the text of files
    ("think/tag-in-a-patch", "`a.py`:\n\n" + fence(ADD) + "\n*** Begin Patch\n*** Add File: b.py\n+X = 1\n+</think>\n*** End Patch\n", None, {}, {"a.py": ADD, "b.py": "X = 1\n</think>\n"}),
    ("think/tag-in-a-tag", '<file path="a.txt">\nx\n</think>\ny\n</file>\n', None, {}, {"a.txt": "x\n</think>\ny\n"}),
    ("think/tag-in-an-edit", "area.py\n" + edit("    return math.pi * r * r\n", "    return 1\n</think>\n"), None, KNOWN, {"area.py": "import math\n\n\ndef area(r):\n    return 1\n</think>\n"}),
    ("think/draft-of-a-tag", '<file path="a.py">\ndraft\n</think>\n<file path="a.py">\nx = 1\n</file>\n', None, {}, {"a.py": "x = 1\n"}),
    ("think/draft-of-a-patch", "*** Begin Patch\n*** Add File: a.py\n+draft\n</think>\n*** Begin Patch\n*** Add File: a.py\n+X = 1\n*** End Patch\n", None, {}, {"a.py": "X = 1\n"}),
    ("think/several-on-a-line", "<think>a</think><think>b</think>X = 1\n", A, {}, {"area.py": "X = 1\n"}),
    # layout between the files of a patch
    ("patch/blank-line-between-files", "*** Begin Patch\n*** Add File: a.py\n+x\n\n*** Add File: b.py\n+y\n+\n*** End Patch\n", None, {}, {"a.py": "x\n", "b.py": "y\n\n"}),
    ("patch/blank-line-inside-a-file", "*** Begin Patch\n*** Add File: a.py\n+x\n\n+y\n*** End Patch\n", None, {}, {"a.py": "x\n\ny\n"}),
    ("paths/windows-name-above-source", "from area import area\nsrc\\area.py\n" + fence(ADD), ["src/area.py"], {}, ({"src/area.py": ADD}, R({"ambiguous"}))),
    # JSON asked for, and JSON that ends too early
    ("cut/bare-json-stop", '{"a": [1, 2,\n', ["a.json"], {}, R({"truncated"})),
    ("cut/bare-json-in-a-string", '{"a": "xy\n', ["a.json"], {}, R({"truncated"})),
    ("json/trailing-comma", '{\n  "a": 1,\n}\n', ["tsconfig.json"], {}, {"tsconfig.json": '{\n  "a": 1,\n}\n'}),
    ("json/six-thousand-lines", "".join(f'{{"path": "f{n}.py", "content": "x"}}\n' for n in range(6000)), None, {}, {f"f{n}.py": "x" for n in range(6000)}),
    # one file, two opposite wishes
    ("conflict/deleted-and-edited", "*** Begin Patch\n*** Delete File: area.py\n*** End Patch\n\narea.py\n" + E1, None, KNOWN, R({"conflict"})),
    ("conflict/deleted-and-written", "*** Begin Patch\n*** Delete File: area.py\n*** Add File: area.py\n+X = 1\n*** End Patch\n", None, KNOWN, R({"conflict"})),
    # one name without an extension
    ("plainname/makefile-bare", "all:\n\tcc main.c\n", ["Makefile"], {}, {"Makefile": "all:\n\tcc main.c\n"}),
    ("plainname/makefile-fence", "Here:\n\n" + fence("all:\n\tcc main.c\n", "make"), ["Makefile"], {}, {"Makefile": "all:\n\tcc main.c\n"}),
    ("plainname/dockerfile-label", "Dockerfile\n" + fence("FROM alpine\n", ""), ["Dockerfile"], {}, {"Dockerfile": "FROM alpine\n"}),
    ("plainname/dockerfile-info", fence("FROM alpine\nRUN echo\n", "dockerfile"), ["Dockerfile"], {}, {"Dockerfile": "FROM alpine\nRUN echo\n"}),
    ("plainname/dockerfile-bare", "FROM alpine\nRUN echo\n", ["Dockerfile"], {}, {"Dockerfile": "FROM alpine\nRUN echo\n"}),
    ("plainname/intent", "Sure, I will write the Makefile now.", ["Makefile"], {}, R({"no_file"})),
    ("plainname/commands", fence("make all\n", "bash"), ["Makefile"], {}, R({"shell_command", "no_file", "ambiguous"})),
    # one function of a file, sent as if it were the file
    ("fragment/strict-label", "long.py\n" + fence("def f3(x):\n    return x + 33\n"), ["long.py"], {"long.py": LONG}, R({"ambiguous"})),
    ("fragment/heading-label", "### `long.py`\n\n" + fence("import os\n\n\ndef f3(x):\n    return x + 33\n"), None, {"long.py": LONG}, R({"ambiguous"})),
    ("fragment/info-label", fence("def f3(x):\n    return x + 33\n", "python:long.py"), None, {"long.py": LONG}, R({"ambiguous"})),
    ("fragment/a-new-small-file", "long.py\n" + fence("def everything(x):\n    return x\n"), ["long.py"], {"long.py": LONG}, {"long.py": "def everything(x):\n    return x\n"}),
    ("fragment/most-is-kept", "long.py\n" + fence(LONG[: LONG.index("def f8")].rstrip("\n") + "\n"), ["long.py"], {"long.py": LONG}, {"long.py": LONG[: LONG.index("def f8")].rstrip("\n") + "\n"}),
    # fences in lists and quotes
    ("nested/quote-in-list", "- Do:\n\n  > " + fence(ADD).rstrip("\n").replace("\n", "\n  > ") + "\n", A, {}, (OK, R({"no_file", "ambiguous", "truncated"}))),
    ("nested/label-in-quote", "> area.py\n> " + fence(ADD).rstrip("\n").replace("\n", "\n> ") + "\n", A, {}, OK),
    ("nested/quote-without-space", ">" + fence(ADD).rstrip("\n").replace("\n", "\n>") + "\n", A, {}, (OK, R({"no_file", "ambiguous"}))),
    ("nested/list-label-bold", "1. **area.py**\n\n   " + fence(ADD).rstrip("\n").replace("\n", "\n   ") + "\n", A, {}, OK),
    ("nested/numbered-ten", "10. Create it:\n\n    " + fence(ADD).rstrip("\n").replace("\n", "\n    ") + "\n", A, {}, OK),
    # one fence
    ("fence1/plain", fence(ADD), A, {}, OK),
    ("fence1/no-info", fence(ADD, ""), A, {}, OK),
    ("fence1/chatter-both", "Sure!\n\n" + fence(ADD) + "\nLet me know.", A, {}, OK),
    ("fence1/long", fence(ADD, "python", "``````"), A, {}, OK),
    ("fence1/tilde-with-backticks", fence("X = '''\n```\n'''\n", "python", "~~~"), A, {}, {"area.py": "X = '''\n```\n'''\n"}),
    ("fence1/in-list", "1. Create it:\n\n   " + fence(ADD).replace("\n", "\n   "), A, {}, OK),
    ("fence1/in-list-tab", "- Create it:\n\n\t" + fence(ADD).replace("\n", "\n\t"), A, {}, OK),
    ("fence1/indented-opener-only", "   " + fence(ADD).replace("\n```\n", "\n   ```\n"), A, {}, OK),
    ("fence1/quoted", "> " + fence(ADD).replace("\n", "\n> "), A, {}, OK),
    ("fence1/bom", "\ufeff" + fence(ADD), A, {}, OK),
    ("fence1/two-different", fence(ADD) + "\nor\n\n" + fence(ADD2), A, {}, R({"ambiguous"})),
    ("fence1/two-same", fence(ADD) + "\nAgain:\n\n" + fence(ADD), A, {}, OK),
    ("fence1/usage-after-unlabelled", fence(ADD) + "\nUsage:\n\n" + fence("print(area(2))\n"), A, {}, (OK, R({"ambiguous"}))),
    ("fence1/labelled-then-usage", "area.py\n" + fence(ADD) + "\nUsage:\n\n" + fence("print(area(2))\n"), A, {}, OK),
    ("fence1/labelled-then-correction", "area.py\n" + fence(ADD) + "\nWait, corrected:\n\n" + fence(ADD2), A, {}, (OK2, R({"ambiguous"}))),
    ("fence1/wrong-language", fence("a {}\n", "css"), A, {}, R({"ambiguous", "no_file"})),
    ("fence1/text-block-only", fence("3.14\n", "text"), A, {}, R({"no_file", "ambiguous"})),
    ("fence1/unclosed-stop", "```python\n" + ADD, A, {}, R({"truncated"})),
    ("fence1/empty-block", "```python\n```\n", A, {}, R({"empty", "no_file"})),
    ("fence1/part-of-known", "Add this function:\n\n" + fence("def g():\n    pass\n"), ["long.py"], {"long.py": LONG}, R({"ambiguous"})),
    ("fence1/part-without-saying", "Here you go:\n\n" + fence("def g():\n    pass\n"), ["long.py"], {"long.py": LONG}, R({"ambiguous"})),
    ("fence1/indented-part", fence("    def g(self):\n        pass\n"), A, KNOWN, R({"ambiguous"})),
    ("fence1/commands-without-info", fence("pip install area\npython area.py\n", ""), A, {}, R({"shell_command", "no_file"})),
    ("fence1/console", fence("$ python area.py\n3.14\n", "console"), A, {}, R({"shell_command", "no_file"})),
    ("fence1/shell-file", fence("#!/bin/sh\nmake\n", "bash"), ["run.sh"], {}, {"run.sh": "#!/bin/sh\nmake\n"}),
    ("fence1/text-file", fence("Hello.\n", "text"), ["a.txt"], {}, {"a.txt": "Hello.\n"}),
    ("fence1/fence-in-docstring-margin", fence('"""Doc.\n\n```\nexample\n```\n"""\n\nX = 1\n'), A, {}, ({"area.py": '"""Doc.\n\n```\nexample\n```\n"""\n\nX = 1\n'}, R({"ambiguous"}))),
    ("fence1/labelled-fence-in-docstring", "area.py\n" + fence('"""Doc.\n\n```\nexample\n```\n"""\n\nX = 1\n'), A, {}, ({"area.py": '"""Doc.\n\n```\nexample\n```\n"""\n\nX = 1\n'}, R({"ambiguous"}))),
    ("fence1/known-crlf", fence(ADD2), A, {"area.py": ADD.replace("\n", "\r\n")}, {"area.py": ADD2.replace("\n", "\r\n")}),
    ("fence1/known-bom", fence(ADD2), A, {"area.py": "\ufeff" + ADD}, {"area.py": "\ufeff" + ADD2}),
    ("fence1/unchanged", fence(ADD), A, KNOWN, {}),
    ("fence1/tab-and-trailing-space-kept", fence("X = 1  \n\ty\n"), A, {}, {"area.py": "X = 1  \n\ty\n"}),
    ("fence1/form-feed-and-u2028", fence("X = 1\x0c\nY = '\u2028\x85'\n"), A, {}, {"area.py": "X = 1\x0c\nY = '\u2028\x85'\n"}),
    ("think/mention-in-code", fence("X = '</think>'\nY = '<think>'\n"), A, {}, {"area.py": "X = '</think>'\nY = '<think>'\n"}),
    ("think/close-in-code-only", fence("X = t.split('</think>')[-1]\n"), A, {}, {"area.py": "X = t.split('</think>')[-1]\n"}),
    ("think/lines-in-code", fence('X = """\n<think>\na\n</think>\n"""\n'), A, {}, {"area.py": 'X = """\n<think>\na\n</think>\n"""\n'}),
    ("think/close-line-in-code", fence('X = """\na\n</think>\n"""\n'), A, {}, {"area.py": 'X = """\na\n</think>\n"""\n'}),
    ("think/bare-code-mention", "import re\n\nX = re.sub(r'<think>.*?</think>', '', T)\n", A, {}, {"area.py": "import re\n\nX = re.sub(r'<think>.*?</think>', '', T)\n"}),
    ("think/orphan-after-fence", "Draft:\n" + fence("x\n") + "Hm.\n</think>\n\n" + fence(ADD), A, {}, OK),
    ("think/orphan-after-open-fence", "Draft:\n```python\nx = 0\n</think>\n\n" + fence(ADD), A, {}, OK),
    ("think/orphan-inline", "I am done.</think>Here:\n" + fence(ADD), A, {}, OK),
    ("think/thinking-tag", "<thinking>\n" + fence("x\n") + "</thinking>\n" + fence(ADD), A, {}, OK),
    ("think/unclosed", "<think>\nhm\n" + fence(ADD), A, {}, R({"truncated"})),
    ("think/only", "<think>\nhm\n</think>\n", A, {}, R({"empty", "no_file"})),
    ("think/two", "<think>a</think>\n<think>\n" + fence("x\n") + "</think>" + "\n" + fence(ADD), A, {}, OK),
    # path above
    *[
        (f"above/{n}", f"Here.\n\n{label}\n{fence(ADD)}", None, {}, {"src/area.py": ADD})
        for n, label in enumerate(
            [
                "*src/area.py*", "_src/area.py_", '"src/area.py"', "'src/area.py':", "(src/area.py)", "[src/area.py]", "<src/area.py>",
                "src/area.py:", "## `src/area.py`", "### 1. `src/area.py`", "#### File: src/area.py", "**File:** `src/area.py`",
                "**File: src/area.py**", "File path: src/area.py", "Filename: `src/area.py`", "- src/area.py", "* `src/area.py`:", "1. **src/area.py**",
                "`src/area.py` (new)", "src/area.py (updated)", "**src/area.py** (new file)", "[src/area.py](src/area.py)", "[`src/area.py`](./src/area.py)",
                "<!-- src/area.py -->", "// src/area.py", "=== src/area.py ===", "--- src/area.py ---", "➡️ src/area.py", "<b>src/area.py</b>",
                "<summary>src/area.py</summary>", "**`src/area.py`**", "***src/area.py***", "File 1: src/area.py", "Path: src/area.py", "> src/area.py",
                "src/area.py\n", "`src/area.py`:\n", "Create `src/area.py`:", "Updated src/area.py:", "「src/area.py」", "📁 src/area.py:",
                "Here is `src/area.py`:", "Here's the updated `src/area.py`:", "## Step 1: `src/area.py`", ".\\src\\area.py",
            ]
        )
    ],
    ("above/spaces", "`my notes/plan a.md`\n" + fence("Hi\n", "md"), None, {}, {"my notes/plan a.md": "Hi\n"}),
    ("above/heading-of-section-is-no-name", "### area.py\n" + fence(ADD) + "\n### Usage\n\n" + fence("area(1)\n"), A, {}, OK),
    ("above/about-tests-for", "Here are the tests for `area.py`:\n\n" + fence(TEST), A2, KNOWN, R({"no_path", "missing_file", "ambiguous"})),
    ("above/about-tests-for-single", "Here are the tests for `area.py`:\n\n" + fence(TEST), ["test_area.py"], KNOWN, ({"test_area.py": TEST}, R({"ambiguous", "unexpected_file", "no_path"}))),
    ("above/two-names-in-sentence", "Here is `area.py`, used by `main.py`:\n\n" + fence(ADD), None, {}, R({"no_path", "ambiguous"})),
    ("above/list-of-files-before", "Files:\n\n- area.py\n- test_area.py\n\nThe code:\n\n" + fence(ADD), A2, {}, R({"no_path", "ambiguous", "missing_file"})),
    ("above/fragment-in-sentence", "Replace the function in `long.py` with:\n\n" + fence("def f1(x):\n    return 0\n"), None, {"long.py": LONG}, R({"no_path", "ambiguous"})),
    ("above/partial-mark", "`long.py` (excerpt)\n" + fence("def f1(x):\n    return 0\n"), None, {"long.py": LONG}, R({"elision", "ambiguous"})),
    ("above/bare-command-after-mention", "Go to the directory with `test_area.py`.\nRun:\n\n```\npython -m unittest\n```\n", None, {}, R({"no_path", "shell_command", "no_file"})),
    ("above/dropped-folder", "area.py\n" + fence(ADD), ["src/area.py"], {}, {"src/area.py": ADD}),
    ("above/other-folder", "lib/area.py\n" + fence(ADD), A, {}, R({"unexpected_file", "missing_file"})),
    ("above/label-over-shell", "**area.py**\n\nFirst:\n\n" + fence("pip install x\n", "bash") + "\n" + fence(ADD), A, {}, OK),
    ("above/readme-word", "Here is the README:\n\n" + fence("# X\n", "markdown"), None, {}, R({"no_path"})),
    ("above/license-heading", "## License\n\n" + fence("MIT\n", ""), None, {}, R({"no_path", "no_file"})),
    ("above/method-name", "**re.findall**\n" + fence("re.findall('a', 'b')\n"), None, {}, R({"no_path", "ambiguous"})),
    ("above/asked-case", "Area.py\n" + fence(ADD), A, {}, R({"unexpected_file", "missing_file", "conflict"})),
    # info
    *[
        (f"info/{n}", f"```{info}\n{ADD}```\n", None, {}, {"src/area.py": ADD})
        for n, info in enumerate(
            ["src/area.py", "python:src/area.py", "python src/area.py", 'python title="src/area.py"', "python file=src/area.py", "py path='src/area.py'",
             '{.python filename="src/area.py"}', "python {file=src/area.py}", "python filename: src/area.py", "python, src/area.py", "python # src/area.py", 'python name="src/area.py"']
        )
    ],
    ("info/range", f"```python:long.py:10-20\n{ADD}```\n", None, {"long.py": LONG}, R({"elision", "ambiguous"})),
    ("info/cited", f"```10:20:long.py\n{ADD}```\n", None, {"long.py": LONG}, R({"elision", "ambiguous"})),
    ("info/differs-from-label", f"area.py\n```python test_area.py\n{TEST}```\n", None, {}, R({"conflict", "ambiguous"})),
    ("info/comment-wrong-place-is-content", fence("# area.py\n" + ADD), A, {}, {"area.py": "# area.py\n" + ADD}),
    ("info/html-comment", fence("<!-- web/i.html -->\n<p>x</p>\n", "html"), None, {}, {"web/i.html": "<!-- web/i.html -->\n<p>x</p>\n"}),
    ("info/unsafe-comment", fence("# ../../area.py\nx = 1\n"), None, {}, R({"unsafe_path"})),
    # search and replace
    ("sr/plain", "area.py\n" + E1, None, KNOWN, OK2),
    ("sr/asked", E1, A, KNOWN, OK2),
    ("sr/fence-info-path", f"```python area.py\n{E1}```\n", None, KNOWN, OK2),
    ("sr/bold", "**area.py**\n\n```\n" + E1 + "```\n", None, KNOWN, OK2),
    ("sr/sentence", "Update `area.py`:\n\n" + E1, None, KNOWN, (OK2, R({"no_path"}))),
    ("sr/five-marks", "area.py\n" + E1.replace("<<<<<<<", "<<<<<").replace("=======", "=====").replace(">>>>>>>", ">>>>>"), None, KNOWN, OK2),
    ("sr/no-space", "area.py\n" + E1.replace("<<<<<<< SEARCH", "<<<<<<<SEARCH").replace(">>>>>>> R", ">>>>>>>R"), None, KNOWN, OK2),
    ("sr/original-updated", "area.py\n" + E1.replace("SEARCH", "ORIGINAL").replace("REPLACE", "UPDATED"), None, KNOWN, OK2),
    ("sr/cline", "area.py\n" + E1.replace("<<<<<<< SEARCH", "------- SEARCH").replace(">>>>>>> REPLACE", "+++++++ REPLACE"), None, KNOWN, OK2),
    ("sr/crlf-reply", ("area.py\n" + E1).replace("\n", "\r\n"), None, KNOWN, OK2),
    ("sr/crlf-file", "area.py\n" + E1, None, {"area.py": ADD.replace("\n", "\r\n")}, {"area.py": ADD2.replace("\n", "\r\n")}),
    ("sr/mixed-endings-kept", "a.txt\n" + edit("b\n", "B\n"), None, {"a.txt": "a\r\nb\nc\n"}, {"a.txt": "a\r\nB\nc\n"}),
    ("sr/no-final-newline-kept", "a.txt\n" + edit("b\n", "B\n"), None, {"a.txt": "a\nb"}, {"a.txt": "a\nB"}),
    ("sr/trailing-space", "a.txt\n" + edit("b\n", "B\n"), None, {"a.txt": "a\nb  \nc\n"}, {"a.txt": "a\nB\nc\n"}),
    ("sr/not-found", "area.py\n" + edit("nope\n", "x\n"), None, KNOWN, R({"search_not_found"})),
    ("sr/half-line", "area.py\n" + edit("return math.pi\n", "return 3\n"), None, KNOWN, R({"search_not_found"})),
    ("sr/unknown-file", "other.py\n" + E1, None, KNOWN, R({"search_not_found"})),
    ("sr/empty-search-existing", "area.py\n" + edit("", "x = 1\n"), None, KNOWN, R({"search_ambiguous", "ambiguous", "conflict", "search_not_found"})),
    ("sr/elision-in-replace", "area.py\n" + edit("    return math.pi * r * r\n", "    # ... existing code ...\n"), None, KNOWN, R({"elision"})),
    ("sr/basename-only", "area.py\n" + E1, None, {"src/area.py": ADD}, {"src/area.py": ADD2}),
    ("sr/second-fails-nothing", "area.py\n" + E1 + "\n" + edit("nope\n", "x\n"), None, KNOWN, R({"search_not_found"})),
    ("sr/two-dividers", "a.rst\n" + edit("T\n=======\n", "N\n=======\n"), None, {"a.rst": "T\n=======\n"}, R({"ambiguous"})),
    ("sr/doc-about-format", fence("# Format\n\nUse:\n\n```\na.py\n" + edit("a\n", "b\n") + "```\n", "markdown", "````"), ["docs/f.md"], {}, {"docs/f.md": "# Format\n\nUse:\n\n```\na.py\n" + edit("a\n", "b\n") + "```\n"}),
    ("sr/fences-inside", "r.md\n" + edit("```bash\nmake\n```\n", "```bash\nmake all\n```\n"), None, {"r.md": PAGE}, {"r.md": PAGE.replace("make\n", "make all\n")}),
    ("sr/fences-inside-fence", "r.md\n```markdown\n" + edit("```bash\nmake\n```\n", "```bash\nmake all\n```\n") + "```\n", None, {"r.md": PAGE}, {"r.md": PAGE.replace("make\n", "make all\n")}),
    ("sr/over-indented", "a.py\n" + edit("        x = 1\n", "        x = 2\n"), None, {"a.py": "def f():\n    x = 1\n"}, ({"a.py": "def f():\n    x = 2\n"}, R({"search_not_found"}))),
    ("sr/uneven-indent", "a.py\n" + edit("if x:\n  y\n", "if x:\n  z\n"), None, {"a.py": "def f():\n    if x:\n        y\n"}, R({"search_not_found"})),
    ("sr/unasked", "other.py\n" + edit("a\n", "b\n"), A, {**KNOWN, "other.py": "a\n"}, R({"unexpected_file"})),
    ("sr/length-closed", "area.py\n" + E1 + "\nNow", A, KNOWN, (OK2, R({"truncated"})), "length"),
    ("sr/length-open", "area.py\n" + E1[:-20], A, KNOWN, R({"truncated"}), "length"),
    ("sr/source-tag", "area.py\n<source>python\n" + E1 + "</source>\n", None, KNOWN, OK2),
    # unified diff
    ("udiff/unfenced", "--- a/a.sql\n+++ b/a.sql\n@@ -1 +1 @@\n-select 1;\n+select 2;\n", None, {"a.sql": SQL}, {"a.sql": "select 2;\n"}),
    ("udiff/git", fence("diff --git a/a.sql b/a.sql\nindex 1..2 100644\n--- a/a.sql\n+++ b/a.sql\n@@ -1 +1 @@\n-select 1;\n+select 2;\n", "diff"), None, {"a.sql": SQL}, {"a.sql": "select 2;\n"}),
    ("udiff/dots", fence("--- a.sql\n+++ a.sql\n@@ ... @@\n-select 1;\n+select 2;\n", "diff"), None, {"a.sql": SQL}, {"a.sql": "select 2;\n"}),
    ("udiff/delete", fence("--- a/a.sql\n+++ /dev/null\n@@ -1 +0,0 @@\n-select 1;\n", "diff"), None, {"a.sql": SQL}, {"a.sql": None}),
    ("udiff/delete-asked", fence("--- a/a.sql\n+++ /dev/null\n@@ -1 +0,0 @@\n-select 1;\n", "diff"), ["b.sql"], {"a.sql": SQL}, R({"delete_not_allowed", "unexpected_file"})),
    ("udiff/delete-wrong-text", fence("--- a/a.sql\n+++ /dev/null\n@@ -1 +0,0 @@\n-select 9;\n", "diff"), None, {"a.sql": SQL}, R({"patch_not_found"})),
    ("udiff/rename", fence("diff --git a/a.sql b/b.sql\nsimilarity index 100%\nrename from a.sql\nrename to b.sql\n", "diff"), None, {"a.sql": SQL}, {"a.sql": None, "b.sql": SQL}),
    ("udiff/twice-there-number-right", fence("--- a.txt\n+++ a.txt\n@@ -3 +3 @@\n-x\n+y\n", "diff"), None, {"a.txt": "x\nz\nx\n"}, {"a.txt": "x\nz\ny\n"}),
    ("udiff/twice-there-number-wrong", fence("--- a.txt\n+++ a.txt\n@@ -30 +30 @@\n-x\n+y\n", "diff"), None, {"a.txt": "x\nz\nx\n"}, R({"search_ambiguous", "patch_not_found", "ambiguous"})),
    ("udiff/no-newline-mark", fence("--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n", "diff"), None, {"a.txt": "x"}, {"a.txt": "y\n"}),
    ("udiff/no-newline-both", fence("--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n", "diff"), None, {"a.txt": "x"}, {"a.txt": "y"}),
    ("udiff/new-exists", fence("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+x\n", "diff"), None, {"a.txt": "old\n"}, R({"conflict", "patch_not_found"})),
    ("udiff/insert-without-context", fence("--- a.txt\n+++ a.txt\n@@ -1,0 +2 @@\n+y\n", "diff"), None, {"a.txt": "x\n"}, R({"patch_not_found"})),
    ("udiff/no-header-asked", fence("@@ -1 +1 @@\n-select 1;\n+select 2;\n", "diff"), ["a.sql"], {"a.sql": SQL}, {"a.sql": "select 2;\n"}),
    ("udiff/crlf-file", fence("--- a.txt\n+++ a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n", "diff"), None, {"a.txt": "a\r\nb\r\n"}, {"a.txt": "a\r\nc\r\n"}),
    ("udiff/removed-plus-lines", fence("--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n a\n--- b\n+++ c\n d\n", "diff"), None, {"a.txt": "a\n-- b\nd\n"}, ({"a.txt": "a\n++ c\nd\n"}, R({"patch_not_found", "ambiguous", "conflict"}))),
    ("udiff/unmarked-context", fence("--- a.txt\n+++ a.txt\n@@ -1,2 +1,2 @@\na\n-b\n+c\n", "diff"), None, {"a.txt": "a\nb\n"}, ({"a.txt": "a\nc\n"}, R({"patch_not_found"}))),
    ("udiff/two-hunks", fence("--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-a\n+A\n@@ -3 +3,2 @@\n-c\n+C\n+D\n", "diff"), None, {"a.txt": "a\nb\nc\n"}, {"a.txt": "A\nb\nC\nD\n"}),
    ("udiff/second-hunk-fails", fence("--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-a\n+A\n@@ -3 +3 @@\n-x\n+C\n", "diff"), None, {"a.txt": "a\nb\nc\n"}, R({"patch_not_found"})),
    ("udiff/elision", fence("--- a.py\n+++ a.py\n@@ -1 +1 @@\n-a\n+# ... rest of the code ...\n", "diff"), None, {"a.py": "a\n"}, R({"elision"})),
    ("udiff/unsafe", fence("--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+1\n", "diff"), None, {}, R({"unsafe_path"})),
    # V4A
    ("v4a/update", "*** Begin Patch\n*** Update File: area.py\n@@ def area(r):\n-    return math.pi * r * r\n+    return math.pi * r**2\n*** End Patch\n", None, KNOWN, OK2),
    ("v4a/delete", "*** Begin Patch\n*** Delete File: area.py\n*** End Patch\n", None, KNOWN, {"area.py": None}),
    ("v4a/move", "*** Begin Patch\n*** Update File: area.py\n*** Move to: circle.py\n@@\n-    return math.pi * r * r\n+    return math.pi * r**2\n*** End Patch\n", None, KNOWN, {"area.py": None, "circle.py": ADD2}),
    ("v4a/missing", "*** Begin Patch\n*** Update File: area.py\n@@\n-nope\n+x\n*** End Patch\n", None, KNOWN, R({"patch_not_found"})),
    ("v4a/fenced", fence("*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\n", ""), None, {}, {"a.txt": "x\n"}),
    ("v4a/heredoc", fence("apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\nEOF\n", "bash"), None, {}, {"a.txt": "x\n"}),
    ("v4a/anchors", "*** Begin Patch\n*** Update File: a.py\n@@ class B:\n     def f(self):\n-        return 1\n+        return 2\n*** End Patch\n", None, {"a.py": "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n"}, {"a.py": "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 2\n"}),
    ("v4a/add-exists", "*** Begin Patch\n*** Add File: area.py\n+x\n*** End Patch\n", None, KNOWN, R({"conflict"})),
    ("v4a/no-end", "*** Begin Patch\n*** Add File: a.txt\n+x\n", None, {}, R({"truncated"})),
    ("v4a/delete-asked", "*** Begin Patch\n*** Delete File: area.py\n*** End Patch\n", A, KNOWN, R({"delete_not_allowed"})),
    # JSON
    ("json/files", '{"files": [{"path": "a.py", "content": "x = 1\\n"}, {"path": "b.py", "content": "y\\n"}]}', None, {}, {"a.py": "x = 1\n", "b.py": "y\n"}),
    ("json/mapping", '{"a.py": "x = 1\\n", "src/b.py": "y\\n"}', None, {}, {"a.py": "x = 1\n", "src/b.py": "y\n"}),
    ("json/files-mapping", '{"files": {"a.py": "x = 1\\n"}}', None, {}, {"a.py": "x = 1\n"}),
    ("json/list", '[{"filename": "a.py", "code": "x = 1\\n"}]', None, {}, {"a.py": "x = 1\n"}),
    ("json/fenced", fence('{"path": "a.py", "content": "x = 1\\n"}\n', "json"), None, {}, {"a.py": "x = 1\n"}),
    ("json/package-json-is-content", '{\n  "name": "x",\n  "files": ["dist"]\n}\n', ["package.json"], {}, {"package.json": '{\n  "name": "x",\n  "files": ["dist"]\n}\n'}),
    ("json/package-json-fenced", fence('{\n  "name": "x",\n  "files": ["dist"]\n}\n', "json"), ["package.json"], {}, {"package.json": '{\n  "name": "x",\n  "files": ["dist"]\n}\n'}),
    ("json/content-that-looks-like-envelope", '{"path": "x", "content": "y"}\n', ["data.json"], {}, {"data.json": '{"path": "x", "content": "y"}\n'}),
    ("json/envelope-for-json", '{"path": "data.json", "content": "{}\\n"}\n', ["data.json"], {}, {"data.json": "{}\n"}),
    ("json/content-not-text", '{"path": "a.py", "content": ["x"]}', ["a.py"], {}, R({"bad_json"})),
    ("json/content-object", '{"path": "a.py", "content": {"x": 1}}', ["a.py"], {}, R({"bad_json"})),
    ("json/base64", '{"path": "a.py", "content": "eA==", "encoding": "base64"}', ["a.py"], {}, R({"bad_json"})),
    ("json/single-quotes", "{'path': 'a.py', 'content': 'x'}", ["a.py"], {}, R({"bad_json", "no_file", "ambiguous"})),
    ("json/doubled-key", '{"a.py": "x", "a.py": "y"}', ["a.py"], {}, R({"conflict"})),
    ("json/twice", '[{"path": "a.py", "content": "x"}, {"path": "a.py", "content": "y"}]', ["a.py"], {}, R({"conflict"})),
    ("json/unsafe", '{"path": "/etc/passwd", "content": "x"}', None, {}, R({"unsafe_path"})),
    ("json/tool-calls", '{"tool_calls": [{"function": {"name": "write_file", "arguments": "{\\"path\\": \\"a.py\\", \\"content\\": \\"x\\\\n\\"}"}}]}', None, {}, {"a.py": "x\n"}),
    ("json/edit", '{"path": "area.py", "old_string": "r * r", "new_string": "r**2"}', None, KNOWN, OK2),
    ("json/edit-twice-there", '{"path": "area.py", "old_string": "r", "new_string": "q"}', None, KNOWN, R({"search_ambiguous"})),
    ("json/fence-inside-content", '{"path": "a.py", "content": "```python\\nx = 1\\n```"}', None, {}, ({"a.py": "x = 1\n"}, R({"ambiguous"}))),
    ("json/error-object", '{"error": {"message": "rate limit", "code": 429}}', A, {}, R({"no_file", "bad_json", "ambiguous"})),
    ("json/crlf-content", '{"path": "a.py", "content": "x\\r\\ny\\r\\n"}', None, {}, {"a.py": "x\ny\n"}),
    ("json/lone-surrogate", '{"path": "a.py", "content": "\\ud800"}', None, {}, R({"bad_json", "no_file"})),
    # tags
    ("xml/name", '<file name="a.py">\nx = 1\n</file>\n', None, {}, {"a.py": "x = 1\n"}),
    ("xml/fenced", fence('<file path="a.py">\nx = 1\n</file>\n', "xml"), None, {}, {"a.py": "x = 1\n"}),
    ("xml/inner-fence", '<file path="a.py">\n```python\nx = 1\n```\n</file>\n', None, {}, {"a.py": "x = 1\n"}),
    ("xml/cline", "<write_to_file>\n<path>a.py</path>\n<content>\nx = 1\n</content>\n<line_count>1</line_count>\n</write_to_file>\n", None, {}, {"a.py": "x = 1\n"}),
    ("xml/bolt", '<boltArtifact id="x" title="y">\n<boltAction type="file" filePath="a.js">x = 1;\n</boltAction>\n</boltArtifact>\n', None, {}, {"a.js": "x = 1;\n"}),
    ("xml/escaped-code", '<file path="a.py">\nx = 1 &lt; 2\n</file>\n', None, {}, ({"a.py": "x = 1 < 2\n"}, R({"ambiguous"}))),
    ("xml/close-in-body", '<file path="a.xml">\n<a>\n</file>\n</a>\n</file>\n', None, {}, R({"ambiguous"})),
    ("xml/unclosed-stop", '<file path="a.py">\nx = 1\n', None, {}, R({"truncated"})),
    ("xml/unsafe", '<file path="../x">\nx = 1\n</file>\n', None, {}, R({"unsafe_path"})),
    ("xml/asked-svg-is-content", '<svg xmlns="x">\n<file path="q"/>\n</svg>\n', ["i.svg"], {}, ({"i.svg": '<svg xmlns="x">\n<file path="q"/>\n</svg>\n'}, R({"ambiguous"}))),
    ("xml/page-with-fences", '<file path="README.md">\n' + PAGE + "</file>\n", None, {}, {"README.md": PAGE}),
    # several files
    ("multi/case-collision", "a.py\n" + fence(ADD) + "\nA.py\n" + fence(ADD2), None, {}, R({"conflict"})),
    ("multi/nfc-collision", "caf\u00e9.py\n" + fence(ADD) + "\ncafe\u0301.py\n" + fence(ADD2), None, {}, ({"caf\u00e9.py": ADD2}, R({"conflict"}))),
    ("multi/file-and-folder", "a.d\n" + fence("x\n", "") + "\na.d/b.py\n" + fence(ADD), None, {}, R({"conflict", "no_path"})),
    ("multi/unlabelled-two", fence(ADD) + "\n" + fence(TEST), A2, {}, R({"no_path", "ambiguous", "missing_file"})),
    ("multi/one-unlabelled", "area.py\n" + fence(ADD) + "\nand\n\n" + fence(TEST), A2, {}, R({"no_path", "ambiguous", "missing_file"})),
    ("multi/unasked-only", "other.py\n" + fence(ADD), A, {}, R({"unexpected_file", "missing_file"})),
    ("multi/unsafe-second", "area.py\n" + fence(ADD) + "\n`../x.py`\n" + fence(TEST), None, {}, R({"unsafe_path"})),
    # nested
    ("nested/lang-inner", "README.md\n" + fence(PAGE, "markdown"), ["README.md"], {}, {"README.md": PAGE}),
    ("nested/four", "README.md\n" + fence(PAGE, "markdown", "````"), None, {}, {"README.md": PAGE}),
    ("nested/tilde-outer", "README.md\n" + fence(PAGE, "markdown", "~~~"), None, {}, {"README.md": PAGE}),
    ("nested/bare-inner-labelled", "README.md\n" + fence("# T\n\n```\nmake\n```\n\nEnd.\n", "markdown"), None, {}, ({"README.md": "# T\n\n```\nmake\n```\n\nEnd.\n"}, R({"ambiguous", "no_path"}))),
    ("nested/bare-inner-twice", "README.md\n" + fence("# T\n\n```\nmake\n```\n\n```\nmake b\n```\n", "markdown"), ["README.md"], {}, ({"README.md": "# T\n\n```\nmake\n```\n\n```\nmake b\n```\n"}, R({"ambiguous", "truncated"}))),
    ("nested/mixed-inner", "README.md\n" + fence("# T\n\n```sh\nmake\n```\n\n```\nout\n```\n\nEnd.\n", "markdown"), ["README.md"], {}, ({"README.md": "# T\n\n```sh\nmake\n```\n\n```\nout\n```\n\nEnd.\n"}, R({"ambiguous", "truncated"}))),
    ("nested/indented-inner", "README.md\n" + fence("1. Do:\n\n    ```sh\n    make\n    ```\n", "markdown"), None, {}, {"README.md": "1. Do:\n\n    ```sh\n    make\n    ```\n"}),
    ("nested/wrapped-markdown", fence("Here.\n\narea.py\n" + fence(ADD), "markdown", "````"), A, {}, (OK, R({"ambiguous"}))),
    ("nested/unclosed-then-next", "area.py\n```python\n" + ADD + "\ntest_area.py\n" + fence(TEST), A2, {}, R({"truncated", "ambiguous"})),
    ("nested/page-without-label-in-none", fence(PAGE, "markdown"), None, {}, R({"no_path"})),
    # twice
    ("twice/same", "area.py\n" + fence(ADD) + "\narea.py\n" + fence(ADD), A, {}, OK),
    ("twice/part-second", "long.py\n" + fence(LONG) + "\nlong.py\n" + fence("def f1(x):\n    return 0\n"), None, {}, R({"conflict", "ambiguous"})),
    ("twice/edit-then-whole", "area.py\n" + E1 + "\narea.py\n" + fence(ADD2), None, KNOWN, (OK2, R({"conflict"}))),
    ("twice/before-after", "area.py (before)\n" + fence(ADD) + "\narea.py (after)\n" + fence(ADD2), None, KNOWN, OK2),
    # bare
    ("bare/plain", ADD, A, {}, OK),
    ("bare/crlf", ADD.replace("\n", "\r\n"), A, {}, OK),
    ("bare/chatter-lead", "Here's the file:\n\n" + ADD, A, {}, (OK, R({"ambiguous", "no_file"}))),
    ("bare/chatter-tail", ADD + "\nThis function computes the area of a circle.\n", A, {}, (OK, R({"ambiguous", "no_file"}))),
    ("bare/chatter-middle", "import math\n\nNow the function that does the work:\n\ndef area(r):\n    return 1\n", A, {}, R({"ambiguous", "no_file"})),
    ("bare/csv", "a,b\n1,2\n", ["d.csv"], {}, {"d.csv": "a,b\n1,2\n"}),
    ("bare/yaml", "services:\n  web:\n    image: x\n", ["c.yml"], {}, {"c.yml": "services:\n  web:\n    image: x\n"}),
    ("bare/text", "Dear team,\n\nwe meet on Monday.\n", ["n.txt"], {}, {"n.txt": "Dear team,\n\nwe meet on Monday.\n"}),
    ("bare/sql", "SELECT a FROM b;\n", ["q.sql"], {}, {"q.sql": "SELECT a FROM b;\n"}),
    ("bare/markdown-refusal", "I'm sorry, but I can't help with that.", ["a.md"], {}, R({"no_file"})),
    ("bare/markdown-question", "Which sections would you like to have in the page?", ["a.md"], {}, R({"no_file", "ambiguous"})),
    ("bare/markdown-with-chatter", "Here is the page:\n\n" + PAGE, ["a.md"], {}, ({"a.md": PAGE}, R({"ambiguous", "no_file"}))),
    ("bare/python-with-fences-in-docstring", '"""Doc.\n\n```python\narea(1)\n```\n"""\n\nX = 1\n', A, {}, ({"area.py": '"""Doc.\n\n```python\narea(1)\n```\n"""\n\nX = 1\n'}, R({"ambiguous"}))),
    ("bare/provider-error", "Error: 429 Too Many Requests", A, {}, R({"no_file", "ambiguous"})),
    ("bare/provider-error-md", "Error: 429 Too Many Requests", ["a.md"], {}, R({"no_file", "ambiguous"})),
    ("bare/two-asked", ADD, A2, {}, R({"no_file", "no_path", "ambiguous", "missing_file"})),
    ("bare/plan", "Approach:\n\n1. Compute the area.\n2. Add tests.\n", A, {}, R({"no_file", "ambiguous"})),
    ("bare/done", "Done.", A, {}, R({"no_file", "ambiguous"})),
    ("bare/no-changes", "No changes are needed.", A, KNOWN, R({"no_file", "ambiguous"})),
    # elision
    *[
        (f"elision/{n}", fence(f"import math\n{line}\nX = 1\n", "python"), A, {}, R({"elision"}))
        for n, line in enumerate(
            ["# ... existing code ...", "# ...", "# rest of the code remains the same", "# (rest of the file unchanged)", "# ... other methods ...", "    # Existing code here",
             "# [rest of code]", "# The rest of the class stays the same", "# unchanged", "# ... keep the existing imports ...", "# …", "# ... (omitted for brevity)",
             "pass  # ... rest unchanged ...", "# previous code remains unchanged", "[... rest of the code ...]", "... rest of the code stays the same ..."]
        )
    ],
    *[
        (f"elision/js-{n}", fence(f"const a = 1;\n{line}\n", "js"), ["a.js"], {}, R({"elision"}))
        for n, line in enumerate(["// ... rest of the code", "/* ... */", "// existing code", "{/* ... rest of the component ... */}", "...", "  // ...existing code...", "// other functions remain unchanged"])
    ],
    *[
        (f"elision/fine-{n}", fence(f"import math\n{line}\n", "python"), A, {}, {"area.py": f"import math\n{line}\n"})
        for n, line in enumerate(
            ["x: tuple[int, ...] = ()", "def f(): ...", "    ...", "# Loading...", "print('# ... rest of the code ...')", "# The rest of the arguments are passed on to the parent",
             "# Existing users keep their settings", "# same as Java's substring, but safer", "# wait for more data...", "# Keep the order of the items stable", "raise ValueError('...')", "# see above for the original paper"]
        )
    ],
    ("elision/already-known", fence("# ... existing code ...\nX = 2\n"), A, {"area.py": "# ... existing code ...\nX = 1\n"}, {"area.py": "# ... existing code ...\nX = 2\n"}),
    ("elision/md-page-inner-code", fence("# T\n\n```python\n# ... rest of the code ...\n```\n", "markdown", "````"), ["a.md"], {}, {"a.md": "# T\n\n```python\n# ... rest of the code ...\n```\n"}),
    ("elision/md", fence("# T\n\n[... rest of the document unchanged ...]\n", "markdown"), ["a.md"], {}, R({"elision"})),
    ("elision/html-fine", fence("<!-- navigation -->\n<p>…</p>\n", "html"), ["a.html"], {}, {"a.html": "<!-- navigation -->\n<p>…</p>\n"}),
    ("elision/css", fence("a {}\n/* rest of the styles unchanged */\n", "css"), ["a.css"], {}, R({"elision"})),
    ("elision/sql", fence("select 1;\n-- ... other columns ...\n", "sql"), ["a.sql"], {}, R({"elision"})),
    # cut off
    ("cut/closed-asked", "area.py\n" + fence(ADD) + "\nThis fun", A, {}, (OK, R({"truncated"})), "length"),
    ("cut/closed-one-of-two", "area.py\n" + fence(ADD), A2, {}, R({"truncated", "missing_file"}), "length"),
    ("cut/page", fence("# T\n\n```\nmake\n", "markdown"), ["a.md"], {}, R({"truncated", "ambiguous"}), "length"),
    ("cut/diff", "```diff\n--- a/a.sql\n+++ b/a.sql\n@@ -1 +1 @@\n-select 1;\n+sel", None, {"a.sql": SQL}, R({"truncated"}), "length"),
    ("cut/empty", "", A, {}, R({"truncated", "empty"}), "length"),
    ("cut/json", '{"files": [{"path": "a.py", "content": "x', None, {}, R({"truncated", "bad_json"}), "length"),
    # nothing in it
    ("empty/nothing", "", A, {}, R({"empty"})),
    ("empty/bom", "\ufeff", A, {}, R({"empty"})),
    ("empty/heredoc", fence("cat > area.py <<EOF\nx\nEOF\n", ""), A, {}, R({"shell_command", "no_file"})),
    ("empty/heredoc-in-python-fence", fence("cat > area.py <<EOF\nx\nEOF\n"), A, {}, R({"shell_command", "no_file", "ambiguous"})),
    ("empty/over-known", "area.py\n```python\n```\n", A, KNOWN, R({"empty"})),
    # unsafe names
    *[
        (f"unsafe/{n}", f"`{name}`\n{fence(SQL, '')}", None, {}, R({"unsafe_path"}))
        for n, name in enumerate(
            ["/etc/passwd", "C:\\x.py", "C:/x.py", "\\\\h\\s\\x.py", "~/x.py", "~root/x.py", ".git/config", "a/.git/hooks/x", "../x.py", "a/../../x.py", "a/b\0.py", "/dev/null", ".GIT/x.py", "..\\x.py"]
        )
    ],
    ("unsafe/info", "```python:../x.py\nx\n```\n", None, {}, R({"unsafe_path"})),
    ("unsafe/sr", "../x.py\n" + edit("a\n", "b\n"), None, KNOWN, R({"unsafe_path"})),
    ("unsafe/v4a", "*** Begin Patch\n*** Add File: /etc/x\n+x\n*** End Patch\n", None, {}, R({"unsafe_path"})),
    ("unsafe/asked-and-extra", "area.py\n" + fence(ADD) + "\n/etc/passwd\n" + fence("x\n", ""), A, {}, R({"unsafe_path"})),
    # what a bare reply must not carry along, and blocks that show the file as it was
    ("bare/path-first", "area.py\n\n" + ADD, A, {}, (OK, R({"ambiguous"}))),
    ("bare/path-first-bold", "**area.py**\n\n" + ADD, A, {}, (OK, R({"ambiguous"}))),
    ("bare/language-first", "python\n" + ADD, A, {}, (OK, R({"ambiguous"}))),
    ("bare/notes-behind", ADD + "\n**Explanation**\n\n- uses pi\n", A, {}, (OK, R({"ambiguous"}))),
    ("bare/bullet-behind", ADD + "\n- uses pi\n", A, {}, (OK, R({"ambiguous"}))),
    ("bare/note-behind", ADD + "\nNote: uses pi\n", A, {}, (OK, R({"ambiguous"}))),
    ("bare/report-for-text", "The file has been updated successfully.", ["a.txt"], {}, R({"no_file"})),
    ("bare/report-for-notes", "All tests pass now.", ["a.txt"], {}, R({"no_file"})),
    ("twice/old-behind", "area.py\n" + fence(ADD2) + "\nThe original was:\n\narea.py\n" + fence(ADD), A, KNOWN, (OK2, R({"conflict", "ambiguous"}))),
    ("twice/only-old", "area.py (original)\n" + fence(ADD), A, {"area.py": ADD2}, R({"no_file", "missing_file", "ambiguous"})),
    ("twice/before-heading", "Before:\n\narea.py\n" + fence(ADD) + "\nAfter:\n\narea.py\n" + fence(ADD2), A, KNOWN, OK2),
    ("bare/apology-for-page", "I apologize for the confusion. I cannot do it.", ["a.md"], {}, R({"no_file"})),
    ("bare/error-page-for-page", "<html><head><title>502 Bad Gateway</title></head></html>", ["a.md"], {}, R({"no_file", "ambiguous"})),
    ("bare/error-page-for-html", "<html><head><title>502 Bad Gateway</title></head></html>", ["a.html"], {}, R({"no_file", "ambiguous"})),
]  # fmt: skip
