"""`scoreboard token`: a bearer token for the configured secret."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from scoreboard.cli.terminal import show
from scoreboard.cli.words import Help
from scoreboard.identity import usernames
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.identity.secret import signing_secrets
from scoreboard.identity.tokens import Tokens
from scoreboard.settings import Settings
from scoreboard.text import is_readable


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "token",
        help="print a bearer token",
        description="Print a bearer token for the configured secret, and nothing else. An account "
        "that does not exist yet is made when the token is first used.",
        epilog="example:\n"
        "  TOKEN=$(scoreboard token --user ada --username Ada)\n"
        '  curl -X POST -H "Authorization: Bearer $TOKEN" \\\n'
        "    http://127.0.0.1:8000/api/v1/actions/daily-check-in/complete",
        formatter_class=Help,
    )
    parser.add_argument("--user", required=True, metavar="ID", type=_account_id, help="account id")
    parser.add_argument(
        "--username", metavar="NAME", type=_name, help="what a new account is called"
    )
    parser.add_argument("--scope", metavar="S", help="scopes, parted by spaces, such as admin")
    parser.add_argument(
        "--minutes", metavar="N", type=_minutes, default=60, help="how long it is valid (60)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Print the token."""
    tokens = Tokens(signing_secrets(Settings.from_env(env), may_make=False))
    show(
        tokens.issue(
            options.user,
            seconds=options.minutes * 60,
            username=options.username,
            scope=options.scope,
        )
    )
    return 0


def _account_id(text: str) -> str:
    if not 1 <= len(text) <= MAX_ACCOUNT_ID or not is_readable(text):
        raise argparse.ArgumentTypeError(
            f"must have 1-{MAX_ACCOUNT_ID} characters, none of them invisible"
        )
    return text


def _name(text: str) -> str:
    try:
        return usernames.normalize(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 525_600:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 525600 (a year)")
    return int(text)
