"""Access tokens: JSON Web Tokens signed with the own secret (RFC 7519, HS256 of RFC 7518)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from authlib.oauth2.rfc6749 import ResourceProtector
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from joserfc import jwt
from joserfc.errors import ExpiredTokenError
from joserfc.jwk import OctKey
from starlette.requests import HTTPConnection

from scoreboard.errors import Forbidden, TokenExpired, Unauthorized

ALGORITHM: Final = "HS256"
LEEWAY: Final = 30  # seconds that the clocks of two servers may differ
MAX_TOKEN: Final = 8192  # characters: more is not parsed
MAX_ACCOUNT_ID: Final = 255  # characters

_registry: Final = jwt.JWTClaimsRegistry(
    leeway=LEEWAY, exp={"essential": True}, sub={"essential": True}
)


class Principal(NamedTuple):
    """Whom a valid token speaks for."""

    account_id: str
    claims: Mapping[str, Any]


class Tokens:
    """Issues and verifies tokens. The first secret signs; the others only verify (rotation)."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = [OctKey.import_key(secret) for secret in secrets]
        self._protector = ResourceProtector()
        self._protector.register_token_validator(_Bearer(self))

    def issue(
        self,
        account_id: str,
        *,
        seconds: int,
        username: str | None = None,
        scope: str | None = None,
    ) -> str:
        """A token for an account that is valid for so many seconds."""
        now = int(time.time())
        claims: dict[str, Any] = {"sub": account_id, "iat": now, "exp": now + seconds}
        if username is not None:
            claims["username"] = username
        if scope is not None:
            claims["scope"] = scope
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, self._keys[0])

    def verify(self, token: str) -> Principal:
        """Whom the token speaks for. Raises `Unauthorized`, `TokenExpired` if only time is up."""
        if len(token) > MAX_TOKEN:
            raise Unauthorized("The access token is too long.")
        for key in self._keys:
            try:
                # The list of algorithms is explicit: a token does not choose how it is verified.
                decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
            except Exception:  # noqa: BLE001, S112 - a parser of hostile bytes: TypeErrors and more
                continue
            return _principal(decoded.claims)
        raise Unauthorized("The access token is not valid.")

    def authenticate(self, request: HTTPConnection, scope: str | None = None) -> Principal:
        """Whom the request's `Authorization: Bearer` header speaks for (RFC 6750).

        Raises `Unauthorized` without a valid token, and `Forbidden` when it lacks `scope`.
        """
        try:
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


def _principal(claims: Mapping[str, Any]) -> Principal:
    try:
        _registry.validate(dict(claims))
    except ExpiredTokenError as error:
        raise TokenExpired from error
    except Exception as error:
        raise Unauthorized("The access token is not valid.") from error
    account_id = claims["sub"]
    if not isinstance(account_id, str) or not 1 <= len(account_id) <= MAX_ACCOUNT_ID:
        raise Unauthorized(f"The access token's sub must have 1-{MAX_ACCOUNT_ID} characters.")
    if "\x00" in account_id or not _is_unicode(account_id):
        raise Unauthorized("The access token's sub is not text.")
    return Principal(account_id, claims)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can smuggle in
        return False
    return True


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
        granted = token.claims.get("scope")
        if self.scope_insufficient(granted if isinstance(granted, str) else "", scopes):
            raise InsufficientScopeError
