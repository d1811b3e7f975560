"""Who is calling: the account of a token, and the address of a connection."""

from __future__ import annotations

from typing import cast

from starlette.requests import HTTPConnection, Request

from scoreboard.identity import usernames
from scoreboard.ledger.accounts import Account
from scoreboard.wiring import Scoreboard


def scoreboard_of(connection: HTTPConnection) -> Scoreboard:
    """The running Scoreboard that this request came to."""
    return cast("Scoreboard", connection.app.state.scoreboard)


async def account_of(request: Request) -> Account:
    """The account that the request's token speaks for, made if it is new.

    Raises `Unauthorized` without a valid token.
    """
    scoreboard = scoreboard_of(request)
    principal = scoreboard.tokens.authenticate(request)
    known = await scoreboard.accounts.get(principal.account_id)
    if known is not None:
        return known
    wish = usernames.from_claims(principal.claims, principal.account_id)
    return await scoreboard.accounts.enter(principal.account_id, wish)


def address_of(connection: HTTPConnection) -> str:
    """The client's address, behind as many proxies as the operator trusts.

    Each proxy appends the address that it was called from to `X-Forwarded-For`, so the one that the
    outermost trusted proxy saw is counted from the right; what stands further left the client
    wrote.
    """
    hops = scoreboard_of(connection).settings.trusted_proxy_hops
    if hops:
        listed = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
        if len(listed) >= hops and (address := listed[-hops].strip()):
            return address
    return connection.client.host if connection.client else "unknown"
