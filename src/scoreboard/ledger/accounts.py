"""Accounts: who can earn points. Names never change, so those lately seen stay in memory."""

from __future__ import annotations

import hashlib
import json
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from scoreboard.batcher import Batcher
from scoreboard.errors import UsernameTaken
from scoreboard.ledger.connection import Row, Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock
from scoreboard.text import without_unseen

MAX_USERNAME: Final = 50  # characters
REMEMBERED: Final = 50_000  # accounts in memory: some 32 MB at the longest ids and names


class Account(NamedTuple):
    """Someone who can earn points."""

    account_id: str
    username: str


class Credentials(NamedTuple):
    """An account with the hash that its password is checked against, if it has one."""

    account: Account
    password_hash: str | None


def username_key(username: str) -> str:
    """The form by which usernames are unique: case-folded, composed again, and without what nobody
    sees, so that two names that look alike for its sake are one.
    """
    folded = unicodedata.normalize("NFKC", username.casefold())
    return " ".join(without_unseen(folded).split())


class Accounts:
    """Finds accounts, and makes the ones that are new.

    `run` is the owning task. All accounts that are asked for while some are being read are read
    together: a process that has just started meets hundreds at once.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[str, Account] = OrderedDict()
        self._asked: Batcher[str, Account | None] = Batcher(self._read)
        self.run = self._asked.run

    async def get(self, account_id: str) -> Account | None:
        """The account with this id, or None; needs `run`."""
        if account := self._seen.get(account_id):
            self._seen.move_to_end(account_id)
            return account
        return await self._asked.submit(account_id)

    async def _read(self, account_ids: Sequence[str]) -> Sequence[Account | None]:
        rows = await self._database.fetch("accounts_by_ids", account_ids=json.dumps(account_ids))
        found = {row["account_id"]: self._remember(row) for row in rows}
        return [found.get(account_id) for account_id in account_ids]

    async def find(self, account_id: str) -> Account | None:
        """The account with this id as the database has it now; without one it is forgotten."""
        row = await self._database.fetch_one("account_by_id", account_id=account_id)
        if row is None:
            self._seen.pop(account_id, None)
            return None
        return self._remember(row)

    async def is_known(self, account_id: str) -> bool:
        """Whether the account is in the database now."""
        return await self.find(account_id) is not None

    async def credentials(self, username: str) -> Credentials | None:
        """The account that goes by this username in any case, or None."""
        row = await self._database.fetch_one(
            "account_by_username", username_key=username_key(username)
        )
        return Credentials(self._remember(row), row["password_hash"]) if row else None

    async def insert(
        self, transaction: Transaction, account_id: str, username: str, password_hash: str | None
    ) -> Account:
        """Make an account. Raises `UsernameTaken` when another goes by that name."""
        row = await transaction.fetch_one(
            "account_insert",
            account_id=account_id,
            username=username,
            username_key=username_key(username),
            password_hash=password_hash,
            created_at_ms=self._clock(),
        )
        if row is None:
            raise UsernameTaken
        return Account(row["account_id"], row["username"])

    async def enter(self, account_id: str, wish: str) -> Account:
        """The account with this id, made if it is new.

        It goes by `wish`, or when that is taken by `wish` with a suffix made from the id.
        """
        known = await self.get(account_id)
        if known is not None:
            return known
        return await self._database.write(partial(self._enter, account_id, wish))

    async def _enter(self, account_id: str, wish: str, transaction: Transaction) -> Account:
        row = await transaction.fetch_one("account_by_id", account_id=account_id)
        if row is not None:
            return self._remember(row)
        for username in candidates(account_id, wish):
            try:
                return await self.insert(transaction, account_id, username, None)
            except UsernameTaken:
                # Or another process has just made this very account.
                if row := await transaction.fetch_one("account_by_id", account_id=account_id):
                    return self._remember(row)
        raise UsernameTaken

    def _remember(self, row: Row) -> Account:
        account = Account(row["account_id"], row["username"])
        self._seen[account.account_id] = account
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return account


def candidates(account_id: str, wish: str) -> list[str]:
    """`wish`, then `wish` with ever longer suffixes made from the id, each a legal username.

    The last suffix is random: the others can be foretold and taken by somebody who knows the id.
    """
    digest = hashlib.sha256(account_id.encode()).hexdigest()
    suffixes = [f"-{digest[:length]}" for length in (4, 8, 16)] + [f"-{secrets.token_hex(12)}"]
    return [wish, *(wish[: MAX_USERNAME - len(suffix)].rstrip() + suffix for suffix in suffixes)]
