"""Whatever is in the environment: values within bounds, or one line that names the variable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoreboard import periods
from scoreboard.addresses import PostgresServer, SqliteFile, parse_database, parse_redis
from scoreboard.errors import SettingsError
from scoreboard.periods import ALL_TIME, BOARDS
from scoreboard.settings import MIN_SECRET_BYTES, VARIABLES, Settings
from scoreboard.values import keys_url

PASSWORD = "hunter2"

# What an environment can hold: no NUL, and bytes that are no UTF-8 as halves of surrogate pairs.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
anything = texts | st.text(st.sampled_from("\udc80\udcff aä"))
pieces = st.sampled_from(
    [
        *("sqlite", "postgres", "postgresql", "redis", "rediss", "http", "https"),
        *(":", "//", "/", "///", "@", "?", "#", "[", "]", "::1", "%", "%2F", "%00", "=", "&"),
        *(",", " ", "\n", "-", "+", ".", "0", "1", "65535", "65536", "1" * 5000),
        *("localhost", "127.0.0.1", "board.db", ":memory:", "x" * 300, "e" * 5000, "é", "s" * 32),
        *("sslmode", "verify-full", "sslrootcert", "10/minute", "on", "off", "daily", "weekly"),
    ]
)
values = anything | st.lists(pieces, max_size=8).map("".join)
environments = st.dictionaries(
    st.sampled_from([*VARIABLES, "SCOREBOARD_PORT", "SCOREBOARD_RATELIMIT"]), values, max_size=4
)


@example({"SCOREBOARD_JWKS_FILE": "x" * 300})
@example({"SCOREBOARD_JWKS_FILE": "two\nlines"})
@example({"DATABASE_URL": "sqlite:///a%00b"})
@example({"DATABASE_URL": f"postgres://h/n?sslmode=verify-full&sslrootcert={'x' * 300}"})
@given(environments)
def test_an_environment_is_understood_or_refused_in_one_line(env: dict[str, str]) -> None:
    try:
        settings = Settings.from_env(env)
    except SettingsError as error:
        refused = error
    else:
        assert_within_bounds(settings)
        return
    assert str(refused).startswith(f"{refused.variable}: ")
    assert "\n" not in str(refused)


def assert_within_bounds(settings: Settings) -> None:
    assert 0 <= settings.port <= 65_535
    assert settings.workers == 1 or settings.redis
    assert settings.boards[0] == ALL_TIME
    assert set(settings.boards) <= set(BOARDS)
    assert settings.rate_limit.amount > 0
    secrets = [*settings.jwt_previous_secrets, *settings.signing_secrets]
    secrets += [settings.jwt_secret] if settings.jwt_secret else []
    assert all(len(secret) >= MIN_SECRET_BYTES for secret in secrets)
    assert settings.jwt_secret or isinstance(settings.database, SqliteFile)


@given(values)
def test_an_address_of_a_database_is_one_of_two_kinds_or_refused(text: str) -> None:
    with suppress(ValueError):
        found = parse_database(text)
        if isinstance(found, SqliteFile):
            assert str(found)
        else:
            assert found.url.startswith("postgresql://")
            assert str(found)


@given(values)
def test_an_address_of_a_redis_is_taken_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert str(parse_redis(text))


@example("redis", "@", "#", "/0")
@example("postgres", "@", "/x#", "/board")
@example("https", "@", "?", "/0")
@example("https", "@", "#", "/0")
@given(
    st.sampled_from(["postgres", "postgresql", "redis", "rediss", "https"]),
    st.text("@:/?#[]%& ä", max_size=4),
    st.text("@:/?#[]%& ä", max_size=4),
    st.sampled_from(["/0", "/board", "", "/board?sslmode=require"]),
)
def test_a_password_is_never_shown_however_it_is_written(
    scheme: str, before: str, behind: str, rest: str
) -> None:
    address = f"{scheme}://user:{before}{PASSWORD}{behind}@db.example:5432{rest}"
    parse: Callable[[str], object] = {"https": keys_url}.get(
        scheme, parse_database if scheme.startswith("post") else parse_redis
    )
    try:
        shown = f"{parse(address)} {parse(address)!r}"
    except ValueError as error:
        shown = str(error)
    assert PASSWORD not in shown


@pytest.mark.parametrize("mode", ["disable", "require"])
@given(st.text("abc/", min_size=1).filter(lambda name: "/" not in name))
def test_an_address_comes_through_with_its_mode(mode: str, name: str) -> None:
    found = parse_database(f"postgres://user:p%40@db.example/{name}?sslmode={mode}")
    assert found == PostgresServer(f"postgresql://user:p%40@db.example/{name}", mode)


@given(
    st.sampled_from([*BOARDS, "", "hourly"]),
    st.text(max_size=12)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True)
    | st.from_regex(r"[0-9]{4}-W[0-9]{2}", fullmatch=True),
)
def test_a_period_that_is_taken_is_a_real_one(board: str, name: str) -> None:
    with suppress(ValueError):
        found = periods.parse(board, name)
        assert found == (board, name)
        if board == periods.DAILY:
            assert date.fromisoformat(name).isoformat() == name
        else:
            year, week = int(name[:4]), int(name[6:])
            assert date.fromisocalendar(year, week, 1).isocalendar()[:2] == (year, week)
