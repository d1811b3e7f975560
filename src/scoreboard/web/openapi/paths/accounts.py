"""Registering, logging in, and one's own account."""

from __future__ import annotations

from typing import Final

from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import answer
from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.operation import V1, body, example_of, operation
from scoreboard.web.openapi.security import USER

_NAME_AND_PASSWORD: Final = {"username": "Ada", "password": "correct horse battery"}
_SESSION: Final = example_of("Session", examples.SESSION.to_json())
_REFRESH: Final = body("RefreshToken", {"refreshToken": examples.REFRESH_TOKEN})

ACCOUNTS: Final[Node] = {
    f"{V1}/auth/register": {
        "post": operation(
            "register",
            "Make an account",
            "Makes an account with a password and logs it in.",
            sent=body("NewAccount", _NAME_AND_PASSWORD),
            answers={"201": answer("The account, logged in.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "UsernameTaken",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{V1}/auth/login": {
        "post": operation(
            "logIn",
            "Log in",
            "A new pair of tokens for a username, in any case, and its password.",
            sent=body("Credentials", _NAME_AND_PASSWORD),
            answers={"200": answer("Logged in.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "CredentialsWrong",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{V1}/auth/refresh": {
        "post": operation(
            "refreshSession",
            "Trade a refresh token for a new pair",
            "A refresh token works once. One that comes back was copied by somebody: then all that "
            "came from the same login stop working.",
            sent=_REFRESH,
            answers={"200": answer("A new pair of tokens.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "RefreshTokenInvalid",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{V1}/auth/logout": {
        "post": operation(
            "logOut",
            "Log out",
            "Ends the login that the refresh token came from. An access token lives on until it "
            "expires.",
            sent=_REFRESH,
            answers={"204": answer("Logged out; also if the token was not valid any more.")},
            refusals=("BodyMalformed", "PayloadTooLarge", "Unavailable"),
        )
    },
    f"{V1}/me": {
        "get": operation(
            "getMe",
            "Your own place on every board",
            "`score` and `rank` are those of the first board, `all-time`.",
            security=USER,
            answers={"200": answer("You.", example_of("Me", examples.ME), cache="No-Store")},
            refusals=("Unauthorized", "Unavailable"),
        )
    },
    f"{V1}/me/completions": {
        "get": operation(
            "listMyCompletions",
            "Your own history",
            "What you completed, newest first.",
            security=USER,
            parameters=("Cursor",),
            answers={
                "200": answer("A page.", example_of("History", examples.HISTORY), cache="No-Store")
            },
            refusals=("QueryMalformed", "Unauthorized", "Unavailable"),
        )
    },
}
