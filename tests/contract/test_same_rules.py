"""The rules are written twice, in Python for SQLite and in SQL for PostgreSQL: whatever comes in,
both decide alike, and leave the same rows behind.

EXAMPLES=5000 SEED=7 .venv/bin/python -m pytest tests/contract/test_same_rules.py
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from scoreboard import periods
from scoreboard.addresses import PostgresServer, RedisServer, SqliteFile
from scoreboard.board.memory import MemoryBoard
from scoreboard.board.redis.board import RedisBoard
from scoreboard.errors import RequestError
from scoreboard.ledger import actions
from scoreboard.ledger.actions import MAX_COOLDOWN, MAX_ELAPSED, Action
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Answer, Change, Completion, Submission
from scoreboard.settings import Settings
from tests.support.backends import Postgres
from tests.support.clock import START, FakeClock
from tests.support.engine import Engine, open_engine

EXAMPLES: Final = int(os.environ.get("EXAMPLES", "40"))
SEED: Final = os.environ.get("SEED")
# For the time limit: some ten times what one takes, and as long for making a failure small.
SECONDS_EACH: Final = 2.0
DAY: Final = 86_400  # seconds

ACTIONS: Final = (
    Action("quiz", "Quiz", "", 5, "unlimited", min_elapsed_seconds=60),
    Action("exam", "Exam", "", 9, "once", min_elapsed_seconds=MAX_ELAPSED),
    Action("rest", "Rest", "", 4, "unlimited", cooldown_seconds=600),
    Action("feast", "Feast", "", 50, "unlimited", cooldown_seconds=MAX_COOLDOWN),
    Action("twice", "Twice", "", 2, "unlimited", daily_limit=2),
    Action("lucky", "Lucky", "", 1, "daily", cooldown_seconds=2 * DAY),
    Action("all", "All", "", 8, "unlimited", 60, 600, 2),
)
RETIRED: Final = Action("gone", "Gone", "", 3, "unlimited")
PLAYERS: Final = ("ada", "bob", "cy", "dan", "eve", "fay")
STAFF: Final = ("staff", "ada")  # a player may be one of them
TABLES: Final = {
    "action_log": "log_id",
    "scores": "board, period, account_id",
    "hidden_players": "account_id",
    "action_uses": "account_id, action_id",
    "audit": "audit_id",
}


class Item(NamedTuple):
    """A submission that is made when its batch is: `voids` picks a row of the log as it is then,
    and `started` is so many batches ago, and so many seconds after that.
    """

    kind: Literal["completion", "increment", "adjustment", "void", "hide", "unhide"]
    player: str
    actor: str
    key: str | None
    body: str
    action: str = ""
    started: tuple[int, float] | None = None
    points: int = 0
    voids: int = 0
    signature: str | None = None
    is_of_another: bool = False

    def named(self, number: int) -> Item:
        """With a key and a signature of its own, where it has one."""
        return self._replace(
            key=f"{OWN} {number}" if self.key == OWN else self.key,
            signature=f"{OWN} {number}" if self.signature == OWN else self.signature,
        )


# Mostly one of its own, so that what can be repeated is; the others meet.
OWN: Final = "own"
keys = st.sampled_from([OWN, OWN, OWN, OWN, OWN, OWN, "k", "l", None])


def items(kinds: Sequence[str], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Item]:
    """Submissions of these kinds; all have a player, an actor, a key and a body."""
    drawn = {
        "kind": st.sampled_from(kinds),
        "player": st.sampled_from(["ada", "ada", "ada", *PLAYERS]),
        "actor": st.sampled_from(STAFF),
        "key": keys,
        "body": st.sampled_from(["", "", "", "x"]),
        **fields,
    }
    return st.fixed_dictionaries(drawn).map(lambda given: Item(**given))


changes = (
    items(
        ["increment"], points=st.integers(1, 100), signature=st.sampled_from([OWN, OWN, "1", "2"])
    )
    | items(
        ["adjustment"],
        points=st.integers(-12, 12).filter(bool) | st.sampled_from([-1_000_000, 1_000_000]),
    )
    | items(
        ["void"],
        voids=st.integers(0, 9),
        is_of_another=st.sampled_from([False, False, False, True]),
    )
    | items(["hide", "unhide"])
)
steps = st.sampled_from(
    [0, 0, 0.001, 59.999, 60, 60, 600, 600, MAX_ELAPSED, DAY / 2, DAY, 2 * DAY, 8 * DAY, 400 * DAY]
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, list[Item]]]:
    """Batches, each so many seconds after the one before it. A history is about few actions, so
    that each is met again and again.
    """
    limited = [action.action_id for action in ACTIONS]
    known = [*limited, *limited, *limited, "once", "daily", "often", RETIRED.action_id, "nothing"]
    met = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2))
    instants = st.tuples(st.integers(0, 3), st.sampled_from([-60, -0.001, 0, 0.001]))
    completions = items(
        ["completion"],
        action=st.sampled_from(met),
        started=st.sampled_from([instants, instants, instants, st.none()]).flatmap(
            lambda start: start
        ),
    )
    kinds = st.sampled_from([completions, completions, completions, changes])
    batches = st.lists(kinds.flatmap(lambda kind: kind), min_size=2, max_size=8)
    numbers = itertools.count()
    return [
        (pause, [item.named(next(numbers)) for item in batch])
        for pause, batch in draw(st.lists(st.tuples(steps, batches), min_size=4, max_size=8))
    ]


@pytest.fixture
async def twins(
    tmp_path: Path, clock: FakeClock, postgres: Postgres, template: str, redis_url: str
) -> AsyncIterator[tuple[Engine, Engine]]:
    """SQLite with its board in the process, and PostgreSQL with Redis, by one clock. PostgreSQL
    decides together even a single completion.
    """
    one = Settings(database=SqliteFile(tmp_path / "board.db"))
    other = Settings(
        database=PostgresServer(postgres.create_database("same_rules", template)),
        redis=RedisServer(redis_url),
    )
    async with AsyncExitStack() as stack:
        stack.callback(postgres.drop_database, "same_rules")
        twins = (
            await stack.enter_async_context(open_engine(one, clock, is_filled=False)),
            await stack.enter_async_context(open_engine(other, clock, is_filled=True, together=1)),
        )
        for engine in twins:
            await actions.load(engine.database, [*ACTIONS, RETIRED], actor_id="test", clock=clock)
            await actions.retire(engine.database, "gone", actor_id="test", reason=None, now=clock())
            for name in {*PLAYERS, *STAFF}:
                await engine.account(name)
        yield twins


def seeded(test: Callable[..., Any]) -> Callable[..., Any]:
    """The same examples in every run, or those of SEED."""
    return seed(int(SEED))(test) if SEED else test


@pytest.mark.timeout(240 + EXAMPLES * SECONDS_EACH)
@seeded
@settings(
    max_examples=EXAMPLES,
    derandomize=SEED is None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(histories())
async def test_both_engines_decide_alike(
    twins: tuple[Engine, Engine], history: list[tuple[float, list[Item]]]
) -> None:
    """Batches of everything, with keys, signatures and voids that meet in one batch and over many,
    and a clock that steps over cooldowns, midnights and years.
    """
    twins[0].clock.now = START
    for engine in twins:
        await _empty(engine)
    instants: list[int] = []
    for pause, drawn in history:
        twins[0].clock.advance(seconds=pause)
        instants.insert(0, twins[0].clock())
        log = await twins[0].query("SELECT log_id, account_id FROM action_log ORDER BY log_id")
        rows = [(row["log_id"], row["account_id"]) for row in log]
        told = []
        for engine in twins:
            batch = [await _submission(engine, item, rows, instants) for item in drawn]
            told.append([_seen(one) for one in await engine.submit(batch)])
        note(f"{pause} s on: {drawn}\n  gave {told[0]}")
        assert told[0] == told[1]
        left = [await _left(engine) for engine in twins]
        assert left[0] == left[1]
    for engine in twins:
        await engine.assert_sound()


async def _empty(engine: Engine) -> None:
    restart = ["ALTER SEQUENCE action_log_ids RESTART"] if engine.link else []
    # From the last one, since rows of the others are referred to.
    wiped = [
        "UPDATE action_log SET voids_log_id = NULL",
        *(f"DELETE FROM {table}" for table in reversed(TABLES)),
    ]
    await engine.change(*wiped, *restart)
    if engine.link:
        await engine.link.redis.flushall()
        engine.use(RedisBoard(engine.link, BOARDS, engine.clock))
    else:
        engine.use(MemoryBoard(BOARDS, engine.clock))
    await engine.sweep.look()


async def _submission(
    engine: Engine, item: Item, rows: Sequence[tuple[int, str]], instants: Sequence[int]
) -> Submission:
    account = await engine.account(item.player)
    if item.kind == "completion":
        started = None
        if item.started is not None:
            ago, after = item.started
            started = instants[min(ago, len(instants) - 1)] + round(after * 1000)
        return Completion(
            account,
            item.action,
            f"{item.action} {item.body}",
            item.key,
            json.dumps({"body": item.body}) if item.body else None,
            started,
        )
    log_id = None
    if item.kind == "void":
        # What is asked to be voided is looked up before; another's can come only by an error.
        places = [*rows[-9:], (10**12, item.player)]
        log_id, owner = places[item.voids % len(places)]
        account = account if item.is_of_another else await engine.account(owner)
    return Change(
        item.kind,
        account,
        item.actor,
        f"{item.kind} {item.player} {item.points} {log_id} {item.body}",
        item.key,
        item.body or "because",
        points=item.points,
        voids=log_id,
        signature=item.signature,
    )


def _seen(answer: Answer | Exception) -> object:
    """An answer as the client sees it."""
    if isinstance(answer, Answer):
        return answer.to_json(), answer.replayed
    if isinstance(answer, RequestError):
        return type(answer).__name__, str(answer), answer.headers, answer.extra
    return answer


async def _left(engine: Engine) -> dict[str, Any]:
    """Every row that is left behind, and each board as it is shown."""
    left: dict[str, Any] = {}
    for table, order in TABLES.items():
        found = await engine.query(f"SELECT * FROM {table} ORDER BY {order}")
        left[table] = [dict(row) for row in found]
    for row in left["scores"]:  # it only has to rise: once a batch, or once a row
        assert row.pop("version") > 0
    for row in left["audit"]:
        del row["audit_id"]
        row["detail"] = json.loads(row["detail"])
    for board in BOARDS:
        period = periods.current(board, engine.clock())
        left[board] = await engine.standings.page(period, offset=0, limit=100)
    return left
