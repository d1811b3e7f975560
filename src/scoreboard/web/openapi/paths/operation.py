"""The form of an operation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from scoreboard.web.openapi.answers import EVERYWHERE, refused
from scoreboard.web.openapi.nodes import Node, ref, schema
from scoreboard.web.openapi.security import ANYONE
from scoreboard.web.parse import MAX_BODY

V1: Final = "/api/v1"
JSON: Final = "application/json"


def example_of(name: str, example: object) -> Node:
    """JSON of a schema, with an example."""
    return {JSON: {"schema": schema(name), "example": example}}


def body(name: str, example: object, *, required: bool = True) -> Node:
    """The body of a request."""
    description = (
        f"At most {MAX_BODY} bytes of UTF-8; no other fields, none twice, no U+0000 in any text. "
        "The `Content-Type` is not looked at."
    )
    return {"description": description, "required": required, "content": example_of(name, example)}


def operation(
    name: str,
    summary: str,
    description: str,
    *,
    answers: Node,
    refusals: Collection[str] = (),
    parameters: Collection[str] = (),
    sent: Node | None = None,
    security: list[Node] = ANYONE,
) -> Node:
    """An operation with every answer that it gives; `refusals` are names of `RESPONSES`."""
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": security,
        "parameters": [ref("parameters", each) for each in ("RequestId", *parameters)],
        **({"requestBody": sent} if sent else {}),
        "responses": {**answers, **refused([*refusals, *EVERYWHERE])},
    }
