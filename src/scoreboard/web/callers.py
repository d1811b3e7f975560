"""Who is calling: the account of a token, and the address of a connection."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, cast

from starlette.requests import HTTPConnection, Request

from scoreboard.identity import usernames
from scoreboard.ledger.accounts import Account
from scoreboard.wiring import Scoreboard

_WITH_PORT: Final = re.compile(r"(?P<v4>[0-9.]+):[0-9]+|\[(?P<v6>[0-9A-Fa-f:.]+)\](:[0-9]+)?")


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
        if len(listed) >= hops and (network := network_of(listed[-hops].strip())):
            return network
    return (network_of(connection.client.host) if connection.client else None) or "unknown"


def network_of(text: str) -> str | None:
    """What one subscriber has: an IPv4 address, or the /64 of an IPv6 one; None for anything else.

    Proxies write addresses with a port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
    """
    if match := _WITH_PORT.fullmatch(text):
        text = match["v4"] or match["v6"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)
