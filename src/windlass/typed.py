"""JSON out of a reply, checked: for steps that want data rather than files."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import pydantic

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


def find_json(text: str) -> Any:
    """The last JSON object or array of a reply, bare, fenced or among chatter. ValueError when there is none."""
    text = _THINKING.sub("", text)
    _, orphan, rest = text.rpartition("</think>")
    if orphan:
        text = rest
    decoder = json.JSONDecoder()
    found: list[Any] = []
    at = 0
    tries = 0
    while tries < 200:
        start = min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)
        if start < 0:
            break
        tries += 1
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        if isinstance(value, dict | list) and value:
            found.append(value)
    if not found:
        raise ValueError("the reply holds no JSON object; answer with one JSON object and nothing else.")
    return max(found, key=lambda value: len(json.dumps(value)))


def read_json(text: str, model: type[ModelT]) -> ModelT:
    """The reply's JSON as a checked ``model``. ValueError says what is wrong, field by field."""
    value = find_json(text)
    fields = model.model_fields
    if isinstance(value, list) and len(fields) >= 1:
        # A bare list where an object with one list is wanted is a common and unambiguous slip.
        first = next(iter(fields))
        value = {first: value}
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(p) for p in item['loc']) or 'the object'}: {item['msg']}"
            for item in error.errors()[:5]
        )
        raise ValueError(
            f"the JSON does not fit: {problems}. Answer again with the whole corrected JSON object."
        ) from None
