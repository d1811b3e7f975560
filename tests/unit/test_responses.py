"""Responses that are made often: a body with its length, or a 304 with neither."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Scope

from scoreboard.web import conditional
from scoreboard.web.headers import Pair
from scoreboard.web.responses import JSON, Ready, encode

HEADERS: list[Pair] = [JSON, (b"cache-control", b"no-cache")]


async def sent(response: ASGIApp) -> list[Message]:
    """What a response sends."""
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("it has nothing to read")

    async def send(message: Message) -> None:
        messages.append(message)

    await response(scope(), receive, send)
    return messages


def scope(*headers: Pair) -> Scope:
    return {"type": "http", "method": "GET", "path": "/", "headers": list(headers)}


def body_of(messages: list[Message]) -> bytes:
    """All of the body, which has ended."""
    *_, last = messages
    assert not last.get("more_body")
    return b"".join(message.get("body", b"") for message in messages[1:])


def length_of(start: Message) -> list[bytes]:
    return [value for name, value in start["headers"] if name == b"content-length"]


@pytest.mark.parametrize("status", [200, 201, 404])
async def test_a_body_goes_out_with_its_length(status: int) -> None:
    text = "Ünïcode".encode()
    messages = await sent(Ready(text, HEADERS, status))
    assert messages[0]["type"] == "http.response.start"
    assert messages[0]["status"] == status
    assert messages[0]["headers"][: len(HEADERS)] == HEADERS
    assert length_of(messages[0]) == [b"9"]
    assert body_of(messages) == text


async def test_an_empty_body_has_a_length_too() -> None:
    """Without one the client would wait for the end of the connection."""
    messages = await sent(Ready(b"", HEADERS))
    assert length_of(messages[0]) == [b"0"]


async def test_not_modified_has_no_length_and_no_body() -> None:
    """RFC 9110, 15.4.5: a length there would be that of what the client has."""
    messages = await sent(Ready(b"", HEADERS, 304))
    assert messages[0]["status"] == 304
    assert length_of(messages[0]) == []
    assert body_of(messages) == b""


async def test_a_response_may_be_sent_again() -> None:
    """Whoever sends it may add headers: those of the next are its own."""
    own = list(HEADERS)
    response = Ready(b"{}", own)
    first = await sent(response)
    first[0]["headers"].append((b"x-request-id", b"1"))
    second = await sent(response)
    assert length_of(second[0]) == [b"2"]
    assert (b"x-request-id", b"1") not in second[0]["headers"]
    assert own == HEADERS


@pytest.mark.parametrize(
    ("asked", "status"),
    [(None, 200), (b'W/"v1"', 304), (b'"v0", "v1"', 304), (b"*", 304), (b'"v0"', 200)],
)
async def test_a_client_that_has_the_version_is_sent_none_of_it(
    asked: bytes | None, status: int
) -> None:
    given = scope(*([(b"if-none-match", asked)] if asked else []))
    headers = conditional.tagged("v1", HEADERS)
    messages = await sent(conditional.answer(Request(given), b'{"a":1}', "v1", headers))
    start: dict[str, Any] = dict(messages[0])
    assert start["status"] == status
    assert (b"etag", b'W/"v1"') in start["headers"]
    assert (b"cache-control", b"no-cache") in start["headers"]
    is_whole = status == 200
    assert length_of(messages[0]) == ([b"7"] if is_whole else [])
    assert (JSON in start["headers"]) == is_whole
    assert body_of(messages) == (b'{"a":1}' if is_whole else b"")


def test_json_is_as_short_as_it_can_be_and_never_something_else() -> None:
    assert encode({"a": [1, "ä"], "b": None}) == '{"a":[1,"ä"],"b":null}'
    assert json.loads(encode({"a": "</script>\n"})) == {"a": "</script>\n"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))
