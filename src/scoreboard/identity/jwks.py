"""A set of public keys, as an identity provider publishes it: what of it can verify a token.

The form is the JSON Web Key Set of RFC 7517. Each key has one explicit list of algorithms, so that
a token never chooses how it is verified (RFC 8725, 3.1).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from joserfc import jws
from joserfc.jwa import EdDSAAlgorithm
from joserfc.jwk import ECKey, OKPKey, RSAKey

MAX_DOCUMENT: Final = 262_144  # bytes: the largest providers' sets, with certificates, have 40 KB
MAX_KEYS: Final = 100  # keys in a set: providers have two to twenty
# Bits. Less is too weak (RFC 7518, 3.3); more costs each verification milliseconds, and nobody asks
# for it.
RSA_BITS: Final = range(2048, 8193)

# What each kind of key can do, by `kty` and `crv`, and the members that make such a key. "EdDSA" is
# the older name of "Ed25519" (RFC 9864), and most providers still write it.
_KINDS: Final[Mapping[tuple[str, str | None], tuple[Sequence[str], Sequence[str]]]] = {
    ("RSA", None): (("RS256",), ("n", "e")),
    ("EC", "P-256"): (("ES256",), ("crv", "x", "y")),
    ("OKP", "Ed25519"): (("Ed25519", "EdDSA"), ("crv", "x")),
}
ALGORITHMS: Final = frozenset(name for names, _ in _KINDS.values() for name in names)


class _OldName(EdDSAAlgorithm):
    # joserfc warns at each use of the older name; here it is a choice.
    security_warning: str | None = None  # type: ignore[assignment]


class Registry(jws.JWSRegistry):
    """joserfc's rules for a signature, as far as they differ for tokens that others make.

    Headers that are not known are ignored, as RFC 7515, 4 demands; some providers have their own.
    A token's length is bounded as a whole, by whoever reads it.
    """

    algorithms = {  # noqa: RUF012 - joserfc's own form
        **{name: jws.JWSRegistry.algorithms[name] for name in ALGORITHMS},
        "EdDSA": _OldName(),
    }
    max_header_length = max_signature_length = 8192

    def __init__(self, algorithms: Sequence[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)


class Key(NamedTuple):
    """A public key, with the algorithms that it may verify by."""

    kid: str | None
    algorithms: Sequence[str]
    public: RSAKey | ECKey | OKPKey

    def has_signed(self, signature: jws.CompactSignature) -> bool:
        """Whether the signature is this key's. Raises any error that a hostile token can cause."""
        return jws.validate_compact(signature, self.public, registry=Registry(self.algorithms))


class KeySet:
    """The keys of one document that can be used here."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._kids = {key.kid for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def knows(self, kid: str) -> bool:
        """Whether there is a key with this id."""
        return kid in self._kids

    def candidates(self, algorithm: str, kid: str | None) -> list[Key]:
        """The keys that may have signed a token with this header.

        Without a `kid` that is the one key of its algorithm: of several none is guessed.
        """
        able = [key for key in self._keys if algorithm in key.algorithms]
        if kid is None:
            return able if len(able) == 1 else []
        return [key for key in able if key.kid == kid]


def parse(document: bytes) -> KeySet:
    """The usable keys of a JWKS; all others are ignored, as RFC 7517, 5 says.

    Raises `ValueError`, which says why, when it is no JWKS within the bounds, or has no such key.
    """
    if len(document) > MAX_DOCUMENT:
        raise ValueError(f"has more than {MAX_DOCUMENT} bytes")
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    members = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(members, list):
        raise ValueError("is no JWKS: it has no list of keys")  # noqa: TRY004 - of a text, not a type
    if len(members) > MAX_KEYS:
        raise ValueError(f"has more than {MAX_KEYS} keys")
    keys = [key for member in members if (key := _key(member))]
    if not keys:
        raise ValueError("has no key that can be used (RSA of 2048 bits or more, P-256, Ed25519)")
    return KeySet(keys)


def _key(member: object) -> Key | None:
    """The key, if it is one that verifies signatures by an algorithm that is known here."""
    if not isinstance(member, dict):
        return None
    kid, use, operations = (member.get(name) for name in ("kid", "use", "key_ops"))
    if not isinstance(kid, str | None) or use not in (None, "sig"):
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    try:
        algorithms, parts = _KINDS[member["kty"], member.get("crv")]
        if member.get("alg") is not None:
            algorithms = [name for name in algorithms if name == member["alg"]]
        # Only what makes the public key is read: none of the rest can break or change it.
        public = _public({"kty": member["kty"], **{part: member[part] for part in parts}})
    except Exception:  # noqa: BLE001 - a parser of strangers' data: TypeErrors and more
        return None
    return Key(kid, algorithms, public) if algorithms and public else None


def _public(members: dict[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    if members["kty"] == "EC":
        return ECKey.import_key(members)
    if members["kty"] == "OKP":
        return OKPKey.import_key(members)
    # Looked at before joserfc does, which only warns of a short key.
    modulus = int.from_bytes(urlsafe_b64decode(members["n"] + "=="))
    return RSAKey.import_key(members) if modulus.bit_length() in RSA_BITS else None
