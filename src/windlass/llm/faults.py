"""pydantic-ai's exceptions turned into ours, each one sentence that says what to set or whether to wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from windlass.errors import ModelError, ModelRefused, ModelUnavailable
from windlass.extras import install_command, package_command
from windlass.llm.config import PROVIDERS, Target

#: How much of a provider's own words goes into an error.
_QUOTE = 200


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
        """Our error for one of pydantic-ai's, the SDK's or the HTTP library's."""
        from pydantic_ai import exceptions as theirs

        if isinstance(error, theirs.ModelHTTPError):
            return self._status(error, partial)
        unbuilt = None if partial else next(filter(None, map(_why_unbuilt, _causes(error))), None)
        if unbuilt is not None:
            return ModelRefused(f"{self.place} was not asked: {unbuilt}.")
        if isinstance(error, theirs.ModelTimeoutError | theirs.ModelConnectionError):
            unsent = error.phase in ("connect", "pool")
            what = "cannot be reached" if unsent else "closed the connection before the reply was complete"
            if isinstance(error, theirs.ModelTimeoutError):
                what = "did not answer in time"
            advice = " Check the network and the base URL." if unsent else ""
            return ModelUnavailable(
                f"{self.place} {what}.{advice}",
                partial=partial,
                maybe_paid=not unsent,
                retry_after=error.retry_after,
            )
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
        return ModelUnavailable(
            f"{self.place} sent a reply that is not in the expected form.", partial=partial
        )

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

    def _status(self, error: Any, partial: str) -> ModelError:
        from pydantic_ai import exceptions as theirs

        status = error.status_code
        if status in (401, 403):
            # The provider's words are left out: they tend to quote the key.
            keys = " or ".join(PROVIDERS[self.target.provider].keys) or "its API key"
            return ModelRefused(f"{self.place} does not accept the API key ({status}): check {keys}.")
        if status == 404:
            return ModelRefused(
                f"{self.place} does not know the model {self.target.name!r} (404): check its name and the base URL."
            )
        if isinstance(error, theirs.ModelQuotaExceededError):
            return ModelRefused(
                f"{self.place} says that the account's credit or quota is used up ({status}): {self._quote(error)}."
            )
        if isinstance(error, theirs.ModelContextWindowExceededError):
            return ModelRefused(
                f"The request is too long for {self.place}: {self._quote(error)}. Give it fewer files, or lower "
                "max_output_tokens."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            word = "limits the rate of requests" if status == 429 else "is not available"
            # 429 and 503 are sent instead of doing the work; any other may come after it.
            return ModelUnavailable(
                f"{self.place} {word} ({status}): {self._quote(error)}.",
                retry_after=_retry_after(error),
                maybe_paid=error.in_stream or status not in (408, 425, 429, 503, 529),
                partial=partial,
            )
        return ModelRefused(
            f"{self.place} refused the request ({status}): {self._quote(error)}.", partial=partial
        )

    def _quote(self, error: Exception) -> str:
        body = getattr(error, "body", None)
        words = None
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


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, the members of a group, and what each came from."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [e for e in (one.__cause__, one.__context__) if e is not None]
            left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def _why_unbuilt(error: BaseException) -> str | None:
    """Why no request could be made of what we gave, so that nobody was asked and nothing is owed; None for all else.

    Never with the error's own words: they quote the text, and keys.
    """
    if isinstance(error, UnicodeEncodeError):  # what comes back is decoded, only what goes out is encoded
        if error.encoding == "utf-8":
            return "the request holds text that is not valid Unicode, such as a file name or message that was not UTF-8"
        return "its API key or a header has a character that a header cannot hold"
    if isinstance(error, TypeError) and "JSON serializable" in str(error):
        return "the request holds a value that JSON cannot express; check the options of its alias"
    port = isinstance(error, OverflowError) and "port must be" in str(error)
    if port or type(error).__name__ in ("UnsupportedProtocol", "InvalidURL"):
        return "its address cannot be used; check the base URL"
    return None


def _retry_after(error: Any) -> float | None:
    known: float | None = error.retry_after
    if known is not None:
        return known
    # pydantic-ai reads whole seconds and HTTP dates; some gateways send fractions of a second.
    try:
        seconds = float((error.headers or {}).get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
