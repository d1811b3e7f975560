"""The values of settings: how each kind is written, and what is refused.

Every parser raises `ValueError`, which says what is wrong; `read` adds the variable's name.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from scoreboard.errors import SettingsError

T = TypeVar("T")

# What a token can be allowed to do. `web` asks for them by name.
SCOPES = ("admin", "support", "scores:write")

_PORTS = {"http": 80, "https": 443}
# Schemes whose pages, if there are any, have an opaque origin, or that no page is opened with.
_NO_ORIGIN = frozenset({"", "about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"})


@dataclass(frozen=True)
class KeysUrl:
    """Where an identity provider publishes its keys."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        """Without credentials and query, which errors and logs must not show."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{host}{port}{parts.path}"


@dataclass(frozen=True, kw_only=True)
class IdentityProvider:
    """Somebody else who signs tokens: where its public keys are, and the `iss` and `aud` that its
    tokens must have.
    """

    keys: KeysUrl | Path
    issuer: str
    audience: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> IdentityProvider | None:
        """The provider that the variables name, if any. Raises `SettingsError` for a wrong or a
        missing one.
        """
        url = read(env, "SCOREBOARD_JWKS_URL", "", lambda text: keys_url(text) if text else None)
        file = read(env, "SCOREBOARD_JWKS_FILE", "", lambda text: a_file(text) if text else None)
        expected = {
            name: read(env, name, "", str)
            for name in ("SCOREBOARD_JWT_ISSUER", "SCOREBOARD_JWT_AUDIENCE")
        }
        if url and file:
            raise SettingsError(
                "SCOREBOARD_JWKS_FILE", "is set beside SCOREBOARD_JWKS_URL: unset one of them"
            )
        keys = url or file
        for name, value in expected.items():
            if keys and not value:
                # RFC 8725, 3.8 and 3.9.
                raise SettingsError(
                    name,
                    "is needed with a JWKS: without it a token that was made for somebody else "
                    "would be taken",
                )
            if value and not keys:
                raise SettingsError(
                    name,
                    "is asked of an identity provider's tokens only: set SCOREBOARD_JWKS_URL or "
                    "SCOREBOARD_JWKS_FILE, or unset this",
                )
        if not keys:
            return None
        issuer, audience = expected.values()
        return cls(keys=keys, issuer=issuer, audience=audience)


def given(env: Mapping[str, str], name: str) -> str:
    """A variable's value, trimmed: files and consoles leave blanks and line ends behind. An empty
    one counts as unset.
    """
    return env.get(name, "").strip()


def read(
    env: Mapping[str, str],
    name: str,
    default: str,
    parse: Callable[[str], T],
    *,
    is_secret: bool = False,
) -> T:
    """Parse a variable, trimmed unless it is a secret: blanks may be a part of one.

    Raises `SettingsError`.
    """
    value = given(env, name) or default
    try:
        return parse(env[name] if is_secret and value else value)
    except ValueError as error:
        raise SettingsError(name, str(error)) from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers, from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return parse


def listed(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def claim_path(text: str) -> str:
    """The name of a claim, or the path to a member of it with dots between the names."""
    if not re.fullmatch(r"[^\s,.]+(\.[^\s,.]+)*", text):
        raise ValueError(f"must be one claim, such as permissions or realm_access.roles: {text!r}")
    return text


def scope_names(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a provider's name and the scope that it gives here, between commas."""
    pairs = []
    for part in listed(text):
        # Names such as "cn=staff" contain the sign too, and scopes do not.
        theirs, _, ours = (piece.strip() for piece in part.rpartition("="))
        if not theirs:
            raise ValueError(f"a pair looks like scoreboard/admin=admin, not {part!r}")
        if ours not in SCOPES:
            raise ValueError(f"there is no scope {ours!r}; the scopes are {', '.join(SCOPES)}")
        pairs.append((theirs, ours))
    return tuple(pairs)


def switch(text: str) -> bool:
    """On or off, in the words that people use for it."""
    if text.lower() in ("on", "1", "true", "yes"):
        return True
    if text.lower() in ("off", "0", "false", "no"):
        return False
    raise ValueError(f"must be on or off, not {text!r}")


def origins(text: str) -> tuple[str, ...]:
    """Web origins, between commas, each written exactly as browsers send it: it is compared as text
    (WHATWG HTML, 7.1.1, "ASCII serialization of an origin").
    """
    for origin in listed(text):
        sent = _origin_as_sent(origin)
        if sent is None:
            raise ValueError(
                "an origin looks like https://example.com, http://localhost:3000 or "
                f"capacitor://localhost, not {origin!r}"
            )
        if sent != origin:
            raise ValueError(f"no browser sends {origin!r}: write {sent!r}")
    return tuple(listed(text))


def _origin_as_sent(text: str) -> str | None:
    """The origin of an address in the form that browsers send; None when there is no such form."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        if not host or parts.scheme in _NO_ORIGIN:
            return None
        if ":" in host:
            host = f"[{ipaddress.IPv6Address(host)}]"
        elif host.rpartition(".")[2].isdigit():
            host = str(ipaddress.IPv4Address(host))
        else:
            host = host.encode("idna").decode("ascii")
            if not re.fullmatch(r"[a-z0-9._-]+", host):
                return None
    except ValueError:
        return None
    return (
        f"{parts.scheme}://{host}{'' if port in (None, _PORTS.get(parts.scheme)) else f':{port}'}"
    )


def keys_url(text: str) -> KeysUrl:
    """An address that keys can be trusted from. Its text is not quoted: it may hold a password."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no URL, or has a port that is no number") from None
    # A fragment, or an @ after the host, is what a password with such a sign in it leaves behind:
    # then what looks like the host or the path is a part of it, and would be shown.
    is_stray = "#" in text or "@" in parts.path or "@" in parts.query
    if not host or not re.fullmatch(r"[!-~]+", text) or is_stray:
        raise ValueError(
            "must look like https://example.com/.well-known/jwks.json (a special character in a "
            "password is written %XX)"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        # Whoever can change the keys on their way can sign anybody's token.
        raise ValueError("must be https (http is for this machine alone, such as 127.0.0.1)")
    return KeysUrl(text)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def a_file(text: str) -> Path:
    """A file that is there and can be read."""
    path = Path(text)
    try:
        is_there = path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        is_there = False
    if not is_there:
        raise ValueError(f"there is no file {text!r}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{text!r} cannot be read")
    return path
