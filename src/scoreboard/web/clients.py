"""Which address a client has: what limits and streams are counted by."""

from __future__ import annotations

import functools
import ipaddress
import logging
import re
from typing import Final

from starlette.requests import HTTPConnection

from scoreboard.web.callers import scoreboard_of

UNKNOWN: Final = "unknown"
"""The address of a client that has none, over a Unix socket for one: they share it."""

LONGEST: Final = 64  # characters: IPv6 with a port has 53 at most, and some write a zone
REMEMBERED: Final = 4096  # addresses whose network is known: under a megabyte

_WITH_PORT: Final = re.compile(r"(?P<v4>[0-9.]+):[0-9]+|\[(?P<v6>[0-9A-Fa-f:.]+)\](:[0-9]+)?")

logger = logging.getLogger(__name__)


def address_of(connection: HTTPConnection) -> str:
    """The client's address, behind as many proxies as the operator trusts.

    Each proxy appends the address that it was called from to `X-Forwarded-For`, so the one that the
    outermost trusted proxy saw is counted from the right; what stands further left the client
    wrote.
    """
    hops = scoreboard_of(connection).settings.trusted_proxy_hops
    forwarded = connection.headers.getlist("x-forwarded-for")
    if hops:
        listed = ",".join(forwarded).split(",")
        if len(listed) >= hops and (network := network_of(listed[-hops].strip())):
            return network
    elif forwarded:
        _warn_of_a_proxy()
    return (network_of(connection.client.host) if connection.client else None) or UNKNOWN


@functools.cache  # once a process: any client can send this header
def _warn_of_a_proxy() -> None:
    logger.warning(
        "a request came with X-Forwarded-For, and SCOREBOARD_TRUSTED_PROXY_HOPS is 0: if a proxy "
        "stands in front, all of its clients count as one address and share its limits on logins, "
        "streams and connections; set it to the number of proxies"
    )


def network_of(text: str) -> str | None:
    """What one subscriber has: an IPv4 address, or the /64 of an IPv6 one; None for anything else.

    Proxies write addresses with a port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
    """
    return _network_of(text) if len(text) <= LONGEST else None


@functools.lru_cache(maxsize=REMEMBERED)  # 6 µs of the 105 that a stream costs
def _network_of(text: str) -> str | None:
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
