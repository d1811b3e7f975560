"""The OpenAPI document: every route with every answer that it gives.

Bounds are the constants that the code itself checks with, and examples are made by the classes that
make the answers, so that these cannot drift apart; `tests/unit/test_openapi.py` holds the rest.
"""

from __future__ import annotations

from typing import Final

from scoreboard import __version__
from scoreboard.web.openapi.answers import HEADERS, RESPONSES
from scoreboard.web.openapi.parameters import PARAMETERS
from scoreboard.web.openapi.paths import PATHS
from scoreboard.web.openapi.schemas import SCHEMAS
from scoreboard.web.openapi.security import SCHEMES

_DESCRIPTION: Final = """\
People complete actions, the server alone decides the points, and everyone watching sees the ranks
move.

- Bodies are JSON in UTF-8 with `camelCase` keys, times RFC 3339 in UTC with milliseconds. Answers
  may gain fields; ignore those that you do not know. Whole numbers are written as such: `5.0` is
  refused. In a body, `null` is the same as leaving an optional field out.
- Every error is an `application/problem+json` (RFC 9457) with a stable `code`. 429, 503 and 422
  `TOO_SOON` say when to come back, in `Retry-After` and in `retryAfter`.
- Every answer carries `X-Request-Id`.
- `HEAD` works wherever `GET` does. Every path answers other methods with 405 `METHOD_NOT_ALLOWED`
  and `Allow`; an unknown path answers 404 `NOT_FOUND`.
- A request that is no proper HTTP gets 400 `VALIDATION_ERROR`, one that is too slow to arrive 408
  `REQUEST_TIMEOUT`, one with too long a path and query 414 `URI_TOO_LONG`, and one with too many
  headers 431 `HEADERS_TOO_LARGE`; the connection ends.
- A query parameter may be given once; unknown ones are ignored.
"""

DOCUMENT: Final[dict[str, object]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Scoreboard",
        "version": __version__,
        "summary": "A live leaderboard.",
        "description": _DESCRIPTION,
        "contact": {"name": "Whoever runs this server"},
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/", "description": "The server that this document came from."}],
    "tags": [
        {"name": "accounts", "description": "Registering, logging in, and your own account."},
        {"name": "actions", "description": "What can be completed, and completing it."},
        {"name": "leaderboard", "description": "The boards, as they are and live."},
        {"name": "backends", "description": "Points that your own servers decide."},
        {
            "name": "administration",
            "description": "What staff may do: actions, corrections, who is shown, and the trail "
            "of all of it. The `scoreboard` command does the same.",
        },
        {"name": "operations", "description": "For operators and programs."},
    ],
    "paths": PATHS,
    "components": {
        "schemas": SCHEMAS,
        "responses": RESPONSES,
        "parameters": PARAMETERS,
        "headers": HEADERS,
        "securitySchemes": SCHEMES,
    },
}
"""What `GET /openapi.json` answers."""
