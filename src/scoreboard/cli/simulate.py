"""`scoreboard simulate`: made-up players, playing over real HTTP."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import httpx2

from scoreboard.cli.target import add_url
from scoreboard.cli.terminal import ERASE_LINE, complain, show
from scoreboard.cli.words import Help
from scoreboard.identity.secret import signing_secrets
from scoreboard.identity.tokens import Tokens
from scoreboard.ledger.actions import is_action_id
from scoreboard.settings import Settings

MAX_OPEN: Final = 256  # requests under way: beyond, sending waits, and the wait counts as latency
TIMEOUT: Final = 10.0  # seconds for one answer
TOKEN_SLACK: Final = 600  # seconds that tokens outlive the run
ADJECTIVES: Final = "Brave Calm Clever Eager Gentle Jolly Lucky Mighty Nimble Quiet Swift Witty"
ANIMALS: Final = "Badger Crane Dolphin Falcon Gecko Heron Ibex Lynx Marten Otter Puffin Raven"

CREATED: Final = 201
UNAUTHORIZED: Final = 401
OUTCOMES: Final = {
    200: "recorded",
    409: "already completed",
    429: "rate limited",
    503: "turned away (503)",
}


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "simulate",
        help="let made-up players play",
        description="Let made-up players complete the server's actions at a steady rate, over "
        "real HTTP. Their tokens are made from the configured secret, so run it with the settings "
        "of the server. Latency counts from the moment a request was due: a stall shows in full.",
        epilog="example, beside a running `scoreboard serve --demo`:\n"
        "  scoreboard simulate --accounts 200 --rate 20 --seconds 60",
        formatter_class=Help,
    )
    add_url(parser)
    parser.add_argument(
        "--accounts", type=_positive, default=200, metavar="N", help="players (200)"
    )
    parser.add_argument(
        "--rate", type=_rate, default=20.0, metavar="R", help="completions a second (20)"
    )
    parser.add_argument(
        "--seconds", type=_positive, default=30, metavar="S", help="how long to play (30)"
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats the same choices (1)")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 1000000")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0.01 <= rate <= 10_000:
        raise argparse.ArgumentTypeError("must be a number from 0.01 to 10000")
    return rate


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Play, then say how it went. Fails when no completion was recorded."""
    settings = Settings.from_env(env)
    players = _players(
        options.accounts,
        Tokens(signing_secrets(settings, may_make=False)),
        options.seconds + TOKEN_SLACK,
    )
    tally = Tally()
    try:
        asyncio.run(_play(options, players, tally))
    except httpx2.HTTPError as error:
        complain(f"{options.url}: {error}")
        return 1
    except (ValueError, httpx2.InvalidURL):
        complain(f"{options.url} is no Scoreboard")
        return 1
    except KeyboardInterrupt:
        pass
    for line in tally.summary():
        show(line)
    return 0 if tally.outcomes["recorded"] else 1


class Offer(NamedTuple):
    """An action of the server."""

    action_id: str
    is_endless: bool
    min_elapsed_seconds: int


class Player:
    """An account with its token, its eagerness, and the actions that it has used up."""

    def __init__(self, number: int, token: str, eagerness: float) -> None:
        self.number = number
        self.headers = {"Authorization": f"Bearer {token}"}
        self.eagerness = eagerness
        self.used: set[str] = set()

    def choose(self, actions: Sequence[Offer], chance: random.Random) -> Offer:
        """An action that can still count, or any if none can."""
        left = [action for action in actions if action.action_id not in self.used]
        action = chance.choice(left or list(actions))
        if not action.is_endless:
            self.used.add(action.action_id)
        return action


def _players(count: int, tokens: Tokens, seconds: int) -> list[Player]:
    names = [
        f"{adjective} {animal}" for adjective in ADJECTIVES.split() for animal in ANIMALS.split()
    ]
    chance = random.Random(0)  # noqa: S311 - the same players in every run
    chance.shuffle(names)
    players = []
    for number in range(count):
        name = names[number % len(names)]
        username = name if number < len(names) else f"{name} {number // len(names) + 1}"
        token = tokens.issue(f"simulated-{number:06d}", seconds=seconds, username=username)
        players.append(Player(number, token, chance.uniform(0.4, 1)))
    return players


def turns(players: Sequence[Player], chance: random.Random) -> Iterator[Player]:
    """Who plays next, for ever: in rounds, so that nobody is drawn far more often than the others
    and runs into the rate limit; the eager take part in more rounds, so that the board spreads.
    """
    while True:
        round_ = [player for player in players if chance.random() < player.eagerness]
        chance.shuffle(round_)
        yield from round_


class Tally:
    """What came of the requests."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.began = time.perf_counter()

    def note(self, outcome: str, seconds: float) -> None:
        """Count a request that took so long from the moment it was due."""
        self.outcomes[outcome] += 1
        self.latencies.append(seconds)

    def line(self) -> str:
        """The state in one line."""
        spread = Spread.of(self.latencies)
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        took = time.perf_counter() - self.began
        return f"{took:5.0f} s  {counts or 'nothing yet'}  p50 {spread.p50:.1f} ms"

    def summary(self) -> list[str]:
        """The state in a few lines."""
        took, spread = time.perf_counter() - self.began, Spread.of(self.latencies)
        rows = [f"  {count:>7}  {name}" for name, count in self.outcomes.most_common()]
        latency = (
            f"  latency p50 {spread.p50:.1f}  p95 {spread.p95:.1f}  p99 {spread.p99:.1f}  "
            f"max {spread.top:.1f} ms"
        )
        return [f"{self.outcomes.total()} requests in {took:.1f} s", *rows, latency]


class Spread(NamedTuple):
    """Percentiles of some latencies, in milliseconds."""

    p50: float
    p95: float
    p99: float
    top: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """The nearest-rank percentiles; zeros when there is nothing."""
        ordered = sorted(seconds) or [0.0]
        return cls(
            *(
                ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
                for share in (0.50, 0.95, 0.99, 1)
            )
        )


async def _play(options: argparse.Namespace, players: Sequence[Player], tally: Tally) -> None:
    chance = random.Random(options.seed)  # noqa: S311 - to be repeatable
    limits = httpx2.Limits(max_connections=MAX_OPEN, max_keepalive_connections=MAX_OPEN)
    async with httpx2.AsyncClient(
        base_url=f"{options.url}/api/v1", timeout=TIMEOUT, limits=limits
    ) as client:
        response = await client.get("/actions")
        response.raise_for_status()
        listed = _actions(response)
        if not listed:
            raise httpx2.HTTPError("the server has no actions: scoreboard actions load FILE")
        actions = [one for one in listed if one.min_elapsed_seconds <= options.seconds]
        if not actions:
            raise httpx2.HTTPError("no action can be completed so soon: give more --seconds")
        if (await client.get("/me", headers=players[0].headers)).status_code == UNAUTHORIZED:
            raise httpx2.HTTPError(
                "the server refuses our tokens: set SCOREBOARD_JWT_SECRET to the server's, or run "
                "this in the folder of the server's database"
            )
        show(
            f"{len(players)} players, {options.rate:g} completions a second for "
            f"{options.seconds} s, at {options.url}"
        )
        tally.began = time.perf_counter()
        room = asyncio.Semaphore(MAX_OPEN)
        async with asyncio.TaskGroup() as tasks:
            progress = tasks.create_task(_report(tally))
            async with asyncio.TaskGroup() as requests:
                order = turns(players, chance)
                for number in range(int(options.rate * options.seconds)):
                    due = tally.began + number / options.rate
                    await asyncio.sleep(max(0, due - time.perf_counter()))
                    await room.acquire()
                    player = next(order)
                    action = player.choose(actions, chance)
                    sent = requests.create_task(
                        _complete(client, player, action, due=due, tally=tally, room=room)
                    )
                    sent.add_done_callback(lambda _: room.release())
            progress.cancel()


def _actions(response: httpx2.Response) -> list[Offer]:
    """The actions that a server lists. It may be a stranger's: raises `ValueError` when they are
    none of a Scoreboard.
    """
    try:
        listed = [
            Offer(
                str(one["actionId"]),
                one["repeat"] == "unlimited",
                int(one.get("minElapsedSeconds") or 0),
            )
            for one in response.json()["actions"]
        ]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("no list of actions") from error
    if not all(is_action_id(action.action_id) for action in listed):
        raise ValueError("an action id that is none")
    return listed


async def _complete(
    client: httpx2.AsyncClient,
    player: Player,
    action: Offer,
    *,
    due: float,
    tally: Tally,
    room: asyncio.Semaphore,
) -> None:
    """Complete an action, holding a place in `room`; start it first if it must be started.

    What is started is due when the action's time is over; nobody waits for the place meanwhile.
    """
    headers = {**player.headers, "Idempotency-Key": str(uuid.uuid4())}
    path = f"/actions/{action.action_id}"
    body: dict[str, str] = {}
    try:
        if action.min_elapsed_seconds:
            response = await client.post(f"{path}/start", headers=player.headers)
            if response.status_code != CREATED:
                tally.note(_outcome(response), time.perf_counter() - due)
                return
            body = {"startToken": str(response.json()["startToken"])}
            due = time.perf_counter() + action.min_elapsed_seconds
            room.release()
            player.used.add(action.action_id)  # a completion makes every earlier start worthless
            await asyncio.sleep(action.min_elapsed_seconds)
            if action.is_endless:
                player.used.discard(action.action_id)
            await room.acquire()
        response = await client.post(f"{path}/complete", headers=headers, json=body)
    except httpx2.HTTPError as error:
        tally.note(type(error).__name__, time.perf_counter() - due)
        return
    tally.note(_outcome(response), time.perf_counter() - due)


def _outcome(response: httpx2.Response) -> str:
    return OUTCOMES.get(response.status_code, f"answered {response.status_code}")


async def _report(tally: Tally) -> None:
    """Show the state: in place every half second on a terminal, else a line every five seconds."""
    live = sys.stdout.isatty()
    try:
        while True:
            await asyncio.sleep(0.5 if live else 5)
            if live:
                show(ERASE_LINE, tally.line(), end="")
            else:
                show(tally.line())
    finally:
        if live:
            show()
