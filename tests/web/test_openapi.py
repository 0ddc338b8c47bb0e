"""The OpenAPI document, and whatever it allows: no answer is ever a fault of the server."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext, suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.serving import PATIENCE, Served, wait_for_end

#: Examples an operation; more of them with WINDLASS_TEST_FUZZ=60 (a few minutes).
EXAMPLES = int(os.environ.get("WINDLASS_TEST_FUZZ", "5"))
TEXT = st.text(max_size=30) | st.sampled_from(
    ["", "last", "*", "../x", "%00", "\x00", "{{x}}", "😀", "1e999", "-1"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def values(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What fits a schema; a little also of what does not."""
    if "$ref" in schema:
        return values(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return st.one_of([values(each, document) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | TEXT
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        required = {k: values(v, document) for k, v in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=required) | JSON
    if kind == "array":
        return st.lists(values(schema["items"], document) if "items" in schema else JSON, max_size=3)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        "integer": st.integers(-5, 2**70),
        "number": st.floats() | st.integers(),
        "boolean": st.booleans(),
        "null": st.none(),
        "string": TEXT,
    }
    return simple.get(kind, JSON)


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    """The OpenAPI document."""
    with served.client() as client:
        found: dict[str, Any] = client.get("/api/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    return [(method, path, op) for path, of in document["paths"].items() for method, op in of.items()]


def test_the_document_is_complete(document: dict[str, Any]) -> None:
    paths = {(method, path) for method, path, _ in operations(document)}
    for name in ("resume", "cancel", "fork", "answer", "undo", "redo"):
        assert ("post", f"/api/runs/{{run_id}}/{name}") in paths
    for method, path, operation in operations(document):
        assert operation["description"], path
        success = next(code for code in operation["responses"] if code.startswith("2"))
        schema = operation["responses"][success]["content"]["application/json"]["schema"]
        assert schema, (method, path)
        assert "4XX" in operation["responses"]


def test_whatever_is_sent_the_server_has_no_fault(served: Served, document: dict[str, Any]) -> None:
    served.web.guard.requests.burst = 1e9
    with served.client() as client:
        run_id = served.start(client)
        wait_for_end(client, run_id)
        prompt = client.get("/api/prompts").json()[0]["name"]
        bad: list[str] = []

        @settings(
            max_examples=EXAMPLES * len(operations(document)),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def send(data: st.DataObject) -> None:
            method, path, operation = data.draw(st.sampled_from(operations(document)))
            query: dict[str, Any] = {}
            headers = {}
            for parameter in operation.get("parameters", []):
                strategy = values(parameter["schema"], document)
                if parameter["in"] == "path":
                    real = {"run_id": run_id, "name": prompt}[parameter["name"]]
                    value = data.draw(
                        st.just(real) | st.just(real) | TEXT.filter(lambda t: t not in ("", ".", ".."))
                    )
                    path = path.replace(
                        f"{{{parameter['name']}}}", httpx.QueryParams({"": value}).__str__()[1:]
                    )
                elif parameter["in"] == "query" and data.draw(st.booleans()):
                    query[parameter["name"]] = str(data.draw(strategy)).encode("utf-8", "replace").decode()
            content = None
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                body = data.draw(values(schema, document))
                content = json.dumps(body).encode("utf-8", "replace")
                headers["Content-Type"] = "application/json"
            answer = client.request(method, path, params=query, content=content, headers=headers)
            if answer.status_code >= 500:
                bad.append(f"{method} {path} {query} {content!r}: {answer.status_code} {answer.text[:200]}")
            assert answer.status_code < 500, bad[-1]
            if answer.status_code >= 400:
                assert set(answer.json()) == {"error"}

        send()
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_answers_are_as_the_document_says(
    served: Served, document: dict[str, Any], mode: schemathesis.GenerationMode
) -> None:
    """Schemathesis over every operation: what fits the document and what does not; of a real run, and of others."""
    served.web.guard.requests.burst = 1e9
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    if mode is schemathesis.GenerationMode.NEGATIVE:
        checks.append(negative_data_rejection)
    with served.client() as client:
        run_id = served.start(client)
        wait_for_end(client, run_id)
        real = {"run_id": run_id, "name": client.get("/api/prompts").json()[0]["name"]}
    seen: dict[str, set[int]] = {}
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        named = {name: value for name, value in real.items() if f"{{{name}}}" in operation.path}
        for path_parameters in (named, None) if named else (None,):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(mode, path_parameters=path_parameters))
            def answer(case: schemathesis.Case) -> None:
                headers = {**served.headers, "Content-Type": "application/json"}
                response = case.call(base_url=served.url, headers=headers, timeout=PATIENCE)
                # Too large is refused as well, though not among the statuses that Schemathesis takes for a refusal.
                wanted = checks[:4] if response.status_code == 413 else checks
                case.validate_response(response, checks=wanted, headers=headers)
                seen.setdefault(case.operation.label, set()).add(response.status_code)

            # Nothing can be wrong about an operation that takes nothing.
            with suppress(Unsatisfiable) if mode is schemathesis.GenerationMode.NEGATIVE else nullcontext():
                answer()
    if mode is schemathesis.GenerationMode.POSITIVE:
        assert len(seen) == len(operations(document))
        assert sum(min(statuses) < 300 for statuses in seen.values()) >= 12, seen
    else:
        assert sum(422 in statuses for statuses in seen.values()) >= 14, seen
