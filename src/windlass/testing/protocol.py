"""What the test server is asked and what it answers: requests, answers, faults, and their bytes on the wire.

The format is OpenAI's chat-completions API (https://platform.openai.com/docs/api-reference/chat).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

#: ``stall``: never goes on. ``clean_end``: the stream ends properly but without a finish_reason. ``cut``: the same,
#: in the middle of a line. ``drop``: the connection is closed in the middle. ``reset``: the same, with a TCP reset.
#: ``malformed``: JSON that does not parse. ``raw``: ``body`` with status 200, as it is. ``error_event``: an error
#: object inside an open stream.
FaultKind = Literal["status", "stall", "clean_end", "cut", "drop", "reset", "malformed", "raw", "error_event"]


@dataclass(frozen=True)
class Request:
    """One request as it arrived; ``number`` counts from 1 over the life of the server."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as it was sent."""
        return list(self.body.get("messages", []))

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools offered to the model."""
        return list(self.body.get("tools") or [])

    @property
    def stream(self) -> bool:
        """Whether the client wants server-sent events."""
        return bool(self.body.get("stream"))

    @property
    def text(self) -> str:
        """The whole conversation as one text, to match patterns against."""
        return "\n".join(_plain(message.get("content")) for message in self.messages)

    @property
    def run_id(self) -> str:
        """What ``X-Windlass-Run`` says, decoded; empty without that header."""
        return unquote(self.headers.get("x-windlass-run", ""))

    @property
    def step(self) -> str:
        """What ``X-Windlass-Step`` says, decoded; empty without that header."""
        return unquote(self.headers.get("x-windlass-step", ""))

    @property
    def prompt(self) -> str:
        """What ``X-Windlass-Prompt`` says, decoded; empty without that header."""
        return unquote(self.headers.get("x-windlass-prompt", ""))


@dataclass(frozen=True)
class Answer:
    """A model's answer. Token counts left None are taken from the text, four characters a token.

    ``delay``: seconds before the first byte. ``chunk``: characters in each streamed piece; ``seconds_per_chunk``:
    the wait before each. ``until``: a file's path; the stream stays open before its end until that file is there.
    ``usage=False`` says nothing about tokens. ``reasoning`` is thinking that comes before the text, in
    ``reasoning_content``.
    """

    text: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    delay: float = 0.0
    chunk: int = 16
    seconds_per_chunk: float = 0.0
    until: str | None = None
    finish_reason: str | None = "stop"
    usage: bool = True
    reasoning: str = ""
    refusal: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()

    def usage_for(self, request: Request) -> dict[str, Any]:
        """The ``usage`` object."""
        asked = _count(request.text) if self.input_tokens is None else self.input_tokens
        said = _count(self.text) if self.output_tokens is None else self.output_tokens
        usage: dict[str, Any] = {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        }
        if self.cached_tokens is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached_tokens}
        return usage


@dataclass(frozen=True)
class Fault:
    """A way to fail. In a stream it comes after ``after_chunks`` pieces of ``answer``.

    ``status``, ``retry_after`` (the header's value, as sent), ``message`` and ``code`` matter to kind ``status`` and
    ``error_event``.
    """

    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    message: str = "the test server fails on purpose"
    code: str | None = None
    body: str = "{}"
    after_chunks: int = 0
    answer: Answer = field(
        default_factory=lambda: Answer("This text comes before the fault and is not complete.")
    )

    def error_body(self) -> dict[str, Any]:
        """The ``error`` object, in OpenAI's shape."""
        return {"error": {"message": self.message, "type": "test_error", "param": None, "code": self.code}}


#: Decides what to answer. Called in the server's own thread: it must not block.
Handler = Callable[[Request], "Answer | Fault"]


def completion(request: Request, answer: Answer) -> bytes:
    """The body of a plain answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal or None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = list(answer.tool_calls)
    body = _frame(request, "chat.completion")
    body["choices"] = [{"index": 0, "message": message, "finish_reason": answer.finish_reason}]
    if answer.usage:
        body["usage"] = answer.usage_for(request)
    return json.dumps(body).encode()


def pieces(request: Request, answer: Answer) -> Iterator[bytes]:
    """The server-sent events that carry the text; :func:`ending` completes the stream."""
    yield _event(request, {"role": "assistant", "content": ""})
    for text in _split(answer.reasoning, answer.chunk):
        yield _event(request, {"reasoning_content": text})
    for text in _split(answer.refusal, answer.chunk):
        yield _event(request, {"refusal": text})
    for text in _split(answer.text, answer.chunk):
        yield _event(request, {"content": text})
    if answer.tool_calls:
        yield _event(
            request, {"tool_calls": [{"index": i, **call} for i, call in enumerate(answer.tool_calls)]}
        )


def ending(request: Request, answer: Answer) -> Iterator[bytes]:
    """The events after the text: finish_reason, usage where it was asked for, ``[DONE]``."""
    yield _event(request, {}, answer.finish_reason)
    wanted = (request.body.get("stream_options") or {}).get("include_usage")
    if answer.usage and wanted:
        yield _data(
            {**_frame(request, "chat.completion.chunk"), "choices": [], "usage": answer.usage_for(request)}
        )
    yield b"data: [DONE]\n\n"


def error_event(fault: Fault) -> bytes:
    """An error object inside a stream that had begun well."""
    return _data(fault.error_body())


def model_list(names: Sequence[str]) -> bytes:
    """The body of ``/v1/models``."""
    return json.dumps(
        {"object": "list", "data": [{"id": n, "object": "model", "created": 0} for n in names]}
    ).encode()


def _event(request: Request, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data({**_frame(request, "chat.completion.chunk"), "choices": [choice]})


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _frame(request: Request, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.number}",
        "object": kind,
        "created": 1_700_000_000,
        "model": request.model,
    }


def _split(text: str, size: int) -> Iterator[str]:
    return (text[i : i + size] for i in range(0, len(text), max(size, 1)))


def _count(text: str) -> int:
    return -(-len(text) // 4)


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
