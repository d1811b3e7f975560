"""`scoreboard adjust`, `void`, `hide` and `unhide`: what staff may do to scores, and who is shown.

The same rows of the log as over HTTP, with the same bounds, written beside the running servers.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from starlette.requests import Request

from scoreboard import periods
from scoreboard.cli.actors import actor
from scoreboard.cli.terminal import show
from scoreboard.cli.words import Help, reason_of, text_of
from scoreboard.errors import NotFound, ValidationFailed
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.ledger.accounts import Account, Accounts
from scoreboard.ledger.database import Database
from scoreboard.scoring import refusals
from scoreboard.scoring.completion import Answer, Change
from scoreboard.scoring.fingerprints import fingerprint
from scoreboard.settings import Settings
from scoreboard.web import parse
from scoreboard.web.admin import MAX_ADJUSTMENT
from scoreboard.wiring import open_submissions

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_LOG_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


def add(commands: Any) -> None:
    """The words of these commands."""
    adjust = _parser(
        commands,
        "adjust",
        run=run_adjust,
        summary="give a player points, or take some",
        description="Give a player points, or take some. Nothing in the log is edited: this is a "
        "row of its own.",
        example="scoreboard adjust --user ada --points -5 --reason 'counted twice'",
    )
    _add_user(adjust)
    adjust.add_argument(
        "--points",
        required=True,
        metavar="N",
        help=f"how many, from -{MAX_ADJUSTMENT} to {MAX_ADJUSTMENT}, not 0",
    )
    _add_reason(adjust)
    adjust.add_argument(
        "--key", metavar="KEY", help="names this adjustment: twice with the same one counts once"
    )
    void = _parser(
        commands,
        "void",
        run=run_void,
        summary="take back what a completion gave",
        description="Reverse a completion, an increment or an adjustment, on its own day and in "
        "its week. It is made once: again, this says what the first one did.",
        example="scoreboard void 4217 --reason 'a bot played'",
    )
    void.add_argument("completion", metavar="COMPLETION", help="the completionId of its receipt")
    _add_reason(void)
    hide = _parser(
        commands,
        "hide",
        run=run_hide,
        summary="take a player off every board",
        description="Take a player off every board and stream. The score is kept and goes on.",
        example="scoreboard hide --user ada --reason 'a bot'",
    )
    _add_user(hide)
    _add_reason(hide)
    unhide = _parser(
        commands,
        "unhide",
        run=run_unhide,
        summary="put a player back on the boards",
        description="Put a player back on every board and stream, with the score that was kept.",
        example="scoreboard unhide --user ada --reason 'no bot after all'",
    )
    _add_user(unhide)
    _add_reason(unhide)


def _parser(
    commands: Any,
    name: str,
    *,
    run: Callable[[argparse.Namespace, Mapping[str, str]], int],
    summary: str,
    description: str,
    example: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{description} Servers may run meanwhile: with Redis their boards and streams "
        "change at once, without it within about a second.",
        epilog=f"example:\n  {example}",
        formatter_class=Help,
    )
    parser.set_defaults(run=run)
    return parser


def _add_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="ID", help="account id")


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for the trail")


def run_adjust(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Adjust a score, and say what it is now."""
    number = int(options.points) if _NUMBER.fullmatch(options.points) else None
    points = parse.integer({"points": number}, "points", low=-MAX_ADJUSTMENT, high=MAX_ADJUSTMENT)
    if points == 0:
        raise ValidationFailed("points", "must not be 0")
    account, answer = _record("adjustment", options, env, points=points, key=_key(options.key))
    show(_receipt(account, answer))
    return 0


def run_void(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Reverse a row of the log, and say what the score is now."""
    if not _LOG_ID.fullmatch(options.completion):
        raise refusals.nothing_to_void()
    account, answer = _record("void", options, env, voids=int(options.completion))
    show(_receipt(account, answer))
    return 0


def run_hide(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Hide a player."""
    account, answer = _record("hide", options, env)
    show(f"{account.username}: hidden, with {_points(answer.receipt.new_score)}")
    return 0


def run_unhide(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Show a player again."""
    account, answer = _record("unhide", options, env)
    show(f"{account.username}: shown again, with {_points(answer.receipt.new_score)}")
    return 0


def _record(
    kind: Literal["adjustment", "void", "hide", "unhide"],
    options: argparse.Namespace,
    env: Mapping[str, str],
    *,
    key: str | None = None,
    points: int = 0,
    voids: int | None = None,
) -> tuple[Account, Answer]:
    """Record a change of the player that is named, or of whoever has the row that is voided.

    Raises `NotFound` when there is no such player or row, and what the rules refuse it with.
    """
    reason = reason_of(options.reason)
    user = text_of(options.user, "user", MAX_ACCOUNT_ID) if voids is None else None

    async def record() -> tuple[Account, Answer]:
        async with open_submissions(Settings.from_env(env)) as (database, submissions):
            account = await _player(database, user or await _owner(database, voids))
            said = {"userId": user, "points": points, "voids": voids, "reason": reason}
            change = Change(
                kind,
                account,
                actor(),
                fingerprint("cli", kind, said),
                key,
                reason,
                points=points,
                voids=voids,
            )
            return account, await submissions.submit(change)

    return asyncio.run(record())


async def _owner(database: Database, log_id: int | None) -> str:
    row = await database.fetch_one("log_row", log_id=log_id)
    if row is None:
        raise refusals.nothing_to_void()
    owner: str = row["account_id"]
    return owner


async def _player(database: Database, account_id: str) -> Account:
    account = await Accounts(database, periods.now_ms).find(account_id)
    if account is None:
        raise NotFound("There is no such player.")
    return account


def _key(given: str | None) -> str | None:
    """As the header of a request. Raises `ValidationFailed`."""
    if given is None:
        return None
    header = (b"idempotency-key", given.encode("utf-8", "surrogateescape"))
    return parse.idempotency_key(Request({"type": "http", "headers": [header]}))


def _receipt(account: Account, answer: Answer) -> str:
    (log_id, _, points, new_score, _), is_old = answer.receipt, answer.replayed
    return (
        f"{account.username}: {_points(points, '+')}, {'then' if is_old else 'now'} "
        f"{new_score} (completion {log_id}{', recorded before' if is_old else ''})"
    )


def _points(number: int, sign: str = "") -> str:
    return f"{number:{sign}} point{'' if abs(number) == 1 else 's'}"
