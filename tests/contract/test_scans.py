"""Reading what is kept for no quick answer: bounded in time, each for itself."""

from __future__ import annotations

import asyncio

import pytest

from scoreboard.errors import Unavailable
from scoreboard.ledger import database
from scoreboard.periods import Period
from tests.support.engine import Engine

PAST = Period("daily", "2020-01-01")


async def test_a_scan_that_takes_too_long_is_given_up_and_makes_room(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a few of them would be in the way of all others for good."""

    async def endless(name: str, /, **binds: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    with monkeypatch.context() as patched:
        patched.setattr(database, "READ_WAIT", 0.01)
        patched.setattr(engine.database._scanner, "fetch", endless)
        for offset in range(database.MAX_SCANS + 1):  # pages of their own, or they were one reading
            with pytest.raises(Unavailable, match="busy"):
                await engine.rows.page(PAST, offset=offset, limit=10)
    assert await engine.rows.page(PAST, offset=0, limit=10) == []
