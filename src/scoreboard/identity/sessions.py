"""Accounts with a password, and the token pairs that they log in to.

A refresh token is opaque, random and kept only as its hash. Each works once and is replaced by a
new one of the same family; when a used one comes back, somebody copied it, and the whole family is
revoked (RFC 9700, 4.14.2, "refresh token rotation").
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Any, Final, NamedTuple

from scoreboard.errors import Unauthorized
from scoreboard.identity.passwords import Passwords
from scoreboard.identity.tokens import Tokens
from scoreboard.ledger.accounts import Account, Accounts
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock

REFRESH_DAYS: Final = 30
_DAY_MS: Final = 86_400_000


class Session(NamedTuple):
    """An account with a fresh pair of tokens; the access token lives `expires_in` seconds."""

    account: Account
    access_token: str
    refresh_token: str
    expires_in: int

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it."""
        return {
            "account": {"userId": self.account.account_id, "username": self.account.username},
            "accessToken": self.access_token,
            "refreshToken": self.refresh_token,
            "tokenType": "Bearer",
            "expiresIn": self.expires_in,
        }


class _Family(NamedTuple):
    """The refresh tokens that came from one login."""

    family_id: str
    account_id: str


class Sessions:
    """Registering, logging in and out, refreshing."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        tokens: Tokens,
        *,
        access_minutes: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._tokens = tokens
        self._passwords = Passwords()
        self._seconds = access_minutes * 60
        self._clock = clock

    async def register(self, username: str, password: str) -> Session:
        """Make an account and log it in. Raises `UsernameTaken`."""
        password_hash = await self._passwords.hash(password)
        refresh_token = _new_token()

        async def job(transaction: Transaction) -> Account:
            account = await self._accounts.insert(
                transaction, uuid.uuid4().hex, username, password_hash
            )
            await self._keep(transaction, refresh_token, uuid.uuid4().hex, account.account_id)
            return account

        return self._session(await self._database.write(job), refresh_token)

    async def login(self, username: str, password: str) -> Session:
        """Log an account in. Raises `Unauthorized`, alike for a wrong name and password."""
        found = await self._accounts.credentials(username)
        if not await self._passwords.verify(found.password_hash if found else None, password):
            raise Unauthorized("The username or the password is wrong.", error=None)
        assert found is not None  # noqa: S101 - nothing verifies without a hash
        account, refresh_token = found.account, _new_token()

        async def job(transaction: Transaction) -> None:
            await _lock(transaction, account.account_id)
            await self._keep(transaction, refresh_token, uuid.uuid4().hex, account.account_id)

        await self._database.write(job)
        return self._session(account, refresh_token)

    async def refresh(self, refresh_token: str) -> Session:
        """A new pair for an unused token. Reuse is `Unauthorized` and revokes the family."""
        new_token = _new_token()
        family = await self._family(refresh_token)
        if family is None:
            raise _invalid()

        async def job(transaction: Transaction) -> bool:
            await _lock(transaction, family.account_id)
            used = await transaction.fetch_one(
                "refresh_token_use", token_hash=_hash(refresh_token), now=self._clock()
            )
            if used is None:
                await transaction.execute("refresh_token_revoke", family_id=family.family_id)
                return False
            await self._keep(transaction, new_token, *family)
            return True

        is_valid = await self._database.write(job)
        account = await self._accounts.get(family.account_id) if is_valid else None
        if account is None:
            raise _invalid()
        return self._session(account, new_token)

    async def logout(self, refresh_token: str) -> None:
        """Revoke the token's family, if there is one."""
        family = await self._family(refresh_token)
        if family is None:
            return

        async def job(transaction: Transaction) -> None:
            await _lock(transaction, family.account_id)
            await transaction.execute("refresh_token_revoke", family_id=family.family_id)

        await self._database.write(job)

    async def _family(self, refresh_token: str) -> _Family | None:
        """The token's family. Read before the transaction: a made-up token must not take the
        writer's time, and what a token belongs to never changes.
        """
        row = await self._database.fetch_one(
            "refresh_token_family", token_hash=_hash(refresh_token)
        )
        return _Family(row["family_id"], row["account_id"]) if row else None

    async def _keep(
        self, transaction: Transaction, refresh_token: str, family_id: str, account_id: str
    ) -> None:
        now = self._clock()
        await transaction.execute("refresh_token_expire", account_id=account_id, now=now)
        await transaction.execute(
            "refresh_token_insert",
            token_hash=_hash(refresh_token),
            family_id=family_id,
            account_id=account_id,
            expires_at_ms=now + REFRESH_DAYS * _DAY_MS,
        )

    def _session(self, account: Account, refresh_token: str) -> Session:
        access_token = self._tokens.issue(
            account.account_id, seconds=self._seconds, username=account.username, login=True
        )
        return Session(account, access_token, refresh_token, self._seconds)


async def _lock(transaction: Transaction, account_id: str) -> None:
    """Every transaction that adds or deletes tokens of an account that others know begins with
    this. Otherwise one that revokes a family would miss the token that another is adding to it.
    """
    await transaction.execute("refresh_tokens_lock", account_id=account_id)


def _invalid() -> Unauthorized:
    return Unauthorized("The refresh token is not valid (any more): log in again.", error=None)


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
