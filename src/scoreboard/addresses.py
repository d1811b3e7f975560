"""Where the data is: the addresses that `DATABASE_URL` and `REDIS_URL` name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from scoreboard.values import a_file

# libpq's words for how far TLS is asked for (PostgreSQL's manual, "SSL Support", table 34.1).
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_POSTGRES_PORT: Final = 5432
_REDIS_PORT: Final = 6379

# Options of copied addresses that change nothing here, with the values that do not (None: any).
# They name the client, limit waits that are shorter here anyway, or ask for what is done anyway.
# `channel_binding=require` is more than that: see `_postgres`.
_POSTGRES_HARMLESS: Final[Mapping[str, str | None]] = {
    "application_name": None,
    "fallback_application_name": None,
    "connect_timeout": None,
    "keepalives": "1",
    "keepalives_idle": None,
    "keepalives_interval": None,
    "keepalives_count": None,
    "tcp_user_timeout": None,
    "channel_binding": "disable|prefer|require",
    "client_encoding": "(?i:utf-?8|unicode|auto)",
    "gssencmode": "disable|prefer",
    "load_balance_hosts": "disable",
    "sslcompression": "0",
    "sslnegotiation": "postgres",
    "sslsni": "1",
    "target_session_attrs": "any|read-write|primary",
    "uselibpqcompat": None,
}
# What to use instead of an option that would be ignored.
_POSTGRES_INSTEAD: Final[Mapping[str, str]] = {
    "ssl": "sslmode=require, or sslmode=verify-full to check the certificate",
    "pgbouncer": "SCOREBOARD_STATEMENT_CACHE=off",
    "prepareThreshold": "SCOREBOARD_STATEMENT_CACHE=off",
    "statement_cache_size": "SCOREBOARD_STATEMENT_CACHE=off",
    "connection_limit": "SCOREBOARD_DATABASE_POOL",
    "pool_size": "SCOREBOARD_DATABASE_POOL",
    "pool_max_conns": "SCOREBOARD_DATABASE_POOL",
    "max_size": "SCOREBOARD_DATABASE_POOL",
    "statement_timeout": "SCOREBOARD_STATEMENT_TIMEOUT_MS",
    "command_timeout": "SCOREBOARD_STATEMENT_TIMEOUT_MS",
    "user": "postgresql://user:password@host:5432/name",
    "password": "postgresql://user:password@host:5432/name",
    "dbname": "postgresql://user:password@host:5432/name",
    "options": "ALTER ROLE or ALTER DATABASE … SET",
}
_REDIS_HARMLESS: Final[Mapping[str, str | None]] = {
    "client_name": None,
    "decode_responses": None,
    "family": None,
    "health_check_interval": None,
    "max_connections": None,
    "protocol": None,
    "retry_on_timeout": None,
    "socket_connect_timeout": None,
    "socket_keepalive": None,
    "socket_timeout": None,
    "ssl_cert_reqs": "(?i:required)",
    "ssl_check_hostname": "(?i:true)",
    "timeout": None,
}
_REDIS_INSTEAD: Final[Mapping[str, str]] = {
    "ssl_cert_reqs": "SCOREBOARD_REDIS_TLS_INSECURE",
    "ssl_check_hostname": "SCOREBOARD_REDIS_TLS_INSECURE",
    "db": "redis://host:6379/0, with the number at its end",
}


class SqliteFile(NamedTuple):
    """A database in a file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class PostgresServer:
    """A database on a server. `ssl_mode` is one of `SSL_MODES`; `ssl_root_cert` the file of the
    authorities that the two `verify` modes trust, the system's own when it is None. `socket` is the
    folder of the server's Unix socket, for an address without a host.
    """

    url: str = field(repr=False)
    ssl_mode: str = "prefer"
    ssl_root_cert: Path | None = None
    socket: str | None = None

    def __str__(self) -> str:
        """Without the user's name and password, which errors and logs must not show."""
        shown = _shown(self.url, _POSTGRES_PORT)
        return f"{self.socket}:{shown.partition(':')[2]}" if self.socket else shown


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
    if parts.scheme != "sqlite" or parts.netloc or not parts.path.startswith("/"):
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
    options = _options(
        parts.query,
        ("sslmode", "sslrootcert", "host", "port"),
        harmless=_POSTGRES_HARMLESS,
        instead=_POSTGRES_INSTEAD,
    )
    mode = options.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}, not {mode!r}")
    if options.get("channel_binding") == "require" and not mode.startswith("verify"):
        # asyncpg cannot bind a login to its TLS connection, which shows that the server knows the
        # password. A verified certificate shows as well who it is.
        if mode == "disable":
            raise ValueError("channel_binding=require needs TLS, and sslmode is disable")
        mode = "verify-full"
    root = options.get("sslrootcert")
    if root == "system":  # libpq's word for the authorities of the system, which are ours too
        root = None
    if root and not mode.startswith("verify"):
        raise ValueError("sslrootcert is only looked at with sslmode=verify-ca or verify-full")
    try:
        trusted = a_file(root) if root else None
    except ValueError as error:
        raise ValueError(f"sslrootcert: {error}") from None
    login, host, port = _host(parts, options)
    socket = None
    if host.startswith("/"):
        host, socket = "localhost", host  # `databases` needs a name to print
    elif not host and login:
        raise ValueError("names no host: @localhost/name, or @/name?host=/folder/of/the/socket")
    netloc = f"{login}{host}:{port}" if port else f"{login}{host}"
    return PostgresServer(f"postgresql://{netloc}{parts.path}", mode, trusted, socket)


def _host(parts: SplitResult, options: Mapping[str, str]) -> tuple[str, str, str]:
    """The login with its `@`, the host, and the port, in libpq's ways to write them: a socket is a
    host that is a path, in the place of the host (`%2Frun%2Fpostgresql`) or as an option.
    """
    login, at, where = parts.netloc.rpartition("@")
    host, _, port = where.rpartition(":") if parts.port else (where.rstrip(":"), "", "")
    if "," in where or "," in options.get("host", ""):
        raise ValueError("names several hosts: name the one that takes writes")
    host, port = options.get("host") or unquote(host), options.get("port") or port
    if not re.fullmatch(r"[0-9]{0,5}", port, re.ASCII):
        raise ValueError("the option port must be a number")
    if not host.startswith("/") and not re.fullmatch(r"[\w.:\[\]-]*", host):
        raise ValueError("has a host that is no name, no address, and no path of a socket")
    return f"{login}{at}", host, port


def parse_redis(text: str, *, checks_certificate: bool = True) -> RedisServer:
    """The Redis that a `REDIS_URL` names. Raises `ValueError`, which says what is wrong."""
    parts = _split(text)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("must look like redis://host:6379/0, or rediss:// for TLS")
    _refuse_stray(text, parts)
    if not re.fullmatch(r"/?[0-9]{0,4}", parts.path):
        raise ValueError("the database must be a number: redis://host:6379/0")
    _options(parts.query, (), harmless=_REDIS_HARMLESS, instead=_REDIS_INSTEAD)
    return RedisServer(parts._replace(query="").geturl(), checks_certificate)


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


def _options(
    query: str,
    known: Collection[str],
    *,
    harmless: Mapping[str, str | None],
    instead: Mapping[str, str],
) -> dict[str, str]:
    """The options of a URL. One that would be ignored is refused, unless that is `harmless`; where
    there is something to use `instead`, the refusal says so.

    Values are not quoted: some are passwords.
    """
    if any("=" not in part for part in query.split("&") if part):
        raise ValueError("has an option without a value")  # or the end of a password
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name in known or (name in harmless and _matches(harmless[name], value)):
            continue
        if name in instead:
            raise ValueError(f"the option {name!r} would be ignored: use {instead[name]}")
        if name in harmless:
            raise ValueError(f"the option {name!r} has a value that would be ignored")
        raise ValueError(f"the option {name!r} would be ignored: remove it")
    return options


def _matches(pattern: str | None, value: str) -> bool:
    return pattern is None or re.fullmatch(pattern, value) is not None


def _shown(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or port}{parts.path}"
