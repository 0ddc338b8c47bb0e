"""What the API says is what the OpenAPI document, the reference and the page's types say it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.serving import Served, wait_for_end

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
TYPES = (ROOT / "frontend" / "src" / "types.ts").read_text(encoding="utf-8")
#: Schemas whose keys the reference names one by one.
NAMED = (
    "Meta", "Model", "StatsRow", "RunRow", "Run", "Usage", "StepRow", "CallRow", "Call", "PromptOfCall",
    "ChangedFile", "FileDetail", "FileWrite", "PromptRow", "Prompt", "PromptVersion", "PromptSwitch",
)  # fmt: skip
#: Interfaces of the page that have another name in the document.
PAGES = {"FileRow": "ChangedFile", "VersionStats": "PromptVersionStats"}


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    """The OpenAPI document."""
    with served.client() as client:
        found: dict[str, Any] = client.get("/api/openapi.json").json()
    return found


def keys(document: dict[str, Any], name: str) -> set[str]:
    """What an object of that name has."""
    return set(document["components"]["schemas"][name]["properties"])


def undeclared(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    """Keys that an answer has and its schema has not."""
    if "$ref" in schema:
        at = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][at]
    if at == "EventRow":
        return  # each kind of event has its own
    if isinstance(value, list):
        for each in value:
            yield from undeclared(document, schema.get("items", {}), each, at)
    elif isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            if key not in schema["properties"]:
                yield f"{at}.{key}"
            else:
                yield from undeclared(document, schema["properties"][key], inner, at)
    for one in schema.get("anyOf", []):
        yield from undeclared(document, one, value, at)


def test_every_key_of_an_answer_is_in_the_document(
    served: Served, client: httpx.Client, document: dict[str, Any]
) -> None:
    run = served.start(client)
    wait_for_end(client, run)
    fork = client.post(f"/api/runs/{run}/fork", json={"from": "chat_step"}).json()["run_id"]
    wait_for_end(client, fork)
    named = {"run_id": run, "name": client.get("/api/prompts").json()[0]["name"]}
    params = {"/api/runs/{run_id}/call": {"path": "chat_step/model[0]"}}
    asked = 0
    for path, operations in document["paths"].items():
        answers = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if "schema" not in answers.get("application/json", {}):
            continue
        answer = client.get(path.format(**named), params=params.get(path, {}))
        if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
            asked += 1
            found = undeclared(document, answers["application/json"]["schema"], answer.json(), path)
            assert sorted(set(found)) == []
    assert asked >= 10


@pytest.mark.parametrize("name", NAMED)
def test_the_reference_names_every_key(document: dict[str, Any], name: str) -> None:
    words = set(re.findall(r"[a-z_0-9]+", REFERENCE))
    assert sorted(keys(document, name) - words) == []


def interfaces() -> dict[str, set[str]]:
    """The page's types: every key by the interface it is in, those that it takes from another included."""
    found: dict[str, set[str]] = {}
    for name, above, body in re.findall(
        r"export interface (\w+)(?: extends (\w+))? \{\n(.*?)\n\}", TYPES, re.DOTALL
    ):
        found[name] = set(re.findall(r"^  (\w+)\??:", body, re.MULTILINE)) | found.get(above, set())
    return found


def test_the_page_reads_nothing_that_the_server_does_not_say(document: dict[str, Any]) -> None:
    checked = 0
    for name, read in interfaces().items():
        schema = PAGES.get(name, name)
        if schema in document["components"]["schemas"]:
            checked += 1
            assert sorted(read - keys(document, schema)) == [], name
    assert checked >= 14


@pytest.mark.parametrize("name", ["RunRow", "StepRow", "Usage", "StatsRow"])
def test_the_page_reads_all_that_is_said_of_a_cost(document: dict[str, Any], name: str) -> None:
    cost = {"cost_usd", "known_cost_usd", "unpriced_calls"}
    assert cost <= keys(document, name)
    assert cost <= interfaces()[name]
