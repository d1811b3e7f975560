"""Who may call: anyone, or who sends a token, with the scope that the operation needs."""

from __future__ import annotations

from typing import Final

from scoreboard.web import admin, increments
from scoreboard.web.openapi.nodes import Node

_BEARER: Final[Node] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
_DESCRIPTION: Final = (
    "The `accessToken` of a session, one from `scoreboard token`, or one of the identity provider "
    "that the server trusts."
)


def _name(scope: str) -> str:
    return f"bearer-{scope.replace(':', '-')}"  # a component's name takes no colon


# A scheme for each scope: a list of scopes beside `bearer` is a list of roles in OpenAPI 3.1, and
# linters take it for one of OAuth flows, which there are none of.
SCHEMES: Final[Node] = {
    "bearer": {**_BEARER, "description": _DESCRIPTION},
    **{
        _name(scope): {
            **_BEARER,
            "description": f"{_DESCRIPTION} `{scope}` must be in its `scope` or `scp`, a text "
            "separated by spaces or a list, or in the claim that the server is set to read.",
        }
        for scope in (admin.SCOPE, increments.SCOPE)
    },
}

ANYONE: Final[list[Node]] = []
USER: Final[list[Node]] = [{"bearer": []}]


def with_scope(scope: str) -> list[Node]:
    """The security of an operation that needs a scope."""
    return [{_name(scope): []}]
