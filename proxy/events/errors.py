"""The errors of a request, with the status and type that the client gets.

::

    ProxyError                      status, Anthropic error type, message, headers
    ├── InvalidRequest              400 invalid_request_error    the client's body is broken
    ├── RequestTooLarge             413 request_too_large        the client's body is too big
    ├── RequestCancelled            499 api_error                a person cancelled it here: no retry
    ├── Unauthenticated             401 authentication_error     the proxy's own token is missing or wrong
    ├── Forbidden                   403 permission_error         not this machine, or a foreign web page
    ├── NotFound                    404 not_found_error          no such path or model
    └── UpstreamError                                            the model's side
        ├── UpstreamUnavailable     529 overloaded_error         not there, loading or broken off: retry
        ├── UpstreamRateLimited     429 rate_limit_error         too many requests: retry later
        ├── UpstreamRejected        400 invalid_request_error    it does not accept the request
        ├── UpstreamModelMissing    404 not_found_error          it does not have the model
        ├── ContextOverflow         400 invalid_request_error    the prompt does not fit: compact
        └── UpstreamFailed          500 api_error                it failed in a way that a retry may cure

Anthropic's clients retry 429, 5xx and 529 before output has begun. An upstream's fault is never a 401,
which would start an account login in Claude Code.
"""

from __future__ import annotations

from typing import Any

from proxy.events.causes import CANCELLED_BY_YOU
from proxy.events.types import ErrorInfo

_NO_RETRY = {"x-should-retry": "false"}
MAX_RETRY_AFTER_S = 60  # clients stop retrying when they should wait longer


class ProxyError(Exception):
    """Base of all errors that reach the client as an Anthropic error body.

    `details` are fields for programs: Anthropic's SDKs act on an `error_code` among them. `cause` is for
    people who look at many requests: the client does not get it.
    """

    status = 500
    type = "api_error"
    cause = "proxy failed"

    def __init__(
        self,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
        cause: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}
        self.details = details
        self.cause = cause or self.cause

    @property
    def info(self) -> ErrorInfo:
        return ErrorInfo(type=self.type, message=self.message, cause=self.cause)


class InvalidRequest(ProxyError):
    """Raised by `proxy.anthropic.messages` for a body that no translation can be made of; names the place."""

    status = 400
    type = "invalid_request_error"
    cause = "invalid request"


class RequestCancelled(ProxyError):
    """Raised for a request that a person cancels on the host; the client shall not repeat it.

    Claude Code 2.1.332 asks again with less in the request after 400 and 422, whatever the headers say, and
    after 500 it calls this a fault of the server. 499, nginx's for a client that left, it shows as it is.
    """

    status = 499
    cause = CANCELLED_BY_YOU

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=_NO_RETRY)


class RequestTooLarge(ProxyError):
    """Raised while the body is read, as soon as it is known to be over the limit."""

    status = 413
    type = "request_too_large"
    cause = "request too large"


class Unauthenticated(ProxyError):
    """Raised by `proxy.api.access` when a token is asked for and the client has another or none."""

    status = 401
    type = "authentication_error"
    cause = "token refused"


class Forbidden(ProxyError):
    """Raised by `proxy.api.access` for another machine without a token, or a foreign web page."""

    status = 403
    type = "permission_error"
    cause = "not allowed"


class NotFound(ProxyError):
    """Raised for paths and models that do not exist here."""

    status = 404
    type = "not_found_error"
    cause = "not found"


class UpstreamError(ProxyError):
    """Base of what a backend raises, before or in the middle of its stream."""


class UpstreamUnavailable(UpstreamError):
    """Raised when the upstream cannot be reached, is loading, or broke off; the client should retry.

    `retry_after_s` is rounded up to whole seconds between 1 and 60.
    """

    status = 529
    type = "overloaded_error"
    cause = "upstream not ready"

    def __init__(self, message: str, *, retry_after_s: float = 2.0, cause: str = "") -> None:
        super().__init__(message, headers=_retry_after(retry_after_s), cause=cause)


class UpstreamRateLimited(UpstreamError):
    """Raised when the upstream answers 429; `retry_after_s` as it said, at most 60."""

    status = 429
    type = "rate_limit_error"
    cause = "rate limited"

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message, headers=_retry_after(retry_after_s))


class UpstreamRejected(UpstreamError):
    """Raised when the upstream calls the translated request invalid."""

    status = 400
    type = "invalid_request_error"
    cause = "rejected by upstream"


class UpstreamModelMissing(UpstreamError):
    """Raised when the upstream answers 404: it does not have the model, or not this API."""

    status = 404
    type = "not_found_error"
    cause = "no such model"


class ContextOverflow(UpstreamError):
    """Raised when the prompt does not fit into the model's context window.

    The wording is the one that Claude Code recognises: it then compacts the conversation, or retries with
    a smaller `max_tokens` where only that does not fit. Any other wording leaves its session dead.
    Numbers that the upstream does not report are 0 and left out.
    """

    status = 400
    type = "invalid_request_error"
    cause = "prompt too long"

    def __init__(self, prompt_tokens: int = 0, limit: int = 0, *, max_tokens: int = 0) -> None:
        if 0 < prompt_tokens < limit < prompt_tokens + max_tokens:
            sizes = f"{prompt_tokens} + {max_tokens} > {limit}"
            message = f"input length and `max_tokens` exceed context limit: {sizes}"
            cause = "max_tokens too large"
        else:
            sizes = f": {prompt_tokens} tokens > {limit} maximum" if limit else ""
            message = f"prompt is too long{sizes} (capability_rejected: prompt_too_long)"
            cause = ""
        super().__init__(message, cause=cause)
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class UpstreamFailed(UpstreamError):
    """Raised when the upstream failed by its own account; with `retry` False the client shall not repeat."""

    status = 500
    type = "api_error"
    cause = "upstream failed"

    def __init__(self, message: str, *, retry: bool = True, cause: str = "") -> None:
        super().__init__(message, headers={} if retry else _NO_RETRY, cause=cause)


def error_body(info: ErrorInfo, request_id: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """Anthropic's error shape: the body of a failed request, and the data of an `error` event."""
    error: dict[str, Any] = {"type": info.type, "message": info.message}
    if details:
        error["details"] = details
    return {"type": "error", "error": error, "request_id": request_id}


def _retry_after(seconds: float) -> dict[str, str]:
    return {"retry-after": str(min(MAX_RETRY_AFTER_S, max(1, int(-(-seconds // 1)))))}
