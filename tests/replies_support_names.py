"""Names in other words and languages, what a block says of itself, frames of models' own formats, talk inside fences.

Cases have the form of :data:`tests.replies_support.CASES`.
"""

from __future__ import annotations

import json
from typing import Any

from tests.replies_support import ADD, KNOWN, TEST, A, R, edit, fence
from tests.replies_support_shapes import NO

P = "src/area.py"
OK = {P: ADD}
K = {P: ADD}
X = "x = 1\n"

#: Lines above a block that can only name its file.
ABOVE = [
    "Datei: `src/area.py`", "Datei `src/area.py`:", "Hier ist die Datei `src/area.py`:", "Fichier : `src/area.py`", "Voici le fichier `src/area.py` :",
    "Archivo: src/area.py", "Aquí está `src/area.py`:", "Arquivo: src/area.py", "Файл: `src/area.py`", "Вот файл `src/area.py`:", "文件：`src/area.py`",
    "文件名: src/area.py", "这是 `src/area.py` 的完整内容：", "ファイル: src/area.py", "以下は `src/area.py` です:", "파일: src/area.py",
    "## Step 1: Create src/area.py", "Step 2: Update the file src/area.py", "**`src/area.py`** – the formulas:", "`src/area.py` - the formulas",
    "a) src/area.py", "- [x] `src/area.py`", "src/area.py →", "⬇️ src/area.py ⬇️",
]  # fmt: skip
#: Lines that name a file and introduce something else.
NOT_ABOVE = [
    "Tests für `src/area.py`:", "Tests pour `src/area.py` :", "`src/area.py` - add this import:", "`src/area.py` – replace the function with:",
    "a.py - the first\nb.py - the second", "`src/area.py` - usage", "`src/area.py` - see `b.py`", "Ersetze in `src/area.py`:", "Siehe `src/area.py`:",
    "使用 `src/area.py` 的示例：", "`src/area.py` の使い方:", "En `src/area.py`, añade:", "в `src/area.py` добавьте:",
]  # fmt: skip
INFO = [
    "python src/area.py (new)", "python|src/area.py", "python;src/area.py", "python create src/area.py", "python:title=src/area.py",
]  # fmt: skip
#: First lines of a block that name its file and stay in it.
FIRST = [
    "## src/area.py", "# src/area.py (new file)", "# src/area.py - the formulas", "# Datei: src/area.py", "# 文件: src/area.py",
    "#!/usr/bin/env python3\n# src/area.py", "# -*- coding: utf-8 -*-\n# src/area.py",
]  # fmt: skip
NOT_FIRST = [
    "# src/area.py (excerpt)",
    "# src/area.py - only the changed part",
    "# src/area.py - line 30",
    "# see src/area.py - it has more",
]
SAID = [
    "I'm sorry, I can't help with that.", "Ich kann dir dabei leider nicht helfen.", "抱歉，我无法完成这个请求。", "No changes needed.",
    "The file has been created successfully.", "Error: 429 Too Many Requests", "None", "N/A", "TODO", "...", "(empty)", "[content]",
    "Summary of changes:\n- wrote the module\n- fixed typos",
]  # fmt: skip
APOLOGIES = [
    "Przykro mi, nie mogę pomóc.", "Omlouvám se, s tím nemohu pomoci.", "Sajnálom, ebben nem tudok segíteni.", "Îmi pare rău, nu pot ajuta.",
    "Συγγνώμη, δεν μπορώ να βοηθήσω.", "Valitettavasti en voi auttaa.", "Xin lỗi, tôi không thể giúp việc đó.", "Maaf, saya tidak bisa membantu.",
    "عذراً، لا أستطيع المساعدة في ذلك.", "מצטער, איני יכול לעזור בזה.", "ขออภัย ฉันไม่สามารถช่วยได้", "क्षमा करें, मैं इसमें मदद नहीं कर सकता।",
    "Perfect! I've updated it.", "As discussed.", "Thinking: the user wants a README.", "The README below covers installation and use.", "<content>",
]  # fmt: skip
ENDS = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "</s>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "<|im_end|>\n</s>",
]
CHANNELS = "<|channel|>analysis<|message|>hm, a page<|end|><|start|>assistant<|channel|>final<|message|>"
PAGE = "# Title\n\nText.\n"
NOTE = "src/area.py holds the formulas"

#: Names that look like something else, and are the file's.
ODD = [
    "# h.txt", "## a.md", "%s{x}.txt", "1. a.txt", "1) b.py", "(a.txt)", "'x.txt'", "_x.txt_", " a.txt", "name - description.txt", "a.txt - b.txt",
    "src/# x.md", "src/1. x.md", "create a.txt", "a (excerpt).md", "@a.txt", "=======", "TODO", "None", "Here is a.py", "tests for a.py", "import os.py",
]  # fmt: skip
#: Words above a block that are no path.
NO_PATHS = [
    "and/or", "n/a", "1/2", "### TCP/IP", "### Input/Output", "**Client/Server**", "2024/01/02", "### Node.js", "Next.js:", "**D3.js**", "`python slug.py`",
]  # fmt: skip
#: What a bare page may have around it that is not its text.
AROUND = [
    "README.md\n\n{}", "### README.md\n\n{}", "**README.md**\n\n{}", "File: README.md\n\n{}", "markdown\n{}", "{}\n---\n\nI kept the intro short. Let me know what you think!\n",
    "{}\n*Note: I left out the licence section, as I do not know it.*\n", "{}\n**Changes made:**\n- shortened the intro\n- fixed typos\n", "{}\n[End of file]\n",
]  # fmt: skip
LEFT_OUT = [
    "# … (unverändert)", "# restlicher Code unverändert", "# 其余代码不变", "# その他は変更なし", "# остальной код без изменений", "# reste du code inchangé",
    "# resto del código sin cambios", "# 나머지 코드는 동일", "[...]", "(...)", "# . . .", "# code continues here", "# implement the rest here", "# keep everything else as is",
]  # fmt: skip
NOT_LEFT_OUT = [
    "# skip the rest of the line",
    "# Read the rest of the file.",
    "x = [...]",
    "# Loading...",
    "# 其他工具",
    "# code 3 continues the chain of codes",
]
CODE = "import os\n\n\ndef a():\n    return 1\n\n\n"
RULED = f"=== area.py ===\n{ADD}\n=== test_area.py ===\n{TEST}"
WAS, IS = "q = 1\nr = 1\n", "q = 2\nr = 1\n"
MIXED = "a\r\nb\nc\r\n"

NAMES: list[tuple[Any, ...]] = [
    *((f"names/above-{n}", f"Ok.\n\n{line}\n\n{fence(ADD)}", None, {}, OK) for n, line in enumerate(ABOVE)),
    *((f"names/not-above-{n}", f"Ok.\n\n{line}\n\n{fence(X)}", None, K, NO) for n, line in enumerate(NOT_ABOVE)),
    *((f"names/info-{n}", fence(ADD, info), None, {}, OK) for n, info in enumerate(INFO)),
    *((f"names/first-{n}", fence(f"{line}\n{ADD}"), None, {}, {P: f"{line}\n{ADD}"}) for n, line in enumerate(FIRST)),
    *((f"names/not-first-{n}", fence(f"{line}\n{X}"), None, K, NO) for n, line in enumerate(NOT_FIRST)),
    ("names/braces-and-dot", fence(ADD, "{.python}"), A, {}, {"area.py": ADD}),
    ("names/alone-on-the-first-line", fence(f"area.py\n{ADD}"), A, {}, {"area.py": ADD}),
    ("names/alone-on-the-first-line-any", fence(f"{P}\n{ADD}"), None, {}, OK),
    ("names/a-list-of-files", fence("area.py\ntest_area.py\nREADME.md\n", ""), None, {}, NO),
    ("names/a-list-that-is-the-file", fence("area.py\nbuild/\n", ""), [".gitignore"], {}, {".gitignore": "area.py\nbuild/\n"}),
    ("names/a-list-that-is-the-file-2", fence("area.py\nx = 1\n", ""), ["files.txt"], {}, {"files.txt": "area.py\nx = 1\n"}),
    ("names/language-on-the-first-line", fence(f"python\n{ADD}", ""), A, {}, NO),
    ("names/at-sign", f"@{P}\n{fence(X)}", None, K, {P: X}),
    ("names/at-sign-folder", "@types/x.d.ts\n" + fence("let x = 1;\n", "ts"), None, {}, {"@types/x.d.ts": "let x = 1;\n"}),
    ("names/file-called-new-code", "File: new code.py\n" + fence(ADD), None, {}, {"new code.py": ADD}),
    ("frames/closing-tag-is-no-path", "<analysis>\nhm\n</analysis>\n" + fence(ADD), A, {}, {"area.py": ADD}),
    ("frames/document-contents", f"<documents>\n<document index=\"1\">\n<source>{P}</source>\n<document_contents>\n{ADD}</document_contents>\n</document>\n</documents>\n", None, {}, OK),
    ("frames/unquoted", f"<file path={P}>\n{ADD}</file>\n", None, {}, OK),
    ("frames/unquoted-delete", f"<delete_file path={P}/>\n", None, K, {P: None}),
    *((f"frames/{tag}", f"<{tag} path=\"{P}\">\n{ADD}</{tag}>\n", None, {}, OK) for tag in ("code", "artifact", "codeblock", "write", "lov-write")),
    ("frames/code-in-a-page", "# T\n\n<code title=\"a.py\">\nx\n</code>\n\nEnd\n", ["a.md"], {}, {"a.md": "# T\n\n<code title=\"a.py\">\nx\n</code>\n\nEnd\n"}),
    ("frames/escaped-page", "<file path=\"a.html\">\n&lt;p&gt;x&lt;/p&gt;\n</file>", None, {}, R({"ambiguous"})),
    ("frames/page-with-an-escape", "<file path=\"a.html\">\n<p>a &lt; b &gt; c</p>\n</file>", None, {}, {"a.html": "<p>a &lt; b &gt; c</p>\n"}),
    ("frames/json-string", json.dumps(ADD), A, {}, R({"ambiguous"})),
    ("frames/json-number", json.dumps({"path": "a.txt", "content": 5}), None, {}, R({"bad_json"})),
    ("frames/json-result", json.dumps({"result": {"files": [{"path": P, "content": ADD}]}}), None, {}, OK),
    ("frames/json-error", json.dumps({"error": {"message": "rate limit exceeded", "type": "x"}}), ["data.json"], {}, R({"no_file"})),
    ("frames/json-error-file", json.dumps({"error": "none"}), ["error.json"], {}, {"error.json": json.dumps({"error": "none"}) + "\n"}),
    ("frames/no-json", "(empty)", ["data.json"], {}, R({"no_file"})),
    ("frames/no-json-2", "[content]", ["data.json"], {}, NO),
    *((f"frames/end-{n}", f"{PAGE.rstrip()}{end}", ["a.md"], {}, {"a.md": PAGE}) for n, end in enumerate(ENDS)),
    ("frames/end-of-the-file", "Ends with\n<|im_end|>\n", ["a.txt"], {"a.txt": "End with\n<|im_end|>\n"}, ({"a.txt": "Ends with\n<|im_end|>\n"}, NO)),
    ("frames/struck-through", "# T\n\n<s>old</s>", ["a.md"], {}, {"a.md": "# T\n\n<s>old</s>\n"}),
    ("frames/channels", CHANNELS + PAGE, ["a.md"], {}, {"a.md": PAGE}),
    ("frames/channels-source", CHANNELS + ADD + "<|return|>", A, {}, {"area.py": ADD}),
    ("frames/channels-no-answer", "<|channel|>analysis<|message|>hm, a page", ["a.md"], {}, R({"truncated"})),
    ("frames/turn", "<|im_start|>assistant\n" + PAGE + "<|im_end|>", ["a.md"], {}, {"a.md": PAGE}),
    *((f"said/fence-{n}", fence(text + "\n", ""), A, {}, NO) for n, text in enumerate(SAID)),
    *((f"said/named-{n}", "area.py\n" + fence(text + "\n"), None, {}, NO) for n, text in enumerate(SAID)),
    *((f"said/page-{n}", text, [name], {}, NO) for name in ("README.md", "notes.txt") for n, text in enumerate(APOLOGIES)),
    ("said/page-fence", fence("I'm sorry, I can't help with that.\n", ""), ["a.md"], {}, R({"no_file"})),
    ("said/a-poem", fence("Sorry, says the rain,\nand falls again.\n", ""), ["a.md"], {}, {"a.md": "Sorry, says the rain,\nand falls again.\n"}),
    ("said/a-short-script", fence("ls -la\n", "sh"), ["list.sh"], {}, {"list.sh": "ls -la\n"}),
    ("said/a-print", fence("puts 'Hello, world!'\n", "ruby"), ["hello.rb"], {}, {"hello.rb": "puts 'Hello, world!'\n"}),
    ("said/only-pass", fence("pass\n"), A, {}, {"area.py": "pass\n"}),
    ("said/a-comment", fence("# Nothing here yet.\n"), A, {}, {"area.py": "# Nothing here yet.\n"}),
    *((f"odd/whole-{n}", f"{name}\n````\n{IS}````\n", [name], {name: WAS}, {name: IS}) for n, name in enumerate(ODD)),
    *((f"odd/two-{n}", f"{name}\n````\n{IS}````\n\nother.md\n````\n# T\n````\n", [name, "other.md"], {}, {name: IS, "other.md": "# T\n"}) for n, name in enumerate(ODD)),
    *((f"odd/ticked-{n}", f"`{name}`\n````\n{IS}````\n", [name], {name: WAS}, {name: IS}) for n, name in enumerate(ODD) if name.strip() == name),
    *((f"odd/edit-{n}", f"{name}\n{edit('q = 1' + chr(10), 'q = 2' + chr(10))}", [name], {name: WAS}, {name: IS}) for n, name in enumerate(ODD)),
    ("odd/a-dash-in-a-new-name", "**`Chapter 1 - The Mill.md`**\n````\n# T\n````\n", None, {}, {"Chapter 1 - The Mill.md": "# T\n"}),
    ("ends/mixed", fence("a\nb\nc\nd\n", ""), ["x.txt"], {"x.txt": MIXED}, {"x.txt": MIXED + "d\r\n"}),
    ("ends/mixed-mostly-lf", fence("a\nb\nc\nd\n", ""), ["x.txt"], {"x.txt": "a\r\nb\nc\n"}, {"x.txt": "a\r\nb\nc\nd\n"}),
    *((f"no-path/{n}", f"Ok.\n\n{line}\n\n{fence(X)}", None, {}, NO) for n, line in enumerate(NO_PATHS)),
    ("no-path/bin", "bin/run\n" + fence("#!/bin/sh\nls\n", "sh"), None, {}, {"bin/run": "#!/bin/sh\nls\n"}),
    ("no-path/known", "and/or\n" + fence("x\n", ""), None, {"and/or": "y\n"}, {"and/or": "x\n"}),
    ("no-path/product-asked", "### Vue.js\n\n" + fence("let x = 1;\n", "js"), ["cart.js"], {}, {"cart.js": "let x = 1;\n"}),
    *((f"around/{n}", text.format(PAGE), ["README.md"], {}, NO) for n, text in enumerate(AROUND)),
    ("around/answer-with-a-tag", f"## Solution\n\n<file path=\"README.md\">\n{PAGE}</file>\n", ["README.md"], {}, {"README.md": PAGE}),
    ("around/answer-with-a-page", f"## Solution\n\n````\n{PAGE}\n```sh\nls\n```\n````\n\nDone.\n", ["README.md"], {}, NO),
    ("around/answer-cut", "## Solution\n\nHere is `", ["README.md"], {}, NO),
    *((f"around/heading-{n}", text, [name], {}, NO) for n, (text, name) in enumerate([("## Solution", "README.md"), ("## Sol", "area.py"), ("### `area.py`\n", "area.py"), ("## Solution\n\narea.py\n", "area.py"), ("Project tree:\n", "README.md"), ("<thi", "area.py")])),
    ("around/only-a-title", "# Title\n", ["README.md"], {}, {"README.md": "# Title\n"}),
    ("around/output-behind-a-long-fence", f"````\n{PAGE}\n```sh\nls\n```\n````\n\nOutput:\n\n```\na-b\n```\n", ["README.md"], {}, {"README.md": f"{PAGE}\n```sh\nls\n```\n"}),
    *((f"said/json-{n}", json.dumps({"files": [{"path": "area.py", "content": text}]}), A, {}, NO) for n, text in enumerate(SAID)),
    *((f"said/tag-{n}", f"<file path=\"area.py\">\n{text}\n</file>\n", A, {}, NO) for n, text in enumerate(SAID)),
    *((f"frames/page-in-{tag}", f"<{tag}>\n{PAGE}</{tag}>\n", ["a.md"], {}, NO) for tag in ("result", "response", "document", "content", "output")),
    ("frames/page-in-quotes", f'\"\"\"\n{PAGE}\"\"\"\n', ["a.md"], {}, NO),
    ("frames/page-of-html", "<div>\n<h1>T</h1>\n</div>\n", ["a.md"], {}, {"a.md": "<div>\n<h1>T</h1>\n</div>\n"}),
    ("frames/page-escaped", "# T\\n\\nText.\\n", ["a.md"], {}, NO),
    ("frames/source-escaped", fence("import re\\n\\ndef a():\\n    pass\n"), A, {}, NO),
    ("frames/source-escaped-for-a-page", fence("if a &lt; b and c &gt; d:\n    x = 1\n"), A, {}, NO),
    ("frames/source-that-escapes", fence('x = "a &lt; b"\ny = x.replace("<", "&lt;")\n'), A, {}, (NO, {"area.py": 'x = "a &lt; b"\ny = x.replace("<", "&lt;")\n'})),
    *((f"frames/numbered-{n}", fence("".join(f"{number}{mark}{line}\n" for number, line in enumerate(ADD.splitlines(), 1))), A, {}, NO) for n, mark in enumerate([" ", ": ", "\t", " | "])),
    ("frames/numbers", fence("1,\n2,\n", ""), ["n.csv"], {}, {"n.csv": "1,\n2,\n"}),
    ("frames/copy-button", fence(f"Copy code\n{ADD}"), A, {}, NO),
    ("frames/tag-in-a-tag", '<file path="a.py">\nx = 1\n<file path="b.py">\ny = 2\n</file>\n', None, {}, NO),
    ("frames/talk-and-a-fence-in-a-tag", f"<file path=\"area.py\">\nHere:\n{fence(ADD)}</file>\n", A, {}, NO),
    *((f"frames/front-matter-{n}", f"{mark}{info}\n---\ntitle: x\n---\n\n# T\n{mark}\n", ["a.md"], {}, {"a.md": "---\ntitle: x\n---\n\n# T\n"}) for n, (mark, info) in enumerate([("```", ""), ("````", ""), ("~~~", ""), ("```", "markdown")])),
    ("frames/minified", fence("var a='\\n\\n',b='\\n';f(a,b);\n", "js"), ["a.min.js"], {}, {"a.min.js": "var a='\\n\\n',b='\\n';f(a,b);\n"}),
    ("frames/source-with-a-fence-in-it", f'``````\n\"\"\"Doc.\n\n```python\nx = 1\n```\n\"\"\"\n{ADD}``````\n', A, {}, {"area.py": f'\"\"\"Doc.\n\n```python\nx = 1\n```\n\"\"\"\n{ADD}'}),
    ("names/a-comment-about-another", fence("# help.txt - the help that is sent with the module\n" + ADD), A, {}, {"area.py": "# help.txt - the help that is sent with the module\n" + ADD}),
    ("names/a-page-with-ruled-names", f"````\n{PAGE}\n**get-pip.py**\n\nMore.\n````\n", ["a.md"], {}, {"a.md": f"{PAGE}\n**get-pip.py**\n\nMore.\n"}),
    ("known/case-twin", "Area.py\n" + fence(X), None, {"area.py": ADD}, R({"conflict"})),
    ("known/folder-twin", "SRC/area.py\n" + fence(X), None, {P: ADD}, R({"conflict"})),
    ("known/file-as-folder", "area.py/x.py\n" + fence(X), None, {"area.py": ADD}, R({"conflict"})),
    ("known/folder-as-file", "docs.md\n" + fence("x\n", ""), None, {"docs.md/a.txt": "y\n"}, R({"conflict"})),
    ("known/neighbours", "src/b.py\n" + fence(X), None, {P: ADD, "src.py": ADD}, {"src/b.py": X}),
    ("around/title", "# README.md\n\nText.\n", ["README.md"], {}, {"README.md": "# README.md\n\nText.\n"}),
    ("around/changes-chapter", f"{PAGE}\n## Changes\n\n- Fixed the text\n", ["README.md"], {}, {"README.md": f"{PAGE}\n## Changes\n\n- Fixed the text\n"}),
    ("around/ruled-source", f"=== area.py ===\n{ADD}", A, {}, NO),
    ("around/comment", f"# area.py\n{ADD}", A, {}, {"area.py": f"# area.py\n{ADD}"}),
    ("around/two-ruled-in-a-fence", fence(RULED, ""), None, {}, NO),
    ("around/table", "| file | content |\n|---|---|\n| area.py | `x = 1` |\n", A, {}, NO),
    ("around/marked-lines", "area.py\n" + fence("-import math\n+import cmath\n"), A, KNOWN, NO),
    *((f"left-out/{n}", f"area.py\n{fence(CODE + line + chr(10))}", A, {}, R({"elision"})) for n, line in enumerate(LEFT_OUT)),
    *((f"not-left-out/{n}", f"area.py\n{fence(CODE + line + chr(10))}", A, {}, {"area.py": f"{CODE}{line}\n"}) for n, line in enumerate(NOT_LEFT_OUT)),
    ("use/output", fence(ADD) + "\nOutput:\n\n" + fence("3.14\n", ""), A, {}, {"area.py": ADD}),
    ("use/usage", fence(ADD) + "\n**Example usage:**\n\n" + fence("from area import area\nprint(area(1))\n"), A, {}, {"area.py": ADD}),
    ("use/two-files", fence(ADD) + "\nAnd the tests:\n\n" + fence(TEST), A, {}, R({"ambiguous"})),
    ("use/first-is-use", "Usage:\n\n" + fence("print(area(1))\n") + "\nThe module:\n\n" + fence(ADD), A, {}, NO),
]  # fmt: skip
