"""Who is calling: the account of a token."""

from __future__ import annotations

from typing import cast

from starlette.requests import HTTPConnection, Request

from scoreboard.errors import NotFound
from scoreboard.identity.claims import Principal
from scoreboard.ledger.accounts import Account
from scoreboard.wiring import Scoreboard


def scoreboard_of(connection: HTTPConnection) -> Scoreboard:
    """The running Scoreboard that this request came to."""
    return cast("Scoreboard", connection.app.state.scoreboard)


async def principal_of(request: Request, scope: str | None = None) -> Principal:
    """Whom the request's token speaks for; its account may not exist yet.

    Raises `Unauthorized` without a valid token, `Forbidden` when it lacks `scope`, and
    `Unavailable` while that cannot be told.
    """
    return await scoreboard_of(request).tokens.authenticate(request, scope)


async def account_of(request: Request, scope: str | None = None) -> Account:
    """The account that the request's token speaks for, made if it is new.

    Raises what `principal_of` raises.
    """
    principal = await principal_of(request, scope)
    return await scoreboard_of(request).accounts.enter(principal.account_id, principal.username)


async def player_of(request: Request, account_id: str) -> Account:
    """The account of this id, which somebody names. Raises `NotFound` when there is none."""
    account = None
    if "\x00" not in account_id:
        account = await scoreboard_of(request).accounts.get(account_id)
    if account is None:
        raise NotFound("There is no such player.")
    return account
