"""What makes two requests under one Idempotency-Key the same one (pure)."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def fingerprint(method: str, path: str, body: Mapping[str, Any]) -> str:
    """What two requests have in common if they are the same: their method, path and parsed body
    (128 bits, hex). Equal numbers are the same, however they are written.
    """
    return _digest(method, path, _canonical(body)) if body else _without_a_body(method, path)


def former_fingerprint(method: str, path: str, body: Mapping[str, Any]) -> str | None:
    """What earlier releases recorded for the request, if that is another fingerprint: to them `1`
    and `1.0` were two numbers. A retry must still find the row that such a release recorded.
    """
    former = _digest(method, path, body) if body else None
    return None if former == fingerprint(method, path, body) else former


@functools.lru_cache(maxsize=1024)  # as most are, of as many actions as there may well be
def _without_a_body(method: str, path: str) -> str:
    return _digest(method, path, {})


def _digest(method: str, path: str, body: object) -> str:
    text = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: object) -> object:
    """The value with every whole number as an integer: `1` for `1.0` and `1e0`, `0` for `-0.0`.

    Integers stay exact. As floats, like those of RFC 8785, two of them beyond 2**53 would be one.
    """
    if isinstance(value, Mapping):
        return {key: _canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_canonical(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))  # 1e23 is 10**23; int(1e23) is the double nearest to it
    return value
