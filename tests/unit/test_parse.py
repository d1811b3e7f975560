"""Bodies, queries and headers that clients send."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from scoreboard.errors import PayloadTooLarge, ValidationFailed
from scoreboard.web import conditional, parse


def request(
    *chunks: bytes, query: str = "", headers: list[tuple[str, str]] | None = None
) -> Request:
    pending: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    pending.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return pending.pop(0)

    given = [("Transfer-Encoding", "chunked")] if headers is None else headers
    scope = {
        "type": "http",
        "http_version": "1.1",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given],
        "query_string": query.encode(),
    }
    return Request(scope, receive)


async def parsed(body: bytes) -> dict[str, Any]:
    return await parse.json_object(request(body), {"data", "name"})


async def test_an_empty_body_is_an_empty_object() -> None:
    assert await parsed(b"") == {}


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**60), 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab", min_size=1), inner),
    max_leaves=10,
)


@given(json_values)
async def test_what_json_can_say_comes_through(value: object) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"data": value}, ensure_ascii=ascii_only).encode()
        assert await parsed(body) == ({} if value is None else {"data": value})


@given(st.binary(max_size=200))
async def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with suppress(ValidationFailed):
        assert isinstance(await parsed(body), dict)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"data": NaN}',
        b'{"data": Infinity}',
        b'{"data": 1e999}',
        b'{"name": "a", "name": "b"}',
        b'{"data": {"a": 1, "a": 2}}',
        b'{"points": 100}',
        b'{"data": "\xff"}',
        b'{"data": "a\\u0000b"}',
        b'{"data": {"a\\u0000b": 1}}',
        b'{"data": "\\ud800"}',
        b'{"\\ud800": 1}',
        b"[" * 5000,
        b'{"data":' * 2000,
        b'{"data":' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"data":' + b"[" * 970 + b"]" * 970 + b"}",
        b'{"data": ' + b"9" * 5000 + b"}",
        '{"data": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
)
async def test_a_bad_body_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationFailed):
        await parsed(body)


async def test_a_body_may_be_nested_sixty_four_levels_deep() -> None:
    assert await parsed(b'{"data":' + b"[" * 63 + b"]" * 63 + b"}")


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    announced = request(headers=[("Content-Length", str(parse.MAX_BODY + 1))])
    with pytest.raises(PayloadTooLarge):
        await parse.json_object(announced, ())


async def test_a_large_body_in_chunks_is_refused_on_the_way() -> None:
    with pytest.raises(PayloadTooLarge):
        await parse.json_object(request(*[b"x" * 1000] * 17), ())


@pytest.mark.parametrize("value", ["0", "101", "-1", "1.0", "1e1", "", " 5", "٥", "9" * 30, "0x5"])
def test_an_absurd_number_is_refused(value: str) -> None:
    with pytest.raises(ValidationFailed):
        parse.whole(request(query=f"limit={value}"), "limit", default=10, low=1, high=100)


def test_a_number_within_bounds_is_taken() -> None:
    assert parse.whole(request(query="limit=100"), "limit", default=10, low=1, high=100) == 100
    assert parse.whole(request(), "limit", default=10, low=1, high=100) == 10


@pytest.mark.parametrize("query", ["board=a&board=b", "board=%00", "board=%FF"])
def test_a_bad_query_is_refused(query: str) -> None:
    with pytest.raises(ValidationFailed):
        parse.query(request(query=query), "board")


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb"])
def test_a_malformed_idempotency_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationFailed):
        parse.idempotency_key(request(headers=[("Idempotency-Key", key)]))


def test_two_idempotency_keys_are_refused() -> None:
    with pytest.raises(ValidationFailed):
        parse.idempotency_key(request(headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]))


@pytest.mark.parametrize(
    ("header", "has_it"),
    [
        ('"v1"', True),
        ('W/"v1"', True),
        ('"v0", W/"v1"', True),
        ("*", True),
        ('"v2"', False),
        ("v1", False),
        ("", False),
    ],
)
def test_etags_are_compared_weakly(header: str, has_it: bool) -> None:
    assert conditional.has_version(header.encode(), b"v1") is has_it
