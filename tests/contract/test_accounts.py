"""Accounts and their sessions, with time passing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import pytest

from scoreboard.errors import Unauthorized
from scoreboard.identity.sessions import REFRESH_DAYS, Sessions
from scoreboard.identity.tokens import Tokens
from scoreboard.ledger import accounts
from scoreboard.ledger.connection import Row
from scoreboard.ledger.database import open_database
from scoreboard.settings import Settings
from tests.support.engine import Engine

PASSWORD = "correct horse"
RACES: Final = 60  # without a common lock one of four leaves a live token


def sessions_of(engine: Engine) -> Sessions:
    tokens = Tokens([b"x" * 32])
    return Sessions(engine.database, engine.accounts, tokens, access_minutes=15, clock=engine.clock)


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return sessions_of(engine)


@pytest.fixture
async def rival(engine: Engine, settings: Settings) -> AsyncIterator[Sessions]:
    """The sessions of another process on the same database."""
    async with (
        open_database(settings) as database,
        Engine(engine.clock, database, engine.link) as other,
    ):
        yield sessions_of(other)


async def kept(engine: Engine) -> int:
    (row,) = await engine.query("SELECT COUNT(*) AS kept FROM refresh_tokens")
    return int(row["kept"])


async def test_a_made_up_token_takes_none_of_the_writers_time(
    engine: Engine, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logging out is counted by no limit: a flood of it must not stand before completions."""

    async def write(_: object) -> None:
        raise AssertionError("written")

    monkeypatch.setattr(engine.database, "write", write)
    await sessions.logout("made up")


async def test_a_refresh_token_expires(engine: Engine, sessions: Sessions) -> None:
    session = await sessions.register("Ada", PASSWORD)
    engine.clock.advance(days=REFRESH_DAYS, seconds=-1)
    session = await sessions.refresh(session.refresh_token)
    engine.clock.advance(days=REFRESH_DAYS)
    with pytest.raises(Unauthorized):
        await sessions.refresh(session.refresh_token)


async def test_expired_refresh_tokens_are_forgotten(engine: Engine, sessions: Sessions) -> None:
    await sessions.register("Ada", PASSWORD)
    for _ in range(3):
        await sessions.login("ada", PASSWORD)
    assert await kept(engine) == 4
    engine.clock.advance(days=REFRESH_DAYS)
    await sessions.login("ada", PASSWORD)
    assert await kept(engine) == 1


async def live_tokens(engine: Engine) -> int:
    (row,) = await engine.query(
        "SELECT COUNT(*) AS live FROM refresh_tokens WHERE used_at_ms IS NULL"
    )
    return int(row["live"])


@pytest.mark.parametrize("ending", ["logout", "reuse"])
async def test_no_token_survives_the_end_of_its_login(
    engine: Engine, sessions: Sessions, rival: Sessions, ending: str
) -> None:
    """One process refreshes while another ends the login: whoever is first, nothing is left."""
    await sessions.register("Ada", PASSWORD)
    await engine.change("DELETE FROM refresh_tokens")

    async def refresh(token: str) -> None:
        with suppress(Unauthorized):
            await sessions.refresh(token)

    async def end(used: str, newest: str) -> None:
        if ending == "logout":
            await rival.logout(newest)
        else:
            with pytest.raises(Unauthorized):
                await rival.refresh(used)

    for race in range(RACES):
        first = await sessions.login("ada", PASSWORD)
        second = await sessions.refresh(first.refresh_token)
        racers = [refresh(second.refresh_token), end(first.refresh_token, second.refresh_token)]
        await asyncio.gather(*(racers if race % 2 else racers[::-1]))
    assert await live_tokens(engine) == 0


async def test_the_accounts_in_memory_are_bounded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "REMEMBERED", 3)
    for number in range(9):
        await engine.account(f"p{number}")
        await engine.accounts.get(f"p{number}")
    assert len(engine.accounts._seen) == 3
    assert await engine.accounts.get("p0") == ("p0", "p0")
    assert await engine.accounts.get("nobody") is None


async def test_accounts_that_are_asked_for_at_once_are_read_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a process meets when it has just started, nobody waits for a turn of each."""
    names = [f'p{number}-"é\\' for number in range(100)]
    for name in names:
        await engine.account(name)
    engine.accounts._seen.clear()
    reads: list[str] = []
    fetch = engine.database.fetch

    async def counted(name: str, /, **binds: object) -> list[Row]:
        reads.append(name)
        return await fetch(name, **binds)

    monkeypatch.setattr(engine.database, "fetch", counted)
    found = await asyncio.gather(*(engine.accounts.get(name) for name in [*names, "nobody"]))
    assert found == [*((name, name) for name in names), None]
    assert len(reads) <= 2
    assert await asyncio.gather(*map(engine.accounts.get, names)) == found[:-1]
    assert len(reads) <= 2
