"""Hashing: off the event loop, bounded, and the same work for a name that nobody has."""

from __future__ import annotations

import threading

import anyio
import pytest

from scoreboard.errors import Unavailable, ValidationFailed
from scoreboard.identity import passwords
from scoreboard.identity.passwords import Passwords


async def test_a_password_is_recognised_by_its_hash() -> None:
    kept = await Passwords().hash("correct horse")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await Passwords().verify(kept, "correct horse")
    assert not await Passwords().verify(kept, "correct horsf")
    assert not await Passwords().verify("nonsense", "correct horse")


async def test_without_a_hash_nothing_is_recognised_but_as_much_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []
    verify = passwords._verify

    def noted(password_hash: str, password: str) -> bool:
        threads.append(threading.get_ident())
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", noted)
    assert not await Passwords().verify(None, "")
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_too_many_at_once_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 1)
    hasher, go_on = Passwords(), threading.Event()

    def slow(password_hash: str, password: str) -> bool:
        return go_on.wait(20)

    monkeypatch.setattr(passwords, "_verify", slow)
    async with anyio.create_task_group() as tasks:
        for _ in range(passwords.AT_ONCE + 1):
            tasks.start_soon(hasher.verify, "hash", "password")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Unavailable):
            await hasher.verify("hash", "password")
        go_on.set()


@pytest.mark.parametrize("password", ["", "seven77", "x" * 257])
def test_a_password_has_bounds(password: str) -> None:
    with pytest.raises(ValidationFailed):
        passwords.check(password)
