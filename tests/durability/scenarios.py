"""Work for the kill tests: a small program, wrong at first, repaired, with two files written side by side."""

from __future__ import annotations

import json

from bench.support.kills import Scenario

WORDS = "def words(text):\n    return text.lower().split()\n"
SLUG = 'from words import words\n\n\ndef slugify(text):\n    return "-".join(words(text))\n'
WRONG_SLUG = 'from words import words\n\n\ndef slugify(text):\n    return "_".join(words(text))\n'
LIMITS = "LONGEST = 80\n"
TEST = (
    'from slug import slugify\n\n\ndef test_slugify():\n    assert slugify("Hello  World") == "hello-world"\n'
)
PLAN = {
    "files": [
        {"path": "words.py", "purpose": "words(text)", "depends_on": []},
        {"path": "limits.py", "purpose": "limits", "depends_on": []},
        {"path": "slug.py", "purpose": "slugify(text)", "depends_on": ["words.py"]},
    ],
    "tests": [{"path": "test_slug.py", "purpose": "slugify"}],
}


def fenced(path: str, text: str) -> str:
    return f"{path}\n```python\n{text}```\n"


SLUG_WORK = Scenario(
    "slug",
    ["run", "coding", "A function slugify(text) that joins the words of a text with dashes"],
    [
        {"step": "requirement_step", "text": '{"acceptance_criteria": ["One dash."], "open_questions": []}'},
        {"step": "design_step", "text": json.dumps(PLAN)},
        {"step": "test_generation_step*", "text": fenced("test_slug.py", TEST)},
        {"step": "implementation_step[words.py]", "text": fenced("words.py", WORDS)},
        {"step": "implementation_step[limits.py]", "text": fenced("limits.py", LIMITS)},
        {"step": "implementation_step[slug.py]", "text": fenced("slug.py", WRONG_SLUG)},
        {"step": "testing_step.repair*", "text": fenced("slug.py", SLUG)},
        {"step": "summary_step", "text": "slugify(text) joins the words of a text with dashes."},
    ],
)

#: The same, but one reply can be held before its end, to do something meanwhile.
SLOW_WORK = Scenario(
    "slow slug",
    SLUG_WORK.arguments,
    [
        {**answer, **({"until": "go"} if answer["step"] == "implementation_step[slug.py]" else {})}
        for answer in SLUG_WORK.answers
    ],
)
