"""Settings: defaults, refusals that name the variable, and the example file."""

from __future__ import annotations

import argparse
import os
import re
import resource
from pathlib import Path

import pytest

from scoreboard.addresses import PostgresServer, RedisServer, SqliteFile
from scoreboard.cli.target import add_url
from scoreboard.errors import SettingsError
from scoreboard.settings import VARIABLES, Rate, Settings
from scoreboard.values import SCOPES, IdentityProvider, KeysUrl
from scoreboard.web import admin, increments

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
            "SCOREBOARD_JWKS_URL": "https://id.example/keys",
            "SCOREBOARD_JWT_ISSUER": "https://id.example/",
            "SCOREBOARD_JWT_AUDIENCE": "scoreboard",
            "SCOREBOARD_SCOPE_CLAIM": "realm_access.roles",
            "SCOREBOARD_SCOPE_MAP": "scoreboard/admin=admin, cn=ops=admin,cn=ops = scores:write,",
            "SCOREBOARD_SIGNING_SECRETS": f"{LONG_SECRET}3,{LONG_SECRET}4",
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
        jwt_previous_secrets=(
            f"{LONG_SECRET}1".encode(),
            f"{LONG_SECRET}2".encode(),
            f" {LONG_SECRET}2".encode(),  # the blank may be a part of it
        ),
        signing_secrets=(f"{LONG_SECRET}3".encode(), f"{LONG_SECRET}4".encode()),
        provider=IdentityProvider(
            keys=KeysUrl("https://id.example/keys"),
            issuer="https://id.example/",
            audience="scoreboard",
        ),
        scope_claim="realm_access.roles",
        scope_map=(
            ("scoreboard/admin", "admin"),
            ("cn=ops", "admin"),
            ("cn=ops", "scores:write"),
        ),
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
EXPECTED = {"SCOREBOARD_JWT_ISSUER": "https://id.example", "SCOREBOARD_JWT_AUDIENCE": "board"}
KEYS = {"SCOREBOARD_JWKS_URL": "https://id.example/keys"}


@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("REDIS_URL", REDIS),  # with SQLite
        ("WEB_CONCURRENCY", {"WEB_CONCURRENCY": "2"}),
        ("WEB_CONCURRENCY", {**POSTGRES, "WEB_CONCURRENCY": "2"}),
        ("SCOREBOARD_JWT_SECRET", {"DATABASE_URL": POSTGRES["DATABASE_URL"], **REDIS}),
        ("SCOREBOARD_STATEMENT_CACHE", {**POSTGRES, "SCOREBOARD_STATEMENT_CACHE": "off"}),
        ("SCOREBOARD_JWKS_FILE", {**KEYS, **EXPECTED, "SCOREBOARD_JWKS_FILE": __file__}),
        ("SCOREBOARD_JWT_ISSUER", {**KEYS, "SCOREBOARD_JWT_AUDIENCE": "board"}),
        ("SCOREBOARD_JWT_AUDIENCE", {**KEYS, "SCOREBOARD_JWT_ISSUER": "https://id.example"}),
        ("SCOREBOARD_JWT_ISSUER", {"SCOREBOARD_JWKS_FILE": __file__}),
        ("SCOREBOARD_JWT_ISSUER", {"SCOREBOARD_JWT_ISSUER": "https://id.example"}),
        ("SCOREBOARD_JWT_AUDIENCE", {"SCOREBOARD_JWT_AUDIENCE": "board"}),
    ],
)
def test_settings_that_contradict_each_other_are_refused(name: str, env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    assert caught.value.variable == name
    assert "\n" not in str(caught.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.from_env(dict.fromkeys(VARIABLES, "")) == Settings.from_env({})


VALUES = {
    "DATABASE_URL": "postgresql://localhost/another",
    "SCOREBOARD_DATABASE_POOL": "7",
    "SCOREBOARD_STATEMENT_TIMEOUT_MS": "2000",
    "SCOREBOARD_STATEMENT_CACHE": "off",
    "REDIS_URL": "redis://another",
    "SCOREBOARD_REDIS_TLS_INSECURE": "on",
    "HOST": "0.0.0.0",
    "PORT": "8080",
    "WEB_CONCURRENCY": "2",
    "SCOREBOARD_JWKS_URL": "https://id.example/other-keys",
    "SCOREBOARD_JWKS_FILE": __file__,
    "SCOREBOARD_JWT_ISSUER": "https://id.example/other",
    "SCOREBOARD_JWT_AUDIENCE": "other",
    "SCOREBOARD_ACCESS_TOKEN_MINUTES": "5",
    "SCOREBOARD_RATE_LIMIT": "3/second",
    "SCOREBOARD_AUTH_RATE_LIMIT": "100/hour",
    "SCOREBOARD_BROADCAST_INTERVAL_MS": "100",
    "SCOREBOARD_BOARDS": "weekly",
    "SCOREBOARD_MAX_POINTS": "7",
    "SCOREBOARD_MAX_STREAMS": "8",
    "SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "9",
    "SCOREBOARD_DIRECT_STREAMS": "off",
    "SCOREBOARD_CORS_ORIGINS": "https://a.example , https://b.example",
    "SCOREBOARD_TRUSTED_PROXY_HOPS": "1",
    "SCOREBOARD_SCOPE_CLAIM": "realm_access.roles",
    "SCOREBOARD_SCOPE_MAP": "boss=admin",
}
SECRETS = {name for name in VARIABLES if name.endswith(("_SECRET", "_SECRETS"))}


@pytest.mark.parametrize("name", sorted(set(VARIABLES) - SECRETS))
def test_a_value_is_trimmed(name: str) -> None:
    others = {**POSTGRES, **REDIS, **EXPECTED, **KEYS}
    without = Settings.from_env(others)
    if name == "SCOREBOARD_JWKS_FILE":  # keys come from one place
        del others["SCOREBOARD_JWKS_URL"]
    exact = Settings.from_env({**others, name: VALUES[name]})
    assert exact != without
    assert Settings.from_env({**others, name: f" \t{VALUES[name]} \r\n"}) == exact


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_taken_as_it_stands(name: str) -> None:
    given = f" {LONG_SECRET}\t"
    settings = Settings.from_env({name: given})
    taken = [settings.jwt_secret, *settings.jwt_previous_secrets, *settings.signing_secrets]
    assert given.encode() in taken
    assert Settings.from_env({name: " \n"}) == Settings.from_env({})


def test_secrets_in_a_list_are_taken_with_their_blanks_and_without() -> None:
    """Who writes a blank behind a comma does not mean it; who moves the own secret there does."""
    settings = Settings.from_env({"SCOREBOARD_SIGNING_SECRETS": f"{LONG_SECRET} , {LONG_SECRET}2"})
    assert set(settings.signing_secrets) == {
        f"{blank}{secret}".encode()
        for blank, secret in (
            ("", LONG_SECRET),
            ("", f"{LONG_SECRET} "),
            ("", f"{LONG_SECRET}2"),
            (" ", f"{LONG_SECRET}2"),
        )
    }


@pytest.mark.parametrize("blanks", ["", " \n"])
def test_a_client_command_trims_where_the_server_listens(
    monkeypatch: pytest.MonkeyPatch, blanks: str
) -> None:
    monkeypatch.setenv("HOST", f"{blanks}0.0.0.0{blanks}")
    monkeypatch.setenv("PORT", f"{blanks}8080{blanks}")
    parser = argparse.ArgumentParser()
    add_url(parser)
    assert parser.parse_args([]).url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://localhost"),
        ("DATABASE_URL", "postgresql://localhost/"),
        ("DATABASE_URL", "postgresql://user:p@ss:word@localhost:port/board"),
        ("DATABASE_URL", "postgresql://localhost/board?sslmode=maybe"),
        ("DATABASE_URL", "postgresql://localhost/board?sslrootcert=/etc/hosts"),
        ("DATABASE_URL", "postgresql://localhost/board?sslmode=verify-ca&sslrootcert=/none"),
        ("DATABASE_URL", "mysql://localhost/board"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///board.db?mode=ro"),
        ("DATABASE_URL", "board.db"),
        ("DATABASE_URL", "sqlite:board.db"),
        ("DATABASE_URL", "postgresql://one.example,two.example/board"),
        ("DATABASE_URL", "postgresql:///board?host=one.example,two.example"),
        ("DATABASE_URL", "postgresql:///board?host=one.example&port=http"),
        ("DATABASE_URL", "postgresql://ada:secret@/board"),
        ("DATABASE_URL", "postgresql://localhost/board?sslmode=disable&channel_binding=require"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://localhost/board"),
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
        ("SCOREBOARD_SIGNING_SECRETS", f"{LONG_SECRET},too short"),
        ("SCOREBOARD_JWKS_FILE", "/no/such/file"),
        ("SCOREBOARD_JWKS_FILE", "/"),
        ("SCOREBOARD_JWKS_URL", "id.example/keys"),
        ("SCOREBOARD_JWKS_URL", "https://"),
        ("SCOREBOARD_JWKS_URL", "file:///etc/keys"),
        ("SCOREBOARD_JWKS_URL", "http://id.example/keys"),
        ("SCOREBOARD_JWKS_URL", "http://10.0.0.1/keys"),
        ("SCOREBOARD_JWKS_URL", "http://127.0.0.1.evil.example/keys"),
        ("SCOREBOARD_JWKS_URL", "http://127.0.0.1@evil.example/keys"),
        ("SCOREBOARD_JWKS_URL", "https://id.example:port/keys"),
        ("SCOREBOARD_JWKS_URL", "https://id.example/ke ys"),
        ("SCOREBOARD_SCOPE_CLAIM", "scope, roles"),
        ("SCOREBOARD_SCOPE_CLAIM", "realm_access."),
        ("SCOREBOARD_SCOPE_CLAIM", "realm_access..roles"),
        ("SCOREBOARD_SCOPE_MAP", "admin"),
        ("SCOREBOARD_SCOPE_MAP", "=admin"),
        ("SCOREBOARD_SCOPE_MAP", "scoreboard/admin="),
        ("SCOREBOARD_SCOPE_MAP", "scoreboard/admin=admn"),
        ("SCOREBOARD_SCOPE_MAP", "scoreboard/admin=Admin"),
        ("SCOREBOARD_SCOPE_MAP", "scoreboard/admin=admin support"),
        ("SCOREBOARD_ACCESS_TOKEN_MINUTES", "0"),
        ("SCOREBOARD_RATE_LIMIT", "ten a minute"),
        ("SCOREBOARD_RATE_LIMIT", "0/minute"),
        ("SCOREBOARD_AUTH_RATE_LIMIT", "10/fortnight"),
        ("SCOREBOARD_BROADCAST_INTERVAL_MS", "1"),
        ("SCOREBOARD_BOARDS", "hourly"),
        ("SCOREBOARD_MAX_POINTS", "1e3"),
        ("SCOREBOARD_CORS_ORIGINS", "*"),
        ("SCOREBOARD_CORS_ORIGINS", "https://a.example, https://*.example"),
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


def test_the_scopes_that_a_map_may_name_are_those_that_calls_ask_for() -> None:
    """`support` is for the staff views, which come later."""
    assert set(SCOPES) == {admin.SCOPE, increments.SCOPE, "support"}


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


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/keys", "http://[::1]/keys", "http://localhost:1/keys"]
)
def test_keys_without_tls_are_for_this_machine_alone(url: str) -> None:
    """On any other way somebody could put keys of their own in their place."""
    provider = Settings.from_env({"SCOREBOARD_JWKS_URL": url, **EXPECTED}).provider
    assert provider
    assert str(provider.keys) == url


def test_keys_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it is looked at when the service starts; here it only has to be readable."""
    path = tmp_path / "keys.json"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read anything
    with pytest.raises(SettingsError, match=f"SCOREBOARD_JWKS_FILE: '{path}' cannot be read"):
        Settings.from_env({"SCOREBOARD_JWKS_FILE": str(path), **EXPECTED})
    monkeypatch.undo()
    provider = Settings.from_env({"SCOREBOARD_JWKS_FILE": str(path), **EXPECTED}).provider
    assert provider == IdentityProvider(keys=path, issuer="https://id.example", audience="board")


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
    settings = Settings(
        jwt_secret=secret.encode(),
        jwt_previous_secrets=(secret.encode(),),
        signing_secrets=(secret.encode(),),
        provider=IdentityProvider(
            keys=KeysUrl(f"https://me:{secret}@id.example:8443/keys?key={secret}"),
            issuer="https://id.example",
            audience="board",
        ),
    )
    assert settings.provider
    assert str(settings.provider.keys) == "https://id.example:8443/keys"
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
        ("SCOREBOARD_JWKS_URL", "http://me:S3cr3t@id.example/keys?key=S3cr3t"),
        ("SCOREBOARD_JWKS_URL", "https://me:12/S3cr3t@id.example/keys"),
        ("SCOREBOARD_JWKS_URL", "https://me:S3cr3t℀b@id.example/keys"),
        ("SCOREBOARD_JWKS_URL", "https://me:S3cr3t @id.example/keys"),
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


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example",
        "http://localhost:3000",
        "https://a.example:80",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnop",
        "https://a_b.example",
    ],
)
def test_an_origin_that_a_browser_sends_is_taken(origin: str) -> None:
    assert Settings.from_env({"SCOREBOARD_CORS_ORIGINS": origin}).cors_origins == (origin,)


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("https://a.example/", "https://a.example"),
        ("https://a.example/path?query#there", "https://a.example"),
        ("HTTPS://A.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:080", "http://a.example"),
        ("http://a.example:", "http://a.example"),
        ("https://ada:secret@a.example", "https://a.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[0:0::1]", "http://[::1]"),
        ("capacitor://localhost/", "capacitor://localhost"),
        ("null", None),
        ("a.example", None),
        ("a.example:3000", None),
        ("https://", None),
        ("https://*.example", None),
        ("https://a.example:99999", None),
        ("https://a.example:port", None),
        ("http://127.1", None),
        ("http://[::1", None),
        ("wss://a.example", None),
        ("file:///android_asset", None),
        ("data://a.example", None),
        ("https://a b.example", None),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str, sent: str | None) -> None:
    """It would never match, and nobody would be told. Where there is a right form it is named."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"SCOREBOARD_CORS_ORIGINS": origin})
    if sent is None:
        assert "an origin looks like" in str(caught.value)
    else:
        assert str(caught.value).endswith(f"write {sent!r}")


SERVER = "postgresql://db.example:5432/board"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql:///board?host=/run/pg",
            PostgresServer("postgresql://localhost/board", socket="/run/pg"),
        ),
        (
            "postgres://ada:s%40@/board?host=/cloudsql/a:b:c&port=6543",
            PostgresServer("postgresql://ada:s%40@localhost:6543/board", socket="/cloudsql/a:b:c"),
        ),
        (
            "postgresql://ada@%2FVar%2Frun:6543/board",
            PostgresServer("postgresql://ada@localhost:6543/board", socket="/Var/run"),
        ),
        ("postgresql:///board?host=db.example&port=5432", PostgresServer(SERVER)),
        (f"{SERVER}?application_name=app&connect_timeout=10", PostgresServer(SERVER)),
        (f"{SERVER}?target_session_attrs=read-write", PostgresServer(SERVER)),
        (f"{SERVER}?client_encoding=UTF8&keepalives_idle=60", PostgresServer(SERVER)),
        # Neon's: a certificate that is checked shows more than the channel does.
        (
            f"{SERVER}?sslmode=require&channel_binding=require",
            PostgresServer(SERVER, "verify-full"),
        ),
        (f"{SERVER}?sslmode=require&channel_binding=prefer", PostgresServer(SERVER, "require")),
        (
            f"{SERVER}?sslmode=verify-full&sslrootcert=system",
            PostgresServer(SERVER, "verify-full"),
        ),
    ],
)
def test_an_address_that_means_what_is_done_is_taken(url: str, expected: PostgresServer) -> None:
    settings = Settings.from_env({"DATABASE_URL": url, "SCOREBOARD_JWT_SECRET": LONG_SECRET})
    assert settings.database == expected


@pytest.mark.parametrize(
    ("name", "url", "option", "instead"),
    [
        ("DATABASE_URL", f"{SERVER}?pool_size=5", "pool_size", "SCOREBOARD_DATABASE_POOL"),
        ("DATABASE_URL", f"{SERVER}?pgbouncer=true", "pgbouncer", "SCOREBOARD_STATEMENT_CACHE=off"),
        (
            "DATABASE_URL",
            f"{SERVER}?statement_timeout=5000",
            "statement_timeout",
            "SCOREBOARD_STATEMENT_TIMEOUT_MS",
        ),
        ("DATABASE_URL", f"{SERVER}?ssl=true", "ssl", "sslmode=require"),
        ("DATABASE_URL", f"{SERVER}?options=-csearch_path%3Dx", "options", "ALTER ROLE"),
        ("DATABASE_URL", f"{SERVER}?sslcert=client.pem", "sslcert", "remove it"),
        ("DATABASE_URL", f"{SERVER}?target_session_attrs=standby", "target_session_attrs", "value"),
        ("DATABASE_URL", f"{SERVER}?client_encoding=LATIN1", "client_encoding", "value"),
        (
            "REDIS_URL",
            "rediss://redis.example?ssl_cert_reqs=none",
            "ssl_cert_reqs",
            "SCOREBOARD_REDIS_TLS_INSECURE",
        ),
        ("REDIS_URL", "redis://redis.example?db=3", "db", "redis://host:6379/0"),
        ("REDIS_URL", "redis://redis.example?unknown=s3cret", "unknown", "remove it"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused_by_name_with_what_does_it(
    name: str, url: str, option: str, instead: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**POSTGRES, name: url})
    assert caught.value.variable == name
    assert repr(option) in str(caught.value)
    assert instead in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_options_of_a_redis_client_are_not_handed_to_ours() -> None:
    url = "rediss://:s3cret@redis.example:6380/1?socket_timeout=9&ssl_cert_reqs=required"
    settings = Settings.from_env({**POSTGRES, "REDIS_URL": url})
    assert settings.redis == RedisServer("rediss://:s3cret@redis.example:6380/1")
