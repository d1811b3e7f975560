"""The provider's keys: fetched seldom, kept through failures, and gone when they are withdrawn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from scoreboard.errors import SettingsError, Unavailable
from scoreboard.identity import jwks, provider
from scoreboard.identity.provider import ProviderKeys, open_keys
from scoreboard.values import IdentityProvider, KeysUrl
from tests.support.keys import AUDIENCE, ISSUER, document, ec, ed, rsa

URL = KeysUrl("https://me:S3cr3t@id.example/keys?key=S3cr3t")
GIVEN = IdentityProvider(keys=URL, issuer=ISSUER, audience=AUDIENCE)


class Publisher:
    """A provider whose fetches the test answers, one by one."""

    def __init__(self) -> None:
        self.fetches = 0
        self.now = 0.0
        self._answers: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.keys = ProviderKeys(GIVEN, self._fetch, clock=lambda: self.now)

    def answer(self, what: bytes | Exception) -> None:
        """Answer the fetch that is under way, or the next one."""
        self._answers.put_nowait(what)

    async def _fetch(self) -> bytes:
        self.fetches += 1
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publisher.keys.run)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until it is true."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def publisher() -> Publisher:
    """A provider that has answered nothing yet."""
    return Publisher()


async def test_callers_with_an_unknown_kid_share_one_fetch(publisher: Publisher) -> None:
    """A storm of them is one fetch, and none until the time is up."""
    found: list[bool] = []

    async def caller() -> None:
        await publisher.keys.find("new")
        found.append(bool(publisher.keys.keys and publisher.keys.keys.knows("new")))

    publisher.answer(document(rsa("old")))
    async with running(publisher):
        await until(lambda: publisher.keys.keys is not None)
        async with anyio.create_task_group() as callers:
            for _ in range(100):
                callers.start_soon(caller)
            await until(lambda: publisher.fetches == 2)
            publisher.answer(document(rsa("old"), ec("new")))
        assert found == [True] * 100
        publisher.now = 29.9
        await publisher.keys.find("unknown")
        assert publisher.fetches == 2
        publisher.now = 30.0
        publisher.answer(document(rsa("old")))
        await publisher.keys.find("unknown")
        assert publisher.fetches == 3


async def test_a_known_kid_and_no_kid_cause_no_fetch(publisher: Publisher) -> None:
    """Nor do they wait for anything."""
    publisher.answer(document(rsa("known")))
    async with running(publisher):
        await until(lambda: publisher.keys.keys is not None)
        await publisher.keys.find("known")
        await publisher.keys.find(None)
        assert publisher.fetches == 1


async def test_a_fetch_that_fails_counts_for_the_pause_too(publisher: Publisher) -> None:
    """A provider in trouble is not asked more often than a healthy one."""
    async with running(publisher):
        publisher.answer(OSError())
        await until(lambda: publisher.fetches == 1)
        publisher.answer(OSError())
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                await publisher.keys.find("new")
        assert publisher.fetches == 2
        assert caught.value.retry_after == 10


async def test_a_caller_that_goes_away_takes_the_fetch_from_nobody(publisher: Publisher) -> None:
    """The fetch is the task's, not the caller's."""
    publisher.answer(document(rsa("old")))
    async with running(publisher):
        await until(lambda: publisher.keys.keys is not None)
        async with anyio.create_task_group() as first:
            first.start_soon(publisher.keys.find, "new")
            await until(lambda: publisher.fetches == 2)
            async with anyio.create_task_group() as second:
                second.start_soon(publisher.keys.find, "new")
                first.cancel_scope.cancel()
                publisher.answer(document(rsa("new")))
        await until(lambda: bool(publisher.keys.keys and publisher.keys.keys.knows("new")))
        assert publisher.fetches == 2


@pytest.mark.parametrize(
    "answer",
    [OSError("S3cr3t"), TimeoutError(), b"<html>", b'{"keys": []}', RuntimeError("S3cr3t")],
)
async def test_old_keys_stay_when_a_fetch_fails(
    publisher: Publisher,
    answer: bytes | Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning when it begins, a line when it ends, and neither has the URL's secrets."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(provider, "REFRESH_EVERY", 0)
    monkeypatch.setattr(provider, "RETRY_EVERY", 0)
    async with running(publisher):
        publisher.answer(document(rsa("old")))
        for _ in range(3):
            publisher.answer(answer)
        await until(lambda: publisher.fetches == 5)
        assert publisher.keys.keys
        assert publisher.keys.keys.knows("old")
        publisher.answer(document(rsa("old")))
        await until(lambda: publisher.fetches == 6)
    warnings = [line for line in caplog.messages if "cannot be had from" in line]
    assert len(warnings) == 1
    assert "https://id.example/keys" in warnings[0]
    assert "S3cr3t" not in caplog.text
    assert caplog.messages[-1] == "the identity provider's keys can be had again"


async def test_a_fetch_that_never_ends_is_given_up(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one is begun."""
    monkeypatch.setattr(provider, "FETCH_WAIT", 0.01)
    monkeypatch.setattr(provider, "RETRY_EVERY", 0)
    async with running(publisher):
        await until(lambda: publisher.fetches == 2)
        publisher.answer(document(rsa("late")))
        await until(lambda: publisher.keys.keys is not None)


async def test_a_withdrawn_key_goes_with_the_next_refresh(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to ask for it."""
    monkeypatch.setattr(provider, "REFRESH_EVERY", 0)
    publisher.answer(document(rsa("withdrawn"), rsa("kept")))
    async with running(publisher):
        await until(lambda: publisher.fetches == 2)
        before = publisher.keys.keys
        publisher.answer(document(rsa("withdrawn"), rsa("kept")))
        await until(lambda: publisher.fetches == 3)
        assert publisher.keys.keys is before
        publisher.answer(document(rsa("kept")))
        await until(lambda: publisher.fetches == 4)
        assert publisher.keys.keys
        assert publisher.keys.keys is not before
        assert not publisher.keys.keys.knows("withdrawn")


async def test_a_file_is_read_at_once_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be replaced while the service runs."""
    monkeypatch.setattr(provider, "REFRESH_EVERY", 0.01)
    path = tmp_path / "keys.json"
    path.write_bytes(document(rsa("old")))
    keys = open_keys(IdentityProvider(keys=path, issuer=ISSUER, audience=AUDIENCE))
    assert keys
    assert keys.keys
    assert keys.keys.knows("old")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keys.run)
        path.write_bytes(document(ed("new")))
        await until(lambda: bool(keys.keys and keys.keys.knows("new")))
        assert not keys.keys.knows("old")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "text", [None, b"", b"no JSON", b'{"keys": []}', b" " * (jwks.MAX_DOCUMENT + 1)]
)
def test_a_file_without_a_usable_key_stops_the_start_in_one_line(
    tmp_path: Path, text: bytes | None
) -> None:
    """It names the variable, the file, and what is wrong."""
    path = tmp_path / "keys.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        open_keys(IdentityProvider(keys=path, issuer=ISSUER, audience=AUDIENCE))
    assert str(caught.value).startswith(f"SCOREBOARD_JWKS_FILE: {path}: ")
    assert "\n" not in str(caught.value)


def test_without_a_provider_there_are_no_keys() -> None:
    """Only the own secret counts then."""
    assert open_keys(None) is None
