"""Settings: defaults, refusals that name the variable, and the example file."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from scoreboard.addresses import PostgresServer, RedisServer, SqliteFile
from scoreboard.errors import SettingsError
from scoreboard.settings import NOT_YET, VARIABLES, Rate, Settings

ROOT = Path(__file__).resolve().parents[2]
LONG_SECRET = "s" * 32


def test_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings(max_streams=settings.max_streams)
    assert 1 <= settings.max_streams <= 20_000


def test_everything_can_be_set() -> None:
    settings = Settings.from_env(
        {
            "DATABASE_URL": "sqlite:////var/lib/score%20board.db",
            "HOST": "0.0.0.0",
            "PORT": "80",
            "WEB_CONCURRENCY": "1",
            "SCOREBOARD_JWT_SECRET": LONG_SECRET,
            "SCOREBOARD_JWT_PREVIOUS_SECRETS": f"{LONG_SECRET}1, {LONG_SECRET}2",
            "SCOREBOARD_ACCESS_TOKEN_MINUTES": "5",
            "SCOREBOARD_RATE_LIMIT": "3/second",
            "SCOREBOARD_AUTH_RATE_LIMIT": "100/hour",
            "SCOREBOARD_BROADCAST_INTERVAL_MS": "100",
            "SCOREBOARD_BOARDS": "weekly",
            "SCOREBOARD_MAX_POINTS": "7",
            "SCOREBOARD_MAX_STREAMS": "8",
            "SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "9",
            "SCOREBOARD_CORS_ORIGINS": "https://a.example, http://localhost:3000",
            "SCOREBOARD_TRUSTED_PROXY_HOPS": "1",
        }
    )
    assert settings == Settings(
        database=SqliteFile(Path("/var/lib/score board.db")),
        host="0.0.0.0",
        port=80,
        jwt_secret=LONG_SECRET.encode(),
        jwt_previous_secrets=(f"{LONG_SECRET}1".encode(), f"{LONG_SECRET}2".encode()),
        access_token_minutes=5,
        rate_limit=Rate(3, 1),
        auth_rate_limit=Rate(100, 3600),
        broadcast_interval_ms=100,
        boards=("all-time", "weekly"),
        max_points=7,
        max_streams=8,
        max_streams_per_address=9,
        cors_origins=("https://a.example", "http://localhost:3000"),
        trusted_proxy_hops=1,
    )


def test_many_processes_on_postgresql_and_redis() -> None:
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgres://user:s%40cret@db.example:6543/board?sslmode=require",
            "SCOREBOARD_DATABASE_POOL": "10",
            "SCOREBOARD_STATEMENT_TIMEOUT_MS": "1000",
            "SCOREBOARD_STATEMENT_CACHE": "off",
            "REDIS_URL": "rediss://:s3cret@redis.example:6380/1",
            "SCOREBOARD_REDIS_TLS_INSECURE": "1",
            "WEB_CONCURRENCY": "4",
            "SCOREBOARD_JWT_SECRET": LONG_SECRET,
        }
    )
    assert settings.database == PostgresServer(
        "postgresql://user:s%40cret@db.example:6543/board", "require"
    )
    assert settings.redis == RedisServer(
        "rediss://:s3cret@redis.example:6380/1", checks_certificate=False
    )
    assert (settings.database_pool, settings.statement_timeout_ms) == (10, 1000)
    assert not settings.caches_statements
    assert settings.workers == 4
    assert str(settings.database) == "db.example:6543/board"
    assert str(settings.redis) == "redis.example:6380/1"
    assert "cret" not in f"{settings!r} {settings.database} {settings.redis}"


POSTGRES = {
    "DATABASE_URL": "postgresql://localhost/board",
    "SCOREBOARD_JWT_SECRET": LONG_SECRET,
}
REDIS = {"REDIS_URL": "redis://localhost"}


@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("REDIS_URL", REDIS),  # with SQLite
        ("WEB_CONCURRENCY", {"WEB_CONCURRENCY": "2"}),
        ("WEB_CONCURRENCY", {**POSTGRES, "WEB_CONCURRENCY": "2"}),
        ("SCOREBOARD_JWT_SECRET", {"DATABASE_URL": POSTGRES["DATABASE_URL"], **REDIS}),
        ("SCOREBOARD_STATEMENT_CACHE", {**POSTGRES, "SCOREBOARD_STATEMENT_CACHE": "off"}),
    ],
)
def test_settings_that_contradict_each_other_are_refused(name: str, env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    assert caught.value.variable == name
    assert "\n" not in str(caught.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.from_env(dict.fromkeys(VARIABLES, "")) == Settings.from_env({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://localhost"),
        ("DATABASE_URL", "postgresql://localhost/"),
        ("DATABASE_URL", "postgresql://user:p@ss:word@localhost:port/board"),
        ("DATABASE_URL", "postgresql://localhost/board?sslmode=maybe"),
        ("DATABASE_URL", "postgresql://localhost/board?pool_size=5"),
        ("DATABASE_URL", "postgresql://localhost/board?sslrootcert=/etc/hosts"),
        ("DATABASE_URL", "postgresql://localhost/board?sslmode=verify-ca&sslrootcert=/none"),
        ("DATABASE_URL", "mysql://localhost/board"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///board.db?mode=ro"),
        ("DATABASE_URL", "board.db"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://localhost/board"),
        ("REDIS_URL", "rediss://localhost?ssl_cert_reqs=none"),
        ("SCOREBOARD_REDIS_TLS_INSECURE", "maybe"),
        ("SCOREBOARD_DATABASE_POOL", "2"),
        ("SCOREBOARD_STATEMENT_TIMEOUT_MS", "forever"),
        ("SCOREBOARD_STATEMENT_CACHE", "sometimes"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "٨٠"),
        ("PORT", "http"),
        ("WEB_CONCURRENCY", "0"),
        ("SCOREBOARD_JWT_SECRET", "too short"),
        ("SCOREBOARD_JWT_PREVIOUS_SECRETS", f"{LONG_SECRET},too short"),
        ("SCOREBOARD_ACCESS_TOKEN_MINUTES", "0"),
        ("SCOREBOARD_RATE_LIMIT", "ten a minute"),
        ("SCOREBOARD_RATE_LIMIT", "0/minute"),
        ("SCOREBOARD_AUTH_RATE_LIMIT", "10/fortnight"),
        ("SCOREBOARD_BROADCAST_INTERVAL_MS", "1"),
        ("SCOREBOARD_BOARDS", "hourly"),
        ("SCOREBOARD_MAX_POINTS", "1e3"),
        ("SCOREBOARD_CORS_ORIGINS", "*"),
        ("SCOREBOARD_CORS_ORIGINS", "https://a.example/path"),
        ("SCOREBOARD_TRUSTED_PROXY_HOPS", "11"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable(
    name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    assert caught.value.variable == name
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_is_refused_with_the_right_spelling() -> None:
    with pytest.raises(SettingsError, match="did you mean SCOREBOARD_RATE_LIMIT"):
        Settings.from_env({"SCOREBOARD_RATE_LIMITS": "10/minute"})


def test_what_kubernetes_puts_beside_a_service_of_that_name_is_left_alone() -> None:
    given = {
        "SCOREBOARD_PORT": "tcp://10.0.0.1:80",
        "SCOREBOARD_PORT_80_TCP_ADDR": "10.0.0.1",
        "SCOREBOARD_SERVICE_HOST": "10.0.0.1",
        "SCOREBOARD_SERVICE_PORT_HTTP": "80",
    }
    assert Settings.from_env(given) == Settings.from_env({})


@pytest.mark.parametrize("name", NOT_YET)
def test_what_this_version_cannot_do_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: this version"):
        Settings.from_env({name: "something"})


@pytest.mark.parametrize(
    ("limit", "streams"), [(256, 128), (1024, 524), (20_000, 19_500), (1_000_000, 20_000)]
)
def test_streams_leave_descriptors_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, limit: int, streams: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert Settings.from_env({}).max_streams == streams


def test_secrets_are_not_shown() -> None:
    secret = "do-not-show-this-secret-to-anybody"
    settings = Settings(jwt_secret=secret.encode(), jwt_previous_secrets=(secret.encode(),))
    assert secret not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"SCOREBOARD_JWT_SECRET": "short secret"})
    assert "short secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:S3cr3t℀b@localhost/board"),
        ("DATABASE_URL", "postgresql://u:12/S3cr3t@localhost/board"),
        ("DATABASE_URL", "postgresql://u:p@localhost/board?S3cr3t"),
        ("DATABASE_URL", "postgresql://u:[S3cr3t@localhost/board"),
        ("REDIS_URL", "redis://u:12/S3cr3t@localhost"),
        ("REDIS_URL", "redis://u:p#S3cr3t@localhost"),
        ("REDIS_URL", "redis://localhost/0?S3cr3t"),
    ],
)
def test_a_password_that_is_written_wrongly_is_not_quoted(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**POSTGRES, name: value})
    assert caught.value.variable == name
    assert "S3cr3t" not in str(caught.value)


def test_the_example_file_lists_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    listed = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(listed) == set(VARIABLES)
    assert Settings.from_env(listed) == Settings.from_env({})
