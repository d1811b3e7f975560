"""The settings: one frozen value, read once from the environment, with every relation checked.

Platform names (`DATABASE_URL`, `PORT`, ...) are bare, all others begin with `SCOREBOARD_`.
`.env.example` lists each with its default, and a test holds the two together.
"""

from __future__ import annotations

import difflib
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from scoreboard.addresses import (
    DatabaseAddress,
    RedisServer,
    SqliteFile,
    parse_database,
    parse_redis,
)
from scoreboard.errors import SettingsError
from scoreboard.periods import ALL_TIME, BOARDS
from scoreboard.values import (
    IdentityProvider,
    claim_path,
    listed,
    origins,
    read,
    scope_names,
    switch,
    whole,
)

PREFIX: Final = "SCOREBOARD_"
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: an HS256 key is at least as long as its hash
MAX_STREAMS: Final = 20_000
# Connections to PostgreSQL a process: one for completions, one for other writes, two for reads. Two
# processes, and two more while a release replaces them, leave 4 of the 20 of a small plan.
POOL: Final = 4
STATEMENT_TIMEOUT_MS: Final = 3000  # a statement of ours takes milliseconds; then a 503 is better
DEFAULT_DATABASE: Final = SqliteFile(Path("scoreboard.db"))
DESCRIPTORS_KEPT: Final = 500  # descriptors that streams leave for requests, files and the database

_RATE = re.compile(r"([1-9][0-9]{0,6})/(second|minute|hour|day)", re.ASCII)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rate(NamedTuple):
    """At most `amount` calls in any `seconds`."""

    amount: int
    seconds: int


TEN_A_MINUTE: Final = Rate(10, 60)
THIRTY_A_MINUTE: Final = Rate(30, 60)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decided. Build it with `from_env`, or directly in a test."""

    database: DatabaseAddress = DEFAULT_DATABASE
    database_pool: int = POOL
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
    caches_statements: bool = True
    redis: RedisServer | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    jwt_secret: bytes | None = field(default=None, repr=False)
    jwt_previous_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    signing_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    provider: IdentityProvider | None = None
    scope_claim: str = ""
    scope_map: tuple[tuple[str, str], ...] = ()
    access_token_minutes: int = 15
    rate_limit: Rate = TEN_A_MINUTE
    auth_rate_limit: Rate = THIRTY_A_MINUTE
    broadcast_interval_ms: int = 500
    boards: tuple[str, ...] = BOARDS
    max_points: int = 100
    max_streams: int = MAX_STREAMS
    max_streams_per_address: int = 1000
    direct_streams: bool = True
    cors_origins: tuple[str, ...] = ()
    trusted_proxy_hops: int = 0
    demo: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """The settings that `env` asks for. Raises `SettingsError`, which names the variable."""
        for name in env:
            if name.startswith(PREFIX) and name not in VARIABLES and (near := _near(name)):
                raise SettingsError(name, f"there is no such setting; did you mean {near}?")
        checks_certificate = not read(env, "SCOREBOARD_REDIS_TLS_INSECURE", "off", switch)
        settings = cls(
            database=read(env, "DATABASE_URL", "sqlite:///scoreboard.db", parse_database),
            database_pool=read(env, "SCOREBOARD_DATABASE_POOL", str(POOL), whole(3, 100)),
            statement_timeout_ms=read(
                env,
                "SCOREBOARD_STATEMENT_TIMEOUT_MS",
                str(STATEMENT_TIMEOUT_MS),
                whole(100, 60_000),
            ),
            caches_statements=read(env, "SCOREBOARD_STATEMENT_CACHE", "on", switch),
            redis=read(
                env,
                "REDIS_URL",
                "",
                lambda text: (
                    parse_redis(text, checks_certificate=checks_certificate) if text else None
                ),
            ),
            host=read(env, "HOST", "127.0.0.1", str),
            port=read(env, "PORT", "8000", whole(0, 65_535)),
            workers=read(env, "WEB_CONCURRENCY", "1", whole(1, 1024)),
            jwt_secret=read(
                env,
                "SCOREBOARD_JWT_SECRET",
                "",
                lambda text: _secret(text) if text else None,
                is_secret=True,
            ),
            jwt_previous_secrets=read(
                env, "SCOREBOARD_JWT_PREVIOUS_SECRETS", "", _secrets, is_secret=True
            ),
            signing_secrets=read(env, "SCOREBOARD_SIGNING_SECRETS", "", _secrets, is_secret=True),
            provider=IdentityProvider.from_env(env),
            scope_claim=read(
                env, "SCOREBOARD_SCOPE_CLAIM", "", lambda text: claim_path(text) if text else ""
            ),
            scope_map=read(env, "SCOREBOARD_SCOPE_MAP", "", scope_names),
            access_token_minutes=read(env, "SCOREBOARD_ACCESS_TOKEN_MINUTES", "15", whole(1, 1440)),
            rate_limit=read(env, "SCOREBOARD_RATE_LIMIT", "10/minute", _rate),
            auth_rate_limit=read(env, "SCOREBOARD_AUTH_RATE_LIMIT", "30/minute", _rate),
            broadcast_interval_ms=read(
                env, "SCOREBOARD_BROADCAST_INTERVAL_MS", "500", whole(10, 60_000)
            ),
            boards=read(env, "SCOREBOARD_BOARDS", ",".join(BOARDS), _boards),
            max_points=read(env, "SCOREBOARD_MAX_POINTS", "100", whole(1, 1_000_000)),
            max_streams=read(
                env, "SCOREBOARD_MAX_STREAMS", str(_default_max_streams()), whole(1, 1_000_000)
            ),
            max_streams_per_address=read(
                env, "SCOREBOARD_MAX_STREAMS_PER_ADDRESS", "1000", whole(1, 1_000_000)
            ),
            direct_streams=read(env, "SCOREBOARD_DIRECT_STREAMS", "on", switch),
            cors_origins=read(env, "SCOREBOARD_CORS_ORIGINS", "", origins),
            trusted_proxy_hops=read(env, "SCOREBOARD_TRUSTED_PROXY_HOPS", "0", whole(0, 10)),
        )
        _check_relations(settings)
        return settings


def _check_relations(settings: Settings) -> None:
    """Raises `SettingsError` when two settings contradict each other."""
    is_sqlite = isinstance(settings.database, SqliteFile)
    if settings.redis and is_sqlite:
        raise SettingsError(
            "REDIS_URL",
            "is for many processes, and SQLite is for one: set DATABASE_URL to PostgreSQL, or "
            "unset REDIS_URL",
        )
    if settings.workers > 1 and not settings.redis:
        raise SettingsError(
            "WEB_CONCURRENCY",
            f"{settings.workers} processes would each have a board of their own: set REDIS_URL, or "
            "set this to 1",
        )
    if not is_sqlite and settings.jwt_secret is None:
        raise SettingsError(
            "SCOREBOARD_JWT_SECRET",
            f"is needed with PostgreSQL, {MIN_SECRET_BYTES} bytes or more: openssl rand -hex 32 "
            "makes one",
        )
    if not is_sqlite and not settings.redis and not settings.caches_statements:
        raise SettingsError(
            "SCOREBOARD_STATEMENT_CACHE",
            "off is for a pooler in transaction mode, through which no lock can be held that makes "
            "this the only process: set REDIS_URL, or set this to on",
        )


VARIABLES: Final = (
    "DATABASE_URL",
    "SCOREBOARD_DATABASE_POOL",
    "SCOREBOARD_STATEMENT_TIMEOUT_MS",
    "SCOREBOARD_STATEMENT_CACHE",
    "REDIS_URL",
    "SCOREBOARD_REDIS_TLS_INSECURE",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "SCOREBOARD_JWT_SECRET",
    "SCOREBOARD_JWT_PREVIOUS_SECRETS",
    "SCOREBOARD_JWKS_URL",
    "SCOREBOARD_JWKS_FILE",
    "SCOREBOARD_JWT_ISSUER",
    "SCOREBOARD_JWT_AUDIENCE",
    "SCOREBOARD_SCOPE_CLAIM",
    "SCOREBOARD_SCOPE_MAP",
    "SCOREBOARD_SIGNING_SECRETS",
    "SCOREBOARD_ACCESS_TOKEN_MINUTES",
    "SCOREBOARD_RATE_LIMIT",
    "SCOREBOARD_AUTH_RATE_LIMIT",
    "SCOREBOARD_BROADCAST_INTERVAL_MS",
    "SCOREBOARD_BOARDS",
    "SCOREBOARD_MAX_POINTS",
    "SCOREBOARD_MAX_STREAMS",
    "SCOREBOARD_MAX_STREAMS_PER_ADDRESS",
    "SCOREBOARD_DIRECT_STREAMS",
    "SCOREBOARD_CORS_ORIGINS",
    "SCOREBOARD_TRUSTED_PROXY_HOPS",
)


def _near(name: str) -> str | None:
    """The setting that was meant by a misspelt name.

    Names that are like none are left alone: Kubernetes puts SCOREBOARD_PORT and the like into every
    container beside a service of that name.
    """
    short = {known.removeprefix(PREFIX): known for known in VARIABLES if known.startswith(PREFIX)}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1, cutoff=0.8)
    return short[close[0]] if close else None


def _rate(text: str) -> Rate:
    if not (match := _RATE.fullmatch(text)):
        raise ValueError(f"must look like 10/minute (second, minute, hour, day), not {text!r}")
    return Rate(int(match[1]), _SECONDS[match[2]])


def _boards(text: str) -> tuple[str, ...]:
    chosen = listed(text)
    for name in chosen:
        if name not in BOARDS:
            raise ValueError(f"there is no board {name!r}; the boards are {', '.join(BOARDS)}")
    return tuple(name for name in BOARDS if name == ALL_TIME or name in chosen)


def _secrets(text: str) -> tuple[bytes, ...]:
    """Secrets that only verify, between commas. A blank at a comma may be a part of the secret or
    not, so that one with blanks at its ends is taken both ways.
    """
    trimmed = {_secret(part): None for part in listed(text)}
    as_given = {part.encode(): None for part in text.split(",") if part.strip()}
    return tuple(trimmed | as_given)


def _secret(text: str) -> bytes:
    secret = text.encode()
    if len(secret) < MIN_SECRET_BYTES:
        # The value itself stays out of the message: start-up errors end up in logs.
        raise ValueError(f"needs {MIN_SECRET_BYTES} bytes or more, has {len(secret)}")
    return secret


def _default_max_streams() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_STREAMS
    return max(1, min(MAX_STREAMS, max(soft - DESCRIPTORS_KEPT, soft // 2)))
