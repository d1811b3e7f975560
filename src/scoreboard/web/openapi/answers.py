"""The answers: their headers, and every refusal by its code."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from scoreboard.errors import (
    AlreadyCompleted,
    Forbidden,
    HeadersTooLarge,
    IdempotencyKeyRequired,
    InternalServerError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    RequestTimeout,
    SignatureInvalid,
    TokenExpired,
    Unauthorized,
    Unavailable,
    UriTooLong,
    UsernameTaken,
    ValidationFailed,
)
from scoreboard.scoring import refusals
from scoreboard.web.headers import SECURITY
from scoreboard.web.openapi.examples import ALLOWANCE, ANSWER
from scoreboard.web.openapi.nodes import Node, pattern, ref, schema, whole
from scoreboard.web.parse import MAX_BODY
from scoreboard.web.problems import Problem


def _header(form: Node, description: str, *, always: bool = True) -> Node:
    return {"description": description, "required": always, "schema": form}


# By the names that the code gives these headers, so that a value here is the one that is sent.
_secured: Final = {name.decode(): value.decode() for name, value in SECURITY}
_SECURITY: Final = {
    "X-Content-Type-Options": "The media type is not guessed.",
    "Content-Security-Policy": "Shown as a page, an answer loads and runs nothing.",
    "Referrer-Policy": "Where one goes from here is not told this address.",
    "Cross-Origin-Resource-Policy": "No other site embeds an answer.",
}

HEADERS: Final[Node] = {
    "X-Request-Id": _header(
        pattern("^[A-Za-z0-9._~-]{1,64}$"), "Names this request; the server's log has it too."
    ),
    **{name: _header({"const": _secured[name.lower()]}, told) for name, told in _SECURITY.items()},
    "No-Store": _header({"const": "no-store"}, "Not kept by any cache."),
    "No-Cache": _header({"const": "no-cache"}, "A cache asks before each use."),
    "ETag": _header(pattern('^W/"[0-9a-f]{18}"$'), "The `version`, for `If-None-Match`."),
    "Retry-After": _header(whole(1), "Seconds to wait."),
    "Too-Soon": _header(whole(1), "Seconds to wait, for `TOO_SOON`.", always=False),
    "RateLimit-Policy": _header(
        pattern('^"default";q=[0-9]+;w=[0-9]+$', examples=[ALLOWANCE.headers["RateLimit-Policy"]]),
        "At most `q` calls in any `w` seconds.",
    ),
    "RateLimit": _header(
        pattern('^"default";r=[0-9]+;t=[0-9]+$', examples=[ALLOWANCE.headers["RateLimit"]]),
        "`r` calls are left; in `t` seconds there is one more.",
    ),
    "Idempotent-Replayed": _header(
        {"const": "true"}, "This is the receipt of an earlier call.", always=False
    ),
    "WWW-Authenticate": _header(pattern('^Bearer realm="scoreboard"'), "RFC 6750."),
    "X-Accel-Buffering": _header({"const": "no"}, "Proxies pass each event on at once."),
}
_ALWAYS: Final = ("X-Request-Id", *_SECURITY)
# Headers that come with different values, or not always, are components of these names.
_CALLED: Final = {
    "No-Store": "Cache-Control",
    "No-Cache": "Cache-Control",
    "Too-Soon": "Retry-After",
}
LIMIT_HEADERS: Final = ("RateLimit-Policy", "RateLimit")


def answer(
    description: str,
    content: Node | None = None,
    *,
    cache: str | None = None,
    headers: Collection[str] = (),
) -> Node:
    """An answer with the headers that every one has, and these."""
    names = (*_ALWAYS, *headers, *([cache] if cache else []))
    named = {_CALLED.get(name, name): ref("headers", name) for name in names}
    body = {"content": content} if content else {}
    return {"description": description, "headers": named, **body}


def _problem(*errors: RequestError, headers: Collection[str] = ()) -> Node:
    """The answer of errors that share a status, with each as an example.

    `headers` come on top of those that all of the errors have. What is special about these errors
    stands beside the reference, where JSON Schema 2020-12 applies both. In an `allOf`, a generator
    of clients would have to merge the two, and openapi-python-client drops an answer if it cannot.
    This way every error of every operation is one class, `Problem`.
    """
    always = set.intersection(*({*error.extra} for error in errors))
    shared = [name for name in errors[0].headers if all(name in error.headers for error in errors)]
    narrowed = {
        "properties": {
            "status": {"const": errors[0].status},
            "code": {"enum": sorted({error.code for error in errors})},
        },
        "required": sorted(always),
    }
    examples = {error.code: {"value": json.loads(bytes(Problem(error).body))} for error in errors}
    return answer(
        " Or: ".join(f"{error.title}." for error in errors),
        {
            Problem.media_type: {
                "schema": {**schema("Problem"), **narrowed},
                "examples": examples,
            }
        },
        cache="No-Store",
        headers=[*dict.fromkeys([*shared, *headers])],
    )


_TOO_MANY: Final = RateLimited("Too many attempts.", retry_after=17, told=ALLOWANCE.headers)

# Named by what happened; the status of each is the one of its errors.
RESPONSES: Final[Node] = {
    "BodyMalformed": _problem(ValidationFailed("username", "is required")),
    "QueryMalformed": _problem(ValidationFailed("limit", "must be a whole number from 1 to 100")),
    "CompletionMalformed": _problem(
        ValidationFailed("data", "must be an object"),
        refusals.key_required(),
        headers=LIMIT_HEADERS,
    ),
    "StartMalformed": _problem(
        ValidationFailed("actionId", "has no minElapsedSeconds: complete it right away")
    ),
    "IncrementMalformed": _problem(
        ValidationFailed("points", "must be a whole number from 1 to 100"),
        IdempotencyKeyRequired("An increment needs an Idempotency-Key header."),
    ),
    "Unauthorized": _problem(Unauthorized("The access token is not valid."), TokenExpired()),
    "CredentialsWrong": _problem(Unauthorized("The username or the password is wrong.")),
    "RefreshTokenInvalid": _problem(
        Unauthorized("The refresh token is not valid (any more): log in again.")
    ),
    "Forbidden": _problem(Forbidden("This needs a token with the scope admin.")),
    "IncrementForbidden": _problem(
        Forbidden("This needs a token with the scope scores:write."),
        SignatureInvalid("The signature does not match the request."),
    ),
    "NotFound": _problem(NotFound("There is no such board.")),
    "NoSuchPlayer": _problem(NotFound("There is no such player.")),
    "NothingToVoid": _problem(refusals.nothing_to_void()),
    # A slash in the id makes it another path, where there is nothing.
    "NoSuchPath": _problem(NotFound("There is nothing at '/api/v1/admin/actions/a/b'.")),
    "InvalidAction": _problem(
        refusals.invalid_action(), NotFound("There is nothing at '/api/v1/actions/a/b/complete'.")
    ),
    "AlreadyCompleted": _problem(AlreadyCompleted("", ANSWER), headers=LIMIT_HEADERS),
    "UsernameTaken": _problem(UsernameTaken()),
    "PayloadTooLarge": _problem(PayloadTooLarge(f"A body may have at most {MAX_BODY} bytes.")),
    "IdempotencyKeyReused": _problem(refusals.key_reused()),
    "CompletionRefused": _problem(
        refusals.key_reused(),
        refusals.start_invalid(),
        refusals.too_soon(42_000),
        headers=("Too-Soon", *LIMIT_HEADERS),
    ),
    "RateLimited": _problem(_TOO_MANY),
    "RequestTimeout": _problem(RequestTimeout("A request must arrive within 15 seconds.")),
    "UriTooLong": _problem(UriTooLong("Path and query may have at most 8192 bytes.")),
    "HeadersTooLarge": _problem(
        HeadersTooLarge("The headers may have at most 16384 bytes and 100 lines.")
    ),
    "InternalServerError": _problem(InternalServerError()),
    "Unavailable": _problem(Unavailable("The database is not available.")),
}

EVERYWHERE: Final = ("RequestTimeout", "UriTooLong", "HeadersTooLarge", "InternalServerError")
"""The refusals of every operation; the first three come before it is known which one is called."""


def refused(names: Collection[str]) -> Node:
    """These of `RESPONSES` by their status, as an operation lists them."""
    return {_status(name): ref("responses", name) for name in names}


def _status(name: str) -> str:
    problem: Node = RESPONSES[name]["content"][Problem.media_type]
    return str(problem["schema"]["properties"]["status"]["const"])
