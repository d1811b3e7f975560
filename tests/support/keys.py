"""Keys of an identity provider, made for a test, and tokens that they sign."""

from __future__ import annotations

import base64
import hmac
import json
import time
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

ISSUER = "https://id.example/"
AUDIENCE = "scoreboard"

SigningKey = RSAKey | ECKey | OKPKey | OctKey


@cache
def rsa(name: str = "rsa", bits: int = 2048) -> RSAKey:
    """An RSA key, the same for the same name: making one takes a moment."""
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        return RSAKey.generate_key(bits, {"kid": name})


@cache
def ec(name: str = "ec", curve: str = "P-256") -> ECKey:
    """A key on a NIST curve."""
    return ECKey.generate_key(curve, {"kid": name})


@cache
def ed(name: str = "ed") -> OKPKey:
    """An Ed25519 key."""
    return OKPKey.generate_key("Ed25519", {"kid": name})


def public(key: SigningKey, **members: Any) -> dict[str, Any]:
    """The key as a provider publishes it; a member that is None is left out."""
    given = {**key.as_dict(private=False), **members}
    return {name: value for name, value in given.items() if value is not None}


def document(*keys: SigningKey | Mapping[str, Any]) -> bytes:
    """A JWKS."""
    members = [dict(key) if isinstance(key, Mapping) else public(key) for key in keys]
    return json.dumps({"keys": members}).encode()


def encoded(part: bytes | Mapping[str, Any]) -> str:
    """A part of a token."""
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """What the provider says of somebody; a claim that is None is left out."""
    now = int(time.time())
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def signed(
    key: SigningKey, algorithm: str, header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """A token of this key; a header that is None is left out."""
    full = {"alg": algorithm, "kid": key.kid, **(header or {})}
    protected = {name: value for name, value in full.items() if value is not None}
    model = jws.JWSRegistry.algorithms[algorithm]
    begun = f"{encoded(protected)}.{encoded(claims(**changes))}"
    return f"{begun}.{encoded(model.sign(begun.encode(), key))}"


def hmac_signed(begun: bytes, secret: bytes) -> str:
    """The begun token with an HMAC by any bytes, whatever its header says."""
    return f"{begun.decode()}.{encoded(hmac.digest(secret, begun, 'sha256'))}"
