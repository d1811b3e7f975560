"""Signed requests of trusted backends: an HMAC over what is asked, when, and under which key."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

from scoreboard.errors import SignatureInvalid

TIMESTAMP_HEADER: Final = "X-Scoreboard-Timestamp"
SIGNATURE_HEADER: Final = "X-Scoreboard-Signature"
SKEW: Final = 300  # seconds that a signature is older or younger than our clock, at most
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v1=([0-9a-f]{64})", re.ASCII)


def sign(secret: bytes, *, timestamp: str, method: str, path: str, key: str, body: bytes) -> str:
    """The signature header of a request: the HMAC-SHA256 (RFC 2104) of its parts, parted by dots.

    A dot in the key does not blur where the body begins: what follows another dot of a signed text
    is never a JSON object again.
    """
    message = b".".join([f"{timestamp}.{method}.{path}.{key}".encode(), body])
    return f"v1={hmac.new(secret, message, 'sha256').hexdigest()}"


def verify(
    secrets: Sequence[bytes],
    *,
    timestamps: Sequence[str],
    signatures: Sequence[str],
    method: str,
    path: str,
    key: str,
    body: bytes,
    now: float,
) -> str:
    """What the request was signed with, as the text that counts once.

    `timestamps` and `signatures` are the values of the two headers, `now` the seconds since the
    epoch. Raises `SignatureInvalid` unless one of the secrets made the signature, no more than
    `SKEW` seconds ago or ahead.
    """
    if not secrets:
        raise SignatureInvalid("This server takes no signed requests.")
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} must be there once, in Unix seconds.")
    if len(signatures) != 1 or not (match := _SIGNATURE.fullmatch(signatures[0])):
        raise SignatureInvalid(f"{SIGNATURE_HEADER} must be there once, as v1=<64 hex digits>.")
    timestamp = timestamps[0]
    if abs(now - int(timestamp)) > SKEW:
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is more than {SKEW} s from our clock.")
    # Each in constant time, and all of them: how long it takes tells nothing.
    matches = [
        hmac.compare_digest(
            sign(secret, timestamp=timestamp, method=method, path=path, key=key, body=body),
            signatures[0],
        )
        for secret in secrets
    ]
    if not any(matches):
        raise SignatureInvalid("The signature does not match the request.")
    return match[1]
