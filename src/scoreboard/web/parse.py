"""What a client sent, turned into values or turned away."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.requests import Request

from scoreboard.errors import PayloadTooLarge, ValidationFailed
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.ledger.audit import MAX_REASON
from scoreboard.text import can_be_seen

MAX_BODY: Final = 16 * 1024  # bytes: every body of this API fits many times over
MAX_DEPTH: Final = 64  # levels of nesting: far below where parsers and printers give up
BODY_WAIT: Final = 10.0  # seconds for a body to arrive: a phone on a bad line needs less than one
_TOO_LARGE: Final = f"A body may have at most {MAX_BODY} bytes."
_ONES: Final = ("1.0", "1.1")  # from HTTP/2 on a body needs no header that announces it
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)
_CURSOR: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


async def json_object(request: Request, fields: Collection[str]) -> dict[str, Any]:
    """The body as a JSON object with no other than these fields. Raises as `body` and
    `as_object`.
    """
    return as_object(await body(request), fields)


def as_object(sent: bytes, fields: Collection[str]) -> dict[str, Any]:
    """These bytes as a JSON object with no other than these fields; none at all are `{}`.

    A field that is null is left out: in every body that means the same, also for the fingerprint
    of a request. What is inside a field stays as it is. Raises `ValidationFailed`.
    """
    if not sent:
        return {}
    try:
        # Decoded first: json.loads would guess at UTF-16 and UTF-32.
        parsed = json.loads(sent.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except UnicodeError:
        raise ValidationFailed("body", "is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise ValidationFailed("body", "is not JSON") from None
    if not isinstance(parsed, dict):
        raise ValidationFailed("body", "must be a JSON object")
    for field in parsed:
        if field not in fields:
            raise ValidationFailed(_shown(field), "is not a field of this request")
    _refuse_unstorable(parsed)
    return {field: value for field, value in parsed.items() if value is not None}


def _shown(field: str) -> str:
    return field.encode("ascii", "backslashreplace").decode()[:64]


def _refuse_unstorable(parsed: object) -> None:
    """What Python's parser lets through and no database takes, or takes but cannot give back."""
    open_values: list[tuple[object, int]] = [(parsed, 1)]
    while open_values:
        value, depth = open_values.pop()
        if isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                raise ValidationFailed("body", f"is nested deeper than {MAX_DEPTH} levels")
            inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            open_values += [(one, depth + 1) for one in inner]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValidationFailed("body", "has a number that is not finite")
        elif isinstance(value, str) and ("\x00" in value or not _is_unicode(value)):
            raise ValidationFailed("body", "has text with NUL or half of a surrogate pair")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def body(request: Request) -> bytes:
    """The body as it was sent.

    Raises `PayloadTooLarge` before more than `MAX_BODY` bytes are held, and `ValidationFailed` when
    it has not arrived after `BODY_WAIT` seconds.
    """
    length, is_chunked = "", False
    for name, value in request.scope["headers"]:
        if name == b"content-length":
            length = value.decode("latin-1")
        elif name == b"transfer-encoding":
            is_chunked = True
    if length in ("", "0") and not is_chunked and request.scope["http_version"] in _ONES:
        return b""  # there can be none (RFC 9112, 6.3)
    if _DIGITS.fullmatch(length) and (len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY):
        raise PayloadTooLarge(_TOO_LARGE)
    sent = bytearray()
    try:
        async with asyncio.timeout(BODY_WAIT):
            async for chunk in request.stream():
                sent += chunk
                if len(sent) > MAX_BODY:
                    raise PayloadTooLarge(_TOO_LARGE)
    except TimeoutError:
        raise ValidationFailed("body", f"did not arrive within {BODY_WAIT:.0f} seconds") from None
    return bytes(sent)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) < len(pairs):
        raise ValidationFailed("body", "names a field twice")
    return parsed


def text(given: Mapping[str, Any], field: str, *, longest: int) -> str:
    """A field that must be there and hold 1 to `longest` characters. Raises `ValidationFailed`."""
    value = given.get(field)
    if value is None:
        raise ValidationFailed(field, "is required")
    if not isinstance(value, str):
        raise ValidationFailed(field, "must be a string")
    if not 1 <= len(value) <= longest:
        raise ValidationFailed(field, f"must have 1-{longest} characters")
    return value


def integer(given: Mapping[str, Any], field: str, *, low: int, high: int) -> int:
    """A field that must be there and hold a whole number within bounds. Raises
    `ValidationFailed`.
    """
    value = given.get(field)
    if type(value) is not int or not low <= value <= high:
        raise ValidationFailed(field, f"must be a whole number from {low} to {high}")
    return value


def account_id(given: Mapping[str, Any]) -> str:
    """The field `userId`, which must be there. Raises `ValidationFailed`."""
    return text(given, "userId", longest=MAX_ACCOUNT_ID)


def reason(given: Mapping[str, Any], *, required: bool) -> str | None:
    """The field `reason`, which has something to read. Raises `ValidationFailed`."""
    if not required and given.get("reason") is None:
        return None
    why = text(given, "reason", longest=MAX_REASON)
    if not can_be_seen(why):
        raise ValidationFailed("reason", "must have a character that can be seen")
    return why


def query(request: Request, name: str) -> str | None:
    """A query parameter, or None. Raises `ValidationFailed` when it is there twice or not text."""
    if not request.scope["query_string"]:  # as most come
        return None
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise ValidationFailed(name, "is given twice")
    if not values:
        return None
    if "\x00" in values[0] or "\ufffd" in values[0]:
        raise ValidationFailed(name, "is not UTF-8 text without NUL")
    return values[0]


def whole(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """A query parameter that is a whole number within bounds. Raises `ValidationFailed`."""
    value = query(request, name)
    if value is None:
        return default
    if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
        raise ValidationFailed(name, f"must be a whole number from {low} to {high}")
    return int(value)


def cursor(request: Request, *, start: int) -> int:
    """The row that the page before ended with, `start` for the first. Raises `ValidationFailed`."""
    value = query(request, "cursor")
    if value is None:
        return start
    if not _CURSOR.fullmatch(value):
        raise ValidationFailed("cursor", "must be a nextCursor of an earlier page")
    return int(value)


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header, or None. Raises `ValidationFailed` when it is malformed."""
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise ValidationFailed("Idempotency-Key", "must be 1-255 visible ASCII characters, once")
    return values[0]
