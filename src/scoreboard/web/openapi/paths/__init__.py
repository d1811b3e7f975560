"""The paths: every operation with every answer that it gives, a module a tag."""

from __future__ import annotations

from typing import Final

from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.accounts import ACCOUNTS
from scoreboard.web.openapi.paths.actions import ACTIONS
from scoreboard.web.openapi.paths.administration import ADMINISTRATION
from scoreboard.web.openapi.paths.backends import BACKENDS
from scoreboard.web.openapi.paths.leaderboard import LEADERBOARD
from scoreboard.web.openapi.paths.operations import OPERATIONS


def _tagged(tag: str, paths: Node) -> Node:
    return {
        path: {method: {"tags": [tag], **operation} for method, operation in item.items()}
        for path, item in paths.items()
    }


PATHS: Final[Node] = {
    **_tagged("accounts", ACCOUNTS),
    **_tagged("actions", ACTIONS),
    **_tagged("leaderboard", LEADERBOARD),
    **_tagged("backends", BACKENDS),
    **_tagged("administration", ADMINISTRATION),
    **_tagged("operations", OPERATIONS),
}
