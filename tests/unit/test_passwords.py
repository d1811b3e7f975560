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


COMPOSED, DECOMPOSED, MIXED = "caf\u00e9 \u00fcber", "cafe\u0301 u\u0308ber", "caf\u00e9 u\u0308ber"


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, MIXED])
@pytest.mark.parametrize("chosen", [COMPOSED, DECOMPOSED, MIXED])
async def test_a_password_is_the_same_on_every_system(chosen: str, typed: str) -> None:
    """Systems send an accented letter as one character or as two."""
    kept = await Passwords().hash(chosen)
    assert await Passwords().verify(kept, typed)
    assert not await Passwords().verify(kept, typed.replace("caf", "Caf"))
    assert not await Passwords().verify(kept, "cafe uber")


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
        (DECOMPOSED, MIXED),
        (DECOMPOSED, DECOMPOSED),
        (MIXED, MIXED),
    ],
)
async def test_a_password_that_was_hashed_as_it_was_sent_still_lets_in(
    chosen: str, typed: str
) -> None:
    """The releases before did not normalize."""
    assert await Passwords().verify(passwords._hasher.hash(chosen), typed)


def test_what_is_sent_alone_decides_how_many_hashes_are_made() -> None:
    """Else the time of an answer would tell which names exist."""
    assert passwords._forms("correct horse") == ["correct horse"]
    assert passwords._forms(MIXED) == [COMPOSED, MIXED, DECOMPOSED]


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


@pytest.mark.parametrize("password", ["", "seven77", "x" * 257, "e\u0301" * 7, "\u00e9" * 257])
def test_a_password_has_bounds(password: str) -> None:
    with pytest.raises(ValidationFailed):
        passwords.check(password)


@pytest.mark.parametrize("password", ["e\u0301" * 8, "e\u0301" * 256])
def test_the_bounds_of_a_password_are_those_of_its_nfc(password: str) -> None:
    passwords.check(password)
