"""Where the data is: the addresses that `DATABASE_URL` and `REDIS_URL` name."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from scoreboard.values import a_file

# libpq's words for how far TLS is asked for (PostgreSQL's manual, "SSL Support", table 34.1).
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_POSTGRES_PORT: Final = 5432
_REDIS_PORT: Final = 6379


class SqliteFile(NamedTuple):
    """A database in a file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class PostgresServer:
    """A database on a server. `ssl_mode` is one of `SSL_MODES`; `ssl_root_cert` the file of the
    authorities that the two `verify` modes trust, the system's own when it is None.
    """

    url: str = field(repr=False)
    ssl_mode: str = "prefer"
    ssl_root_cert: Path | None = None

    def __str__(self) -> str:
        """Without the user's name and password, which errors and logs must not show."""
        return _shown(self.url, _POSTGRES_PORT)


@dataclass(frozen=True)
class RedisServer:
    """A Redis. `checks_certificate` is False only when the operator said so."""

    url: str = field(repr=False)
    checks_certificate: bool = True

    def __str__(self) -> str:
        """Without the user's name and password."""
        return _shown(self.url, _REDIS_PORT)


DatabaseAddress = SqliteFile | PostgresServer


def parse_database(text: str) -> DatabaseAddress:
    """The database that a `DATABASE_URL` names. Raises `ValueError`, which says what is wrong."""
    parts = _split(text)
    if parts.scheme in ("postgres", "postgresql"):
        _refuse_stray(text, parts)
        return _postgres(parts)
    if parts.scheme != "sqlite" or parts.netloc:
        raise ValueError(
            "must look like sqlite:///relative.db, sqlite:////absolute.db or "
            "postgresql://user:password@host:5432/name"
        )
    if parts.query or parts.fragment:
        raise ValueError("takes no options after the path")
    path = unquote(parts.path[1:])
    if "\x00" in path:
        raise ValueError("names no file")
    if not path or path == ":memory:":
        raise ValueError("needs a file: what is acknowledged must survive the process")
    return SqliteFile(Path(path))


def _postgres(parts: SplitResult) -> PostgresServer:
    if not re.fullmatch(r"/[^/@]+", parts.path):
        raise ValueError("names no database: postgresql://user:password@host:5432/name")
    options = _options(parts.query, ("sslmode", "sslrootcert"))
    mode = options.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}, not {mode!r}")
    root = options.get("sslrootcert")
    if root and not mode.startswith("verify"):
        raise ValueError("sslrootcert is only looked at with sslmode=verify-ca or verify-full")
    try:
        trusted = a_file(root) if root else None
    except ValueError as error:
        raise ValueError(f"sslrootcert: {error}") from None
    url = parts._replace(scheme="postgresql", query="").geturl()
    return PostgresServer(url, mode, trusted)


def parse_redis(text: str, *, checks_certificate: bool = True) -> RedisServer:
    """The Redis that a `REDIS_URL` names. Raises `ValueError`, which says what is wrong."""
    parts = _split(text)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("must look like redis://host:6379/0, or rediss:// for TLS")
    _refuse_stray(text, parts)
    if not re.fullmatch(r"/?[0-9]{0,4}", parts.path):
        raise ValueError("the database must be a number: redis://host:6379/0")
    _options(parts.query, ())
    return RedisServer(text, checks_certificate)


def _split(text: str) -> SplitResult:
    """The parts of a URL. Raises `ValueError` that quotes nothing: any part may hold a password
    that was not written as it should.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "is no URL, or has a port that is no number (a special character in a password is "
            "written %XX)"
        ) from None
    return parts


def _refuse_stray(text: str, parts: SplitResult) -> None:
    """Raises `ValueError` for what a password leaves behind that has a `#`, `?` or `/` in it: then
    what looks like the host is a part of the password, and would be shown.
    """
    if "#" in text or "@" in parts.path or "@" in parts.query:
        raise ValueError("has a special character where none can be: in a password it is %XX")


def _options(query: str, known: Collection[str]) -> dict[str, str]:
    """The options of a URL; one that would be ignored is refused."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in known:
            listed = f"only {' and '.join(known)}" if known else "no options"
            raise ValueError(f"has an option that is not known; it takes {listed}")
    return options


def _shown(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or port}{parts.path}"
