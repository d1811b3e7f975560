"""What the claims of a verified token say: the account, its name and its scopes (pure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import ExpiredTokenError

from scoreboard.errors import TokenExpired, Unauthorized
from scoreboard.identity import usernames
from scoreboard.identity.scopes import Scopes, as_written
from scoreboard.values import IdentityProvider

LEEWAY: Final = 30  # seconds that the clocks of two servers may differ
MAX_ACCOUNT_ID: Final = 255  # characters
# The claim and its value that mark the tokens of our own login. In a provider's token they mean
# nothing.
MARK: Final = "scoreboard"
LOGIN: Final = "login"


class Principal(NamedTuple):
    """Whom a valid token speaks for; `username` is what a new account would like to be called."""

    account_id: str
    username: str
    scopes: frozenset[str]


class ClaimRules:
    """What the claims of one family of tokens must say, and what they mean: those that the own
    secret signed, or those of `provider`.
    """

    def __init__(
        self,
        scopes: Scopes,
        clock: Callable[[], float],
        provider: IdentityProvider | None = None,
    ) -> None:
        self._scopes = scopes
        self._audience = provider.audience if provider else None
        expected: dict[str, jwt.ClaimsOption] = {"exp": {"essential": True}}
        expected["sub"] = {"essential": True}
        if provider:
            expected["iss"] = {"essential": True, "value": provider.issuer}
            expected["aud"] = {"value": provider.audience}
        self._registry = jwt.JWTClaimsRegistry(now=lambda: int(clock()), leeway=LEEWAY, **expected)

    def principal(self, claims: dict[str, Any]) -> Principal:
        """Whom these claims are about. Raises `Unauthorized`, `TokenExpired` if only time is up."""
        try:
            self._registry.validate(claims)
        except ExpiredTokenError as error:
            raise TokenExpired from error
        except Exception as error:
            raise Unauthorized("The access token is not valid.") from error
        if self._audience is not None and not _is_for(self._audience, claims):
            raise Unauthorized("The access token is not valid.")
        account_id = claims["sub"]
        if not isinstance(account_id, str) or not 1 <= len(account_id) <= MAX_ACCOUNT_ID:
            raise Unauthorized(f"The access token's sub must have 1-{MAX_ACCOUNT_ID} characters.")
        if "\x00" in account_id or not _is_unicode(account_id):
            raise Unauthorized("The access token's sub is not text.")
        return Principal(
            account_id, usernames.from_claims(claims, account_id), self._scopes_of(claims)
        )

    def _scopes_of(self, claims: dict[str, Any]) -> frozenset[str]:
        if self._audience is not None:
            return self._scopes.of(claims)
        if claims.get(MARK) == LOGIN:
            return frozenset()  # its username is anybody's choice, so no claim of it may give any
        # Whoever has the own secret decides what its tokens may do. They keep the scopes that they
        # name in our words, whatever is set for a provider.
        return self._scopes.of(claims) | as_written(claims)


def _is_for(audience: str, claims: dict[str, Any]) -> bool:
    """Whether claims whose `aud`, if there is one, was compared already name this audience.

    Access tokens of Amazon Cognito have no `aud` unless the client asked for a resource. They name
    the app client that they were issued to, which is the audience of its ID tokens. Nothing but
    `token_use` tells these tokens from others that merely lack an audience (RFC 8725, 3.9).
    """
    if "aud" in claims:
        return True
    return claims.get("token_use") == "access" and claims.get("client_id") == audience


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can smuggle in
        return False
    return True
