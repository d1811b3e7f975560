"""Every error that a caller can meet, as one tree.

    ScoreboardError                        status  code
    ├── SettingsError                        -     (stops the start; names the variable)
    │   └── AlreadyServed                    -     (another server runs where one alone may)
    └── RequestError                               (an answer in RFC 9457 form)
        ├── ValidationFailed                400    VALIDATION_ERROR
        ├── IdempotencyKeyRequired          400    IDEMPOTENCY_KEY_REQUIRED
        ├── Unauthorized                    401    UNAUTHORIZED
        │   └── TokenExpired                401    TOKEN_EXPIRED
        ├── Forbidden                       403    FORBIDDEN
        ├── SignatureInvalid                403    SIGNATURE_INVALID
        ├── NotFound                        404    NOT_FOUND
        │   └── InvalidAction               404    INVALID_ACTION
        ├── MethodNotAllowed                405    METHOD_NOT_ALLOWED
        ├── RequestTimeout                  408    REQUEST_TIMEOUT
        ├── AlreadyCompleted                409    ALREADY_COMPLETED
        ├── UsernameTaken                   409    USERNAME_TAKEN
        ├── PayloadTooLarge                 413    PAYLOAD_TOO_LARGE
        ├── UriTooLong                      414    URI_TOO_LONG
        ├── IdempotencyKeyReused            422    IDEMPOTENCY_KEY_REUSED
        ├── StartTokenInvalid               422    START_TOKEN_INVALID
        ├── TooSoon                         422    TOO_SOON
        ├── RateLimited                     429    RATE_LIMIT_EXCEEDED
        ├── HeadersTooLarge                 431    HEADERS_TOO_LARGE
        ├── InternalServerError             500    INTERNAL_SERVER_ERROR
        └── Unavailable                     503    SERVICE_UNAVAILABLE
            └── TimeLimitReached            503    SERVICE_UNAVAILABLE

The codes are the wire contract: clients branch on them. The docstring of a class is the `title` of
its answer; the message given when raising is the `detail`, and both are meant for strangers' eyes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar


class ScoreboardError(Exception):
    """Something that Scoreboard itself raises."""


class SettingsError(ScoreboardError):
    """A setting is wrong; `variable` is its name in the environment."""

    def __init__(self, variable: str, why: str) -> None:
        super().__init__(f"{variable}: {why}")
        self.variable = variable


class AlreadyServed(SettingsError):
    """Another server runs where one alone may."""


class RequestError(ScoreboardError):
    """The request was not carried out."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)

    @property
    def title(self) -> str:
        """The first line of the class docstring, the same for every instance (RFC 9457, 3.1.3)."""
        return (type(self).__doc__ or "").split("\n", 1)[0].rstrip(".")

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to this answer besides its media type."""
        return {}

    @property
    def extra(self) -> Mapping[str, Any]:
        """Members beside the five of RFC 9457 and `code`."""
        return {}


class ValidationFailed(RequestError):
    """The request is malformed."""

    status = 400
    code = "VALIDATION_ERROR"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field

    @property
    def extra(self) -> Mapping[str, Any]:
        """Which field was wrong, for a form that wants to mark it."""
        return {"field": self.field}


class IdempotencyKeyRequired(RequestError):
    """This call needs an Idempotency-Key header."""

    status = 400
    code = "IDEMPOTENCY_KEY_REQUIRED"


class Unauthorized(RequestError):
    """A valid bearer token is needed."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, detail: str = "", *, error: str | None = "invalid_token") -> None:
        super().__init__(detail)
        self.error = error

    @property
    def headers(self) -> Mapping[str, str]:
        """The challenge of RFC 6750, section 3: without an error when no token was sent at all."""
        challenge = 'Bearer realm="scoreboard"'
        return {
            "WWW-Authenticate": f'{challenge}, error="{self.error}"' if self.error else challenge
        }


class TokenExpired(Unauthorized):
    """The access token has expired."""

    code = "TOKEN_EXPIRED"


class Forbidden(RequestError):
    """The token lacks the scope for this call."""

    status = 403
    code = "FORBIDDEN"


class SignatureInvalid(RequestError):
    """The signature is missing, wrong, too old or used."""

    status = 403
    code = "SIGNATURE_INVALID"


class NotFound(RequestError):
    """There is nothing here."""

    status = 404
    code = "NOT_FOUND"


class InvalidAction(NotFound):
    """There is no such action."""

    code = "INVALID_ACTION"


class MethodNotAllowed(RequestError):
    """This path does not take that method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, allow: str) -> None:
        super().__init__(f"Use one of: {allow}.")
        self.allow = allow

    @property
    def headers(self) -> Mapping[str, str]:
        """`Allow` is mandatory here (RFC 9110, 15.5.6)."""
        return {"Allow": self.allow}


class RequestTimeout(RequestError):
    """The request took too long to arrive."""

    status = 408
    code = "REQUEST_TIMEOUT"


class AlreadyCompleted(RequestError):
    """This action is already completed."""

    status = 409
    code = "ALREADY_COMPLETED"

    def __init__(self, detail: str, completion: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.completion = completion

    @property
    def extra(self) -> Mapping[str, Any]:
        """The receipt of the completion that counted."""
        return {"completion": self.completion}


class UsernameTaken(RequestError):
    """This username is taken."""

    status = 409
    code = "USERNAME_TAKEN"


class PayloadTooLarge(RequestError):
    """The body is too large."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"


class UriTooLong(RequestError):
    """The path and its query are too long."""

    status = 414
    code = "URI_TOO_LONG"


class IdempotencyKeyReused(RequestError):
    """This Idempotency-Key belongs to another request."""

    status = 422
    code = "IDEMPOTENCY_KEY_REUSED"


class StartTokenInvalid(RequestError):
    """This action needs a start token that is yours, unused and not expired."""

    status = 422
    code = "START_TOKEN_INVALID"


class _RetryLater(RequestError):
    """A refusal that ends by itself after `retry_after` seconds (rounded up, at least 1)."""

    def __init__(self, detail: str = "", *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = max(1, math.ceil(retry_after))

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9110, 10.2.3."""
        return {"Retry-After": str(self.retry_after)}

    @property
    def extra(self) -> Mapping[str, Any]:
        """The same number in the body: browsers hide the header from other origins."""
        return {"retryAfter": self.retry_after}


class TooSoon(_RetryLater):
    """It is too soon to complete this action."""

    status = 422
    code = "TOO_SOON"


class RateLimited(_RetryLater):
    """Too many requests."""

    status = 429
    code = "RATE_LIMIT_EXCEEDED"

    def __init__(
        self, detail: str = "", *, retry_after: float, told: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self._told = told or {}

    @property
    def headers(self) -> Mapping[str, str]:
        """When to come back, and what the limit is."""
        return {**super().headers, **self._told}


class HeadersTooLarge(RequestError):
    """The headers are too large, or too many."""

    status = 431
    code = "HEADERS_TOO_LARGE"


class InternalServerError(RequestError):
    """Something went wrong on the server."""


class Unavailable(_RetryLater):
    """The service cannot do this right now; try again with the same Idempotency-Key."""

    status = 503
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, detail: str = "", *, retry_after: float = 1) -> None:
        super().__init__(detail, retry_after=retry_after)


class TimeLimitReached(Unavailable):
    """The service cannot do this right now; try again with the same Idempotency-Key.

    The database cancelled a statement, because it ran for too long or waited too long for a lock.
    Nothing of its transaction was kept.
    """
