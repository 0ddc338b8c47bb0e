"""What went wrong at a model turned into our errors, each one sentence that says what to set or whether to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from windlass.errors import ModelError, ModelRefused, ModelUnavailable
from windlass.extras import install_command, package_command
from windlass.llm.config import PROVIDERS, Target

#: How much of a provider's own words goes into an error.
_QUOTE = 200

#: Codes by which compatible servers say that waiting does not help.
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota", "billing_hard_limit_reached", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
    }
)  # fmt: skip
#: How servers without a code for it say that a request is too long.
_TOO_LONG = ("maximum context length", "reduce the length of the messages")
#: The status an error inside a stream would have had before it.
_STATUS_OF_CODE: Mapping[str, int] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    **dict.fromkeys(_QUOTA_CODES, 429),
    "context_length_exceeded": 400,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "server_is_overloaded": 503,
    "overloaded": 503,
    "server_error": 500,
}


class ServerError(Exception):
    """A server answered with an error; ``status`` None: inside a reply, without a word that tells its kind."""

    def __init__(
        self,
        status: int | None,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        in_stream: bool = False,
    ) -> None:
        super().__init__(f"the server answered with an error ({status})")
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.in_stream = in_stream

    @classmethod
    def inside(cls, body: Mapping[str, Any]) -> ServerError:
        """An error object where a reply should be, although the status was 200."""
        error = body.get("error")
        said = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
        words = [str(word) for word in said if word]
        status = next((_STATUS_OF_CODE[word] for word in words if word in _STATUS_OF_CODE), None)
        if status is None:
            status = next((int(word) for word in words if word.isdigit() and 400 <= int(word) < 600), None)
        return cls(status, body, in_stream=True)

    @property
    def kind(self) -> Literal["quota", "too long"] | None:
        """What the server says of its reason, where that matters more than the status."""
        error = self.body.get("error", self.body) if isinstance(self.body, dict) else self.body
        said = error if isinstance(error, dict) else {}
        message = str(said.get("message") if said else error or "").lower()
        if self.status == 402 or said.get("code") in _QUOTA_CODES or said.get("type") in _QUOTA_CODES:
            return "quota"
        if said.get("code") == "context_length_exceeded" or any(words in message for words in _TOO_LONG):
            return "too long"
        return None


class ConnectionFailed(Exception):
    """The connection failed; ``unsent``: before anything of the request had left."""

    def __init__(self, unsent: bool, timeout: bool) -> None:
        super().__init__("the connection failed")
        self.unsent = unsent
        self.timeout = timeout


class BadForm(Exception):
    """What came is not in the expected form."""


@dataclass(frozen=True)
class Teller:
    """Tells what went wrong at one model."""

    shown: str
    target: Target
    secrets: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The model and, where it is not the provider's own, the address."""
        return f"{self.shown} at {self.target.shown_url}" if self.target.base_url else self.shown

    def translate(self, error: Exception, partial: str) -> ModelError:
        """Our error for one of ours from below, pydantic-ai's, the SDK's or the HTTP library's."""
        if isinstance(error, ServerError):
            return self._answered(error, partial)
        if isinstance(error, ConnectionFailed):
            return self._connection(error.unsent, error.timeout, None, partial)
        if isinstance(error, BadForm):
            return self._bad_form(partial)
        from pydantic_ai import exceptions as theirs

        if isinstance(error, theirs.ModelHTTPError):
            return self._status(
                error.status_code,
                "quota"
                if isinstance(error, theirs.ModelQuotaExceededError)
                else "too long"
                if isinstance(error, theirs.ModelContextWindowExceededError)
                else None,
                self._quote(error),
                error.retry_after if error.retry_after is not None else retry_after(error.headers or {}),
                error.in_stream,
                partial,
            )
        if isinstance(error, theirs.ModelTimeoutError | theirs.ModelConnectionError):
            unsent = error.phase in ("connect", "pool")
            timeout = isinstance(error, theirs.ModelTimeoutError)
            return self._connection(unsent, timeout, error.retry_after, partial)
        if isinstance(error, theirs.ModelQuotaExceededError | theirs.ModelRequestRejectedError):
            return ModelRefused(f"{self.place} refused the request: {self._quote(error)}.", partial=partial)
        if isinstance(error, theirs.ContentFilterError):
            return ModelRefused(
                f"{self.place} refused the content of the request.", partial=partial, maybe_paid=True
            )
        if isinstance(error, theirs.ModelAPIError):
            return ModelUnavailable(
                f"{self.place} failed: {self._quote(error)}.", partial=partial, retry_after=error.retry_after
            )
        return self._bad_form(partial)

    def cannot_start(self, error: Exception) -> ModelRefused:
        """Our error when the model's client cannot be built: a package or a key is missing."""
        provider = PROVIDERS[self.target.provider]
        if isinstance(error, ImportError):
            return ModelRefused(
                f"{self.shown} needs a package that is not installed: {install_hint(provider.extra)}"
            )
        if provider.keys and self.target.own and not self.target.api_key:
            keys = " or ".join(provider.keys)
            return ModelRefused(f"{self.shown} needs an API key: set {keys}, or api_key_env of its alias.")
        return ModelRefused(f"{self.shown} cannot be used: {self._quote(error)}.")

    def too_slow(self, what: str, seconds: float, partial: str) -> ModelUnavailable:
        """Our error for one of our own timeouts."""
        return ModelUnavailable(f"{self.place} {what} within {seconds:g} s.", partial=partial)

    def _bad_form(self, partial: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self.place} sent a reply that is not in the expected form.", partial=partial
        )

    def _connection(self, unsent: bool, timeout: bool, after: float | None, partial: str) -> ModelUnavailable:
        what = "cannot be reached" if unsent else "closed the connection before the reply was complete"
        if timeout:
            what = "did not answer in time"
        advice = " Check the network and the base URL." if unsent else ""
        return ModelUnavailable(
            f"{self.place} {what}.{advice}", partial=partial, maybe_paid=not unsent, retry_after=after
        )

    def _answered(self, error: ServerError, partial: str) -> ModelError:
        after = retry_after(error.headers)
        if error.status is None:
            return ModelUnavailable(
                f"{self.place} failed: {self._quote(error)}.", partial=partial, retry_after=after
            )
        words = self._quote(error)
        return self._status(error.status, error.kind, words, after, error.in_stream, partial)

    def _status(
        self,
        status: int,
        kind: str | None,
        words: str,
        after: float | None,
        in_stream: bool,
        partial: str,
    ) -> ModelError:
        if status in (401, 403):
            # The provider's words are left out: they tend to quote the key.
            keys = " or ".join(PROVIDERS[self.target.provider].keys) or "its API key"
            return ModelRefused(f"{self.place} does not accept the API key ({status}): check {keys}.")
        if status == 404:
            return ModelRefused(
                f"{self.place} does not know the model {self.target.name!r} (404): check its name and the base URL."
            )
        if kind == "quota":
            return ModelRefused(
                f"{self.place} says that the account's credit or quota is used up ({status}): {words}."
            )
        if kind == "too long":
            return ModelRefused(
                f"The request is too long for {self.place}: {words}. Give it fewer files, or lower "
                "max_output_tokens."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            word = "limits the rate of requests" if status == 429 else "is not available"
            # 429 and 503 are sent instead of doing the work; any other may come after it.
            return ModelUnavailable(
                f"{self.place} {word} ({status}): {words}.",
                retry_after=after,
                maybe_paid=in_stream or status not in (408, 425, 429, 503, 529),
                partial=partial,
            )
        return ModelRefused(f"{self.place} refused the request ({status}): {words}.", partial=partial)

    def _quote(self, error: Exception) -> str:
        body = getattr(error, "body", None)
        words = body if isinstance(body, str) else None
        if isinstance(body, dict):
            inner = body.get("error", body)
            words = inner.get("message") if isinstance(inner, dict) else inner
        text = " ".join(str(words or getattr(error, "message", "") or error or type(error).__name__).split())
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return (text[:_QUOTE] + "…" if len(text) > _QUOTE else text).rstrip(".")


def install_hint(extra: str) -> str:
    """The command that installs what a provider needs: an extra of ours, or a package by its name."""
    if not extra:
        return package_command("pydantic-ai-slim[openai]")
    return package_command(extra) if "[" in extra else install_command(extra)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to be left alone, from its headers; None when it does not say, or not clearly."""
    named = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(named.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        until = parsedate_to_datetime(named.get("retry-after", ""))
    except ValueError:
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
