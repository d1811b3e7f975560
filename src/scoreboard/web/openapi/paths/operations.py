"""What operators and programs ask."""

from __future__ import annotations

from typing import Final

from scoreboard.web.openapi.answers import answer
from scoreboard.web.openapi.nodes import Node, record
from scoreboard.web.openapi.paths.operation import JSON, example_of, operation

_METRICS: Final = """\
# HELP scoreboard_streams_open Streams that are open now
# TYPE scoreboard_streams_open gauge
scoreboard_streams_open{board="all-time"} 3.0
"""
_DESCRIBED: Final = record(
    {"openapi": {"type": "string"}, "info": {"type": "object", "additionalProperties": True}},
    additionalProperties=True,
)

OPERATIONS: Final[Node] = {
    "/healthz": {
        "get": operation(
            "getHealth",
            "Is the process up?",
            "Says nothing about the database.",
            answers={
                "200": answer("It is.", example_of("Health", {"status": "ok"}), cache="No-Store")
            },
        )
    },
    "/readyz": {
        "get": operation(
            "getReadiness",
            "Can completions be recorded?",
            "Also 200 when `degraded`: everything works, but something is missing.",
            answers={
                "200": answer(
                    "Yes.",
                    example_of("Readiness", {"status": "ok", "database": "ok", "redis": "off"}),
                    cache="No-Store",
                ),
                "503": answer(
                    "No: the database is away.",
                    example_of(
                        "Readiness", {"status": "unavailable", "database": "away", "redis": "off"}
                    ),
                    cache="No-Store",
                    headers=("Retry-After",),
                ),
            },
        )
    },
    "/metrics": {
        "get": operation(
            "getMetrics",
            "What was counted and measured",
            "For Prometheus. Each metric is described beside its values.",
            answers={
                "200": answer(
                    "The metrics of all processes of this server.",
                    {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}},
                    cache="No-Store",
                )
            },
        )
    },
    "/openapi.json": {
        "get": operation(
            "getOpenapi",
            "This document",
            "The API, described for programs.",
            answers={
                "200": answer(
                    "An OpenAPI 3.1 document.",
                    {JSON: {"schema": _DESCRIBED}},
                    cache="No-Cache",
                )
            },
        )
    },
}
