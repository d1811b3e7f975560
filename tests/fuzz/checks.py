"""What has to hold of every answer, whatever was asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import requests
from schemathesis import CheckFunction
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scoreboard.errors import RequestError
from tests.fuzz.calls import Call
from tests.fuzz.target import SIGNING
from tests.fuzz.world import parsed
from tests.support.server import SECRET

# The rest of its checks do not fit:
# - positive_data_acceptance: whether a well-formed call is accepted is up to what was called before
#   (409, 422), to whom is known (404) and who calls (401, 403).
# - missing_required_header, ignored_auth: they send requests of their own, without our signatures;
#   who may call what is drawn here (world.py), and `_told` looks at what came of it.
# - unsupported_method: the same is asked of every path in every round (rounds.py).
# - use_after_free, ensure_resource_availability: nothing is deleted by this API; an action that is
#   retired can be put again at any time, and is.
DECLARED: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# What would only be known from inside: none of it is ever in an answer.
INSIDE: Final = re.compile(
    r"Traceback|File \"|\.py\b|SELECT |INSERT INTO|DELETE FROM|asyncpg|sqlalchemy|aiosqlite|sqlite3"
    rf"|record_batch|{re.escape(SECRET)}|{re.escape(SIGNING)}"
)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)
_GOOD: Final = ("user", "admin", "narrow")


def _codes(kind: type[RequestError] = RequestError) -> Iterator[tuple[str, int]]:
    yield kind.code, kind.status
    for inner in kind.__subclasses__():
        yield from _codes(inner)


STATUS_OF: Final = dict(_codes())


def broken(call: Call, answer: requests.Response) -> Iterator[str]:
    """What does not hold of an answer, each in a line."""
    checks = DECLARED
    # With which status it is refused is asked of every answer (4xx are declared one by one).
    if call.is_negative and not call.is_garbled and answer.status_code < 400:
        checks = [*DECLARED, negative_data_rejection]
    try:
        call.case.validate_response(answer, checks=checks)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield " ".join(str(failure).split())[:600]
    yield from generally_broken(answer)
    yield from _told(call, answer)


def generally_broken(answer: requests.Response) -> Iterator[str]:
    """What holds of every answer, also of those that no operation gives."""
    headers, text = answer.headers, answer.text
    if answer.status_code >= 500:
        yield f"a {answer.status_code}, with nothing away: {text[:300]}"
    if not _REQUEST_ID.fullmatch(headers.get("X-Request-Id", "")):
        yield f"the X-Request-Id is {headers.get('X-Request-Id')!r}"
    if headers.get("X-Content-Type-Options") != "nosniff":
        yield "no X-Content-Type-Options"
    # The document says what is inside too, since it describes it.
    if not answer.url.endswith(("/openapi.json", "/metrics")) and (
        found := INSIDE.search(f"{headers} {text}")
    ):
        yield f"the answer shows {found[0]!r}"
    if answer.status_code >= 400:
        yield from _no_problem(answer)


def _no_problem(answer: requests.Response) -> Iterator[str]:
    problem: Any = parsed(answer.content)
    if answer.request.method == "HEAD":
        return
    if answer.headers.get("Content-Type") != "application/problem+json":
        yield f"a {answer.status_code} is {answer.headers.get('Content-Type')!r}"
    if not isinstance(problem, dict):
        yield f"a {answer.status_code} is no object: {answer.text[:200]}"
        return
    if problem.get("status") != answer.status_code:
        yield f"a {answer.status_code} says that it is a {problem.get('status')}"
    if STATUS_OF.get(problem.get("code", "")) != answer.status_code:
        yield f"a {answer.status_code} has the code {problem.get('code')!r}"
    if str(problem.get("retryAfter", "")) != answer.headers.get("Retry-After", ""):
        yield "retryAfter and Retry-After differ"
    if problem.get("code") == "METHOD_NOT_ALLOWED" and not answer.headers.get("Allow"):
        yield "a 405 without Allow"


def _told(call: Call, answer: requests.Response) -> Iterator[str]:
    """Who may not is told so, and who may is not told that he may not."""
    is_open = not call.case.operation.definition.raw.get("x-security")
    status, kind = answer.status_code, call.caller.kind
    if is_open:
        return
    if kind not in _GOOD and status not in (401, 404, 405):
        yield f"{kind} got a {status}"
    if kind in _GOOD and status == 401:
        yield f"a good token of {kind} got a 401"
    needs_scope = "/admin/" in call.operation or "/scores/" in call.operation
    if needs_scope and kind == "user" and status not in (403, 404, 405):
        yield f"a user without a scope got a {status}"
