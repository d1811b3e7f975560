"""Whatever a client sends: a value within its bounds, or the one error that is declared for it."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from scoreboard.errors import SignatureInvalid, ValidationFailed
from scoreboard.identity import signatures
from scoreboard.identity.starts import LIFE_MS, Starts
from scoreboard.settings import Settings
from scoreboard.web import conditional, parse
from scoreboard.web.clients import UNKNOWN, address_of, network_of
from scoreboard.web.requests import Requests

T = TypeVar("T")

SECRET = b"a secret that is thirty-two bytes or longer"
PART = {"timestamp": "1000000", "method": "POST", "path": "/api/v1/scores/increment", "key": "k"}

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
# Bytes that a header can hold on the wire, as Starlette reads them: Latin-1.
header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=300)
queries = st.text(max_size=30) | st.from_regex(r"[+-]?[0-9٠-٩_ .]{1,12}", fullmatch=True)


def attempt(parsed: Callable[[], T]) -> tuple[T | None, str]:
    """What it gives and no name, or the name of the field that was refused."""
    try:
        return parsed(), ""
    except ValidationFailed as error:
        return None, error.field


def request(query: str = "", headers: list[tuple[str, str]] | None = None) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers or []]
    return Request({"type": "http", "headers": raw, "query_string": query.encode()})


@given(
    st.dictionaries(st.sampled_from(["data", "name", "\udc80", "x"]), json_values)
    | json_values
    | st.just({"data": [[[]]]}),
    st.binary(max_size=4),
    st.integers(0, 400),
)
def test_a_body_is_an_object_that_can_be_kept_or_refused(
    value: object, rubbish: bytes, place: int
) -> None:
    """Written as Python writes it, which knows NaN and halves of surrogate pairs, and damaged."""
    body = json.dumps(value).encode()
    for sent in (body, body[:place] + rubbish + body[place:]):
        with suppress(ValidationFailed):
            found = parse.as_object(sent, {"data", "name"})
            assert set(found) <= {"data", "name"}
            kept = json.dumps(found, ensure_ascii=False, allow_nan=False)
            assert b"\x00" not in kept.encode()
            assert "\\u0000" not in kept.replace("\\\\", "")


@given(st.integers(1, 3 * parse.MAX_DEPTH), st.sampled_from(["[", '{"a":']))
def test_depth_is_bounded_at_one_place(depth: int, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    body = f'{{"data": {opening * (depth - 1)}1{closing * (depth - 1)}}}'.encode()
    if depth <= parse.MAX_DEPTH:
        assert parse.as_object(body, {"data"})
    else:
        with pytest.raises(ValidationFailed):
            parse.as_object(body, {"data"})


@given(st.dictionaries(st.just("field"), json_values), st.integers(-5, 5), st.integers(-5, 5))
def test_a_field_is_within_its_bounds_or_named(
    given_: dict[str, Any], one: int, other: int
) -> None:
    low, high = sorted((one, other))
    number, refused = attempt(lambda: parse.integer(given_, "field", low=low, high=high))
    assert refused in ("", "field")
    if number is not None:
        assert low <= number <= high
        assert type(given_["field"]) is int
    text, refused = attempt(lambda: parse.text(given_, "field", longest=5))
    assert refused in ("", "field")
    assert text is None or 1 <= len(text) <= 5


@given(queries)
def test_a_number_in_a_query_is_within_its_bounds_or_named(text: str) -> None:
    assume(text.isprintable())
    sent = request(f"n={quote(text)}&cursor={quote(text)}")
    number, refused = attempt(lambda: parse.whole(sent, "n", default=5, low=1, high=100))
    assert refused in ("", "n")
    if number is not None:
        assert 1 <= number <= 100
        assert number == int(text)
        assert text.isascii()
    place, refused = attempt(lambda: parse.cursor(sent, start=7))
    assert refused in ("", "cursor")
    if place is not None:
        assert 0 <= place < 2**63
        assert text.isascii()
        assert text.isdigit()


@given(st.binary(max_size=40))
def test_any_bytes_in_a_query_are_text_or_refused(query: bytes) -> None:
    sent = Request({"type": "http", "headers": [], "query_string": query})
    for name in ("a", "", "n"):
        with suppress(ValidationFailed):
            value = parse.query(sent, name)
            assert value is None or "\0" not in value


@given(st.lists(header_text | st.text("!~k", max_size=300), max_size=2))
def test_a_key_is_visible_ascii_or_refused(values: list[str]) -> None:
    sent = request(headers=[("idempotency-key", value) for value in values])
    key, refused = attempt(lambda: parse.idempotency_key(sent))
    assert refused in ("", "Idempotency-Key")
    if key is not None:
        assert [key] == values
        assert re.fullmatch(r"[!-~]{1,255}", key)
    elif not refused:
        assert not values


@given(st.lists(header_text, max_size=4), st.sampled_from(["0" * 18, "f" * 18]))
def test_a_version_is_found_where_it_is_named(texts: list[str], version: str) -> None:
    tags = [text for text in texts if '"' not in text and "," not in text and version not in text]
    others = ", ".join(f'W/"{tag}"' for tag in tags)

    def is_named(header: str) -> bool:
        return conditional.has_version(header.encode(), version.encode())

    assert is_named(f'{others}, W/"{version}"')
    assert not is_named(others)
    assert isinstance(is_named("".join(texts)), bool)


@given(header_text)
async def test_every_answer_has_a_sane_id(given_id: str) -> None:
    """That of the caller, if it cannot forge a line of the log or a header."""
    answers: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        answers.append(message)

    headers = [(b"x-request-id", given_id.encode("latin-1"))]
    scope = {"type": "http", "method": "GET", "raw_path": b"/", "headers": headers}
    await Requests(app)(scope, receive, send)
    mine = dict(answers[0]["headers"])[b"x-request-id"].decode("latin-1")
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", mine)
    if re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", given_id):
        assert mine == given_id


near_addresses = st.text("0123456789abcdef.:[]%, ", max_size=40)
addresses = st.ip_addresses().map(str) | near_addresses | st.text()


@given(addresses)
def test_an_address_is_one_subscriber_or_none(text: str) -> None:
    network = network_of(text)
    if network is not None:
        assert network_of(network.removesuffix("/64")) == network, "reduced once and for all"


@given(
    st.lists(header_text | addresses.filter(lambda text: text.isascii()), max_size=3),
    st.integers(0, 3),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=4).map(str),
)
def test_what_a_client_forwards_never_moves_what_the_proxies_saw(
    forged: list[str], hops: int, true: str, peer: str
) -> None:
    """Whatever it writes left of what the trusted proxies append, it is counted as itself."""
    assume(all("\0" not in text and "\n" not in text and "\r" not in text for text in forged))
    appended = [true, *(["10.0.0.1"] * (hops - 1))] if hops else []
    values = [*forged, ", ".join(appended)] if hops else forged

    class App:
        class state:  # noqa: N801 - Starlette's name
            class scoreboard:  # noqa: N801
                settings = Settings(trusted_proxy_hops=hops)

    raw = [(b"x-forwarded-for", value.encode("latin-1", "replace")) for value in values]
    scope = {"type": "http", "headers": raw, "client": (peer, 1), "app": App}
    assert address_of(Request(scope)) == (true if hops else peer)
    scope["client"] = None
    assert address_of(Request(scope)) == (true if hops else UNKNOWN)


@given(
    st.lists(header_text | st.from_regex(r"[0-9]{1,13}", fullmatch=True), max_size=2),
    st.lists(header_text | st.from_regex(r"v1=[0-9a-f]{64}", fullmatch=True), max_size=2),
    st.binary(max_size=40),
    st.floats(0, 2e9, allow_nan=False),
)
def test_a_signature_that_nobody_made_is_refused(
    timestamps: list[str], values: list[str], body: bytes, now: float
) -> None:
    with pytest.raises(SignatureInvalid):
        signatures.verify(
            [SECRET],
            timestamps=timestamps,
            signatures=values,
            method="POST",
            path="/",
            key="k",
            body=body,
            now=now,
        )


@given(
    st.sampled_from(["timestamp", "method", "path", "key", "body", "secret"]),
    st.text("0123456789.-/kP", min_size=1, max_size=12),
    st.text("0123456789.{}", max_size=12),
)
def test_a_signature_is_for_one_request_alone(part: str, other: str, body: str) -> None:
    """A change of any part of it, or another secret, and it is none."""
    secret, signed = SECRET, {**PART, "body": body.encode()}
    header = signatures.sign(secret, **cast("Any", signed))

    def verified() -> str:
        return signatures.verify(
            [b"x" * 32, secret],
            timestamps=[cast("str", signed["timestamp"])],
            signatures=[header],
            now=float(PART["timestamp"]),
            **cast("Any", {name: signed[name] for name in ("method", "path", "key", "body")}),
        )

    assert header == f"v1={verified()}"
    if part == "secret":
        secret = hmac.digest(SECRET, other.encode(), "sha256")
    else:
        changed = other.encode() if part == "body" else other
        assume(changed != signed[part])
        signed[part] = changed
    with pytest.raises(SignatureInvalid):
        verified()


@given(
    st.text() | st.text("ab.-_=", max_size=5000) | st.binary().map(lambda b: b.decode("latin-1"))
)
def test_a_start_token_that_nobody_made_is_none(token: str) -> None:
    assert Starts([SECRET]).verify(token, "ada", "quiz", 0) is None


@given(st.text(max_size=255), st.text(max_size=64), st.integers(0, 2**52), st.integers(0, 10**9))
def test_a_start_token_gives_its_instant_as_long_as_it_lives(
    account_id: str, action_id: str, began: int, later: int
) -> None:
    starts = Starts([SECRET, b"y" * 32])
    token, expires = starts.issue(account_id, action_id, began)
    found = starts.verify(token, account_id, action_id, began + later)
    assert found == (began if later < LIFE_MS else None)
    assert expires == began + LIFE_MS
    assert starts.verify(token, f"{account_id}.", action_id, began) is None
    assert starts.verify(token, account_id, f"{action_id}.", began) is None
    assert Starts([b"z" * 32]).verify(token, account_id, action_id, began) is None
