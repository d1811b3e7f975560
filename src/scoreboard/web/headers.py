"""The headers that every answer has, whoever makes it."""

from __future__ import annotations

from typing import Final

Pair = tuple[bytes, bytes]

# What the OWASP REST Security Cheat Sheet asks of an API, as far as it is this server's to say: how
# long a browser insists on TLS is for whoever ends the TLS. Nothing that is answered here is a page
# that may load, run or be framed; the live page sets a policy of its own. No other site can embed
# an answer; sites that `SCOREBOARD_CORS_ORIGINS` lists still read them, and an EventSource too,
# since no resource policy is asked for in CORS mode (Fetch standard).
SECURITY: Final[tuple[Pair, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NAMES: Final = frozenset(name for name, _ in SECURITY)


def secured(headers: list[Pair]) -> list[Pair]:
    """These headers (their names in lower case) and those of `SECURITY` that are not among them."""
    own = _NAMES.intersection([name for name, _ in headers])
    if not own:
        return [*headers, *SECURITY]
    return [*headers, *(pair for pair in SECURITY if pair[0] not in own)]
