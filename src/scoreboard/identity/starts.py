"""Start tokens: proof of when an account began an action that takes a least time.

A token is the instant itself, signed for one account and one action, so that nothing is kept until
it is used. What makes it count once is in `scoring/rules.py`: a start counts only if the account
has not completed the action since.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

from joserfc import jwt
from joserfc.jwk import OctKey

from scoreboard.identity.tokens import MAX_TOKEN

LIFE_MS: Final = 24 * 3600 * 1000  # twice the longest time that an action can ask for
_ALGORITHM: Final = "HS256"
# The key is derived from the secret for this alone: no start token is ever an access token, nor the
# other way round (NIST SP 800-108, a label that separates the uses of one key).
_LABEL: Final = b"scoreboard start token v1"


class Started(NamedTuple):
    """A token, and the millisecond at which it stops being taken."""

    token: str
    expires_ms: int


class Starts:
    """Issues and verifies start tokens. The first secret signs; the others verify (rotation)."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = [
            OctKey.import_key(hmac.digest(secret, _LABEL, "sha256")) for secret in secrets
        ]

    def issue(self, account_id: str, action_id: str, now_ms: int) -> Started:
        """A token for an account that begins an action now."""
        claims = {"sub": account_id, "action": action_id, "ms": now_ms}
        return Started(jwt.encode({"alg": _ALGORITHM}, claims, self._keys[0]), now_ms + LIFE_MS)

    def verify(self, token: str, account_id: str, action_id: str, now_ms: int) -> int | None:
        """The instant in a token of ours, if it is this account's, for this action and has not
        expired by `now_ms`; else None.
        """
        if len(token) > MAX_TOKEN:
            return None
        for key in self._keys:
            try:
                claims = jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
            except Exception:  # noqa: BLE001, S112 - a parser of hostile bytes: TypeErrors and more
                continue
            if claims.get("sub") != account_id or claims.get("action") != action_id:
                return None
            began = claims.get("ms")
            return began if isinstance(began, int) and now_ms < began + LIFE_MS else None
        return None
