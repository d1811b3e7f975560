"""The answer to what was recorded."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from scoreboard.scoring.completion import Answer


def receipt(answer: Answer) -> Response:
    """A receipt, which says whether it is that of an earlier call."""
    replayed = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(answer.to_json(), headers={"Cache-Control": "no-store", **replayed})
