"""Passwords: argon2id, hashed on worker threads so that the event loop goes on.

They are compared in NFC: systems differ in whether an accented letter that is typed is sent as one
character or as a letter and an accent (NIST SP 800-63B, 5.1.1.2).
"""

from __future__ import annotations

import unicodedata
from typing import Final

import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scoreboard.errors import Unavailable, ValidationFailed

MIN_PASSWORD: Final = 8  # characters: NIST SP 800-63B, 5.1.1.2
MAX_PASSWORD: Final = 256  # characters: room for any passphrase, a bound for the hash's input
AT_ONCE: Final = 2  # hashes: each takes a core for some 20 ms
MAX_WAITING: Final = 64  # checks before a new one: under two seconds, then callers get a 503

# OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def check(password: str) -> None:
    """Raises `ValidationFailed` for a password that is too short or too long to be taken."""
    if not MIN_PASSWORD <= len(_nfc(password)) <= MAX_PASSWORD:
        raise ValidationFailed("password", f"must have {MIN_PASSWORD}-{MAX_PASSWORD} characters")


class Passwords:
    """Hashes and verifies, a bounded number at a time."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        # What an unknown name is checked against, so that it takes as long as a known one.
        self._decoy = _hasher.hash("")

    async def hash(self, password: str) -> str:
        """The password's hash, salt and parameters included. Raises `Unavailable` when busy."""
        self._refuse_when_busy()
        return await anyio.to_thread.run_sync(_hasher.hash, _nfc(password), limiter=self._limiter)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether this is the password; with no hash it is not, and it takes the same time."""
        self._refuse_when_busy()
        matches = await anyio.to_thread.run_sync(
            _verify, password_hash or self._decoy, password, limiter=self._limiter
        )
        return matches and password_hash is not None

    def _refuse_when_busy(self) -> None:
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            raise Unavailable("Too many passwords are being checked.")


def _verify(password_hash: str, password: str) -> bool:
    return any(_is_hash_of(password_hash, form) for form in _forms(password))


def _is_hash_of(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _nfc(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _forms(password: str) -> list[str]:
    """The forms in which a password may have been hashed: in NFC, or, before passwords were
    normalized, as some system sent it. Most have only one form. How many are tried depends on what
    was sent alone, so that an unknown name still takes as long as a known one.
    """
    return list(dict.fromkeys([_nfc(password), password, unicodedata.normalize("NFD", password)]))
