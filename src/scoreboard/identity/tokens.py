"""Access tokens: JSON Web Tokens (RFC 7519), of the own secret or of an identity provider.

The own secret signs by HMAC alone, a provider by its public keys alone. The header's `alg` says
which of the two is meant and never more (RFC 8725, 3.1).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from authlib.oauth2.rfc6749 import ResourceProtector
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from joserfc import jws, jwt
from joserfc.jwk import OctKey
from starlette.requests import HTTPConnection

from scoreboard.errors import Forbidden, Unauthorized
from scoreboard.identity import jwks
from scoreboard.identity.claims import LOGIN, MARK, ClaimRules, Principal
from scoreboard.identity.provider import ProviderKeys
from scoreboard.identity.scopes import Scopes

ALGORITHM: Final = "HS256"
MAX_TOKEN: Final = 8192  # characters: more is not parsed
_BEARER: Final = b"Bearer "
# Verified tokens that are remembered: 10,000 callers in their tokens' time. One takes 0.7 KB, with
# the longest id, name and scopes some 10 KB.
REMEMBERED: Final = 10_000
MAX_SCOPES: Final = 32  # of a token that is remembered; a thousand of them would take 125 KB

_own: Final = jws.JWSRegistry(algorithms=[ALGORITHM])
_any: Final = jwks.Registry([ALGORITHM, *jwks.ALGORITHMS])


class Tokens:
    """Issues and verifies tokens. The first secret signs; the others only verify (rotation)."""

    def __init__(
        self,
        secrets: Sequence[bytes],
        provider: ProviderKeys | None = None,
        *,
        scopes: Scopes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secrets = [OctKey.import_key(secret) for secret in secrets]
        self._provider = provider
        self._clock = clock
        self._verified = _Verified(clock)
        self._verified_with: jwks.KeySet | None = None
        scopes = scopes or Scopes()
        self._own_rules = ClaimRules(scopes, clock)
        self._provider_rules = ClaimRules(scopes, clock, provider.provider if provider else None)
        self._protector = ResourceProtector()
        self._protector.register_token_validator(_Bearer(self))

    def issue(
        self,
        account_id: str,
        *,
        seconds: int,
        username: str | None = None,
        scope: str | None = None,
        login: bool = False,
    ) -> str:
        """A token for an account that is valid for so many seconds; `login` marks one of our login,
        whose claims give no scopes.
        """
        now = int(self._clock())
        claims: dict[str, Any] = {"sub": account_id, "iat": now, "exp": now + seconds}
        if username is not None:
            claims["username"] = username
        if scope is not None:
            claims["scope"] = scope
        if login:
            claims[MARK] = LOGIN
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, self._secrets[0])

    def verify(self, token: str) -> Principal:
        """Whom the token speaks for, by the keys that are known now.

        Raises `Unauthorized`, `TokenExpired` if only time is up.
        """
        if known := self._known(token):
            return known
        signature = _read(token)
        try:
            is_valid, rules = self._verifies(signature)
            claims = json.loads(signature.payload) if is_valid else None
        except Exception as error:
            # A parser of hostile bytes: TypeErrors, RecursionErrors and more.
            raise Unauthorized("The access token is not valid.") from error
        if not isinstance(claims, dict):
            raise Unauthorized("The access token is not valid.")
        principal = rules.principal(claims)
        self._verified.keep(token, principal, claims["exp"])
        return principal

    def _verifies(self, signature: jws.CompactSignature) -> tuple[bool, ClaimRules]:
        """Whether a key of the family that `alg` names has signed this, and what is asked then."""
        header = signature.headers()
        if header["alg"] == ALGORITHM:
            own = any(
                jws.validate_compact(signature, secret, registry=_own) for secret in self._secrets
            )
            return own, self._own_rules
        keys = self._provider.keys if self._provider else None
        theirs = keys.candidates(header["alg"], header.get("kid")) if keys else []
        return any(key.has_signed(signature) for key in theirs), self._provider_rules

    def _known(self, token: str) -> Principal | None:
        """Whom the token speaks for, if it was verified before and by the same keys."""
        if self._provider and self._provider.keys is not self._verified_with:
            self._verified.clear()  # perhaps by a key that is gone
            self._verified_with = self._provider.keys
        return self._verified.get(token)

    async def refresh_keys(self) -> None:
        """Keep the identity provider's keys fresh until cancelled; without one, return at once."""
        if self._provider:
            await self._provider.run()

    async def authenticate(self, request: HTTPConnection, scope: str | None = None) -> Principal:
        """Whom the request's `Authorization: Bearer` header speaks for (RFC 6750).

        Raises `Unauthorized` without a valid token, `Forbidden` when it lacks `scope`, and
        `Unavailable` when the identity provider's keys are needed and were never had.
        """
        given = [value for name, value in request.scope["headers"] if name == b"authorization"]
        if len(given) > 1:
            raise Unauthorized("Send one Authorization header.", error="invalid_request")
        if given and not scope and given[0].startswith(_BEARER):
            # What the protector would say, at a tenth of its cost.
            known = self._known(given[0][len(_BEARER) :].decode("latin-1"))
            if known:
                return known
        try:
            if self._provider:
                # The protector itself cannot wait.
                _, token = self._protector.parse_request_authorization(request)
                await self._find_key(token)
            principal = self._protector.validate_request([scope] if scope else None, request)
        except (MissingAuthorizationError, UnsupportedTokenTypeError) as error:
            raise Unauthorized(
                "Send an access token as “Authorization: Bearer …”.", error=None
            ) from error
        except InvalidTokenError as error:
            raise Unauthorized("The access token is not valid.") from error
        except InsufficientScopeError as error:
            raise Forbidden(f"This needs a token with the scope {scope}.") from error
        assert isinstance(principal, Principal)  # noqa: S101 - Authlib is untyped
        return principal

    async def _find_key(self, token: str) -> None:
        if self._provider and not self._known(token):
            header = _read(token).headers()
            if header["alg"] in jwks.ALGORITHMS:
                await self._provider.find(header.get("kid"))


def _read(token: str) -> jws.CompactSignature:
    """The token's parts, of which nothing is verified. Raises `Unauthorized`."""
    if len(token) > MAX_TOKEN:
        raise Unauthorized("The access token is too long.")
    try:
        signature = jws.extract_compact(token.encode("ascii"), registry=_any)
        header = signature.headers()
        _any.check_header(header)  # each has the type that it should
    except Exception as error:
        raise Unauthorized("The access token is not valid.") from error
    if "crit" in header:
        # What is critical has to be understood (RFC 7515, 4.1.11), and nothing of it is here.
        raise Unauthorized("The access token is not valid.")
    return signature


class _Verified:
    """Tokens that were verified, by their hash, none of them longer than it is valid."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def get(self, token: str) -> Principal | None:
        key = _digest(token)
        if (entry := self._entries.get(key)) is None:
            return None
        principal, ends = entry
        if self._clock() >= ends:  # without leeway: from now on it is verified each time
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return principal

    def keep(self, token: str, principal: Principal, ends: float) -> None:
        if self._clock() < ends and len(principal.scopes) <= MAX_SCOPES:
            self._entries[_digest(token)] = (principal, ends)
            if len(self._entries) > REMEMBERED:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class _Bearer(BearerTokenValidator):  # type: ignore[misc]  # Authlib is untyped
    """What Authlib asks about a bearer token."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(realm="scoreboard")
        self._tokens = tokens

    def authenticate_token(self, token_string: str) -> Principal:
        return self._tokens.verify(token_string)

    def validate_token(
        self,
        token: Principal,
        scopes: list[str] | None,
        request: HTTPConnection,  # noqa: ARG002 - Authlib's signature
    ) -> None:
        if not token.scopes.issuperset(scopes or ()):
            raise InsufficientScopeError
