"""The board in Redis: as many processes as there are see one ranking."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from scoreboard import periods
from scoreboard.board import TOP, Applied, Cold, Entry, Mark, Total
from scoreboard.board.redis.keys import CHANNEL, SWEEPER, entry, keys_of, lifetime_ms, row
from scoreboard.board.redis.link import BULK_TIME, CALL_TIME, Link
from scoreboard.board.redis.load import load
from scoreboard.board.redis.scripts import Command, script, send
from scoreboard.periods import ALL_TIME, Clock, Period

COMPARED: Final = 100  # rows compared at once: 0.4 ms of Redis, for which all else waits
QUICK: Final = 1000  # totals that are taken over in some 30 ms; more of them get more time

_ALL_TIME: Final = Period(ALL_TIME, "")


class RedisBoard:
    """`Board` over a `Link`."""

    def __init__(self, link: Link, boards: Collection[str], clock: Clock) -> None:
        self._link = link
        self._boards = frozenset(boards)
        self._clock = clock
        self._token = secrets.token_hex(8)

    def holds(self, period: Period) -> bool:
        """As `Board.holds`: the period that runs. What Redis still has of the one before it is no
        longer kept right: who is hidden now is hidden there by the score rows.
        """
        return period.board in self._boards and period == periods.current(
            period.board, self._clock()
        )

    async def apply(self, totals: Iterable[Total], ask: Collection[str] = ()) -> Applied:
        """As `Board.apply`, in one round trip. Other processes hear of the boards that changed.

        While n totals of a period are taken over, 10 to 30 µs each, Redis does nothing else.
        """
        by_period: dict[Period, list[Total]] = {}
        for total in totals:
            by_period.setdefault(total.period, []).append(total)
        overall = by_period.pop(_ALL_TIME, [])
        if overall or ask:
            by_period[_ALL_TIME] = overall
        count = sum(map(len, by_period.values()))
        answers = await self._send(
            [
                _apply(period, given, ask if period == _ALL_TIME else ())
                for period, given in by_period.items()
            ],
            within=CALL_TIME if count <= QUICK else BULK_TIME,
        )
        ranks: dict[str, int | None] = dict.fromkeys(ask)
        changed: set[str] = set()
        cold: set[Period] = set()
        for period, answer in zip(by_period, answers, strict=True):
            if answer is None:
                cold.add(period)
                continue
            if answer[0]:
                changed.add(period.board)
            if period == _ALL_TIME:
                ranks = dict(zip(ask, answer[1:], strict=True))
        return Applied(frozenset(changed), ranks, frozenset(cold))

    async def load(
        self, period: Period, slices: AsyncIterable[Sequence[Total]], mark: Mark
    ) -> bool:
        """As `Board.load`. Each account may be in the slices once."""
        lifetime = lifetime_ms(period, self._clock())
        return await load(self._link, period, slices, mark, lifetime)

    async def marks(self, periods: Collection[Period]) -> Mapping[Period, Mark]:
        """As `Board.marks`."""
        answers = await self._send(
            [
                ("HMGET", keys_of(period).mark, "cursor", "rebuild", "generation")
                for period in periods
            ]
        )
        return {
            period: Mark(int(cursor), int(rebuild), int(generation))
            for period, (cursor, rebuild, generation) in zip(periods, answers, strict=True)
            if cursor is not None
        }

    async def settle(self, cursor: int) -> None:
        """As `Board.settle`."""
        await self._send([script("settle", [keys_of(_ALL_TIME).mark], cursor)])

    async def stale(self, period: Period, rows: str) -> Sequence[str]:
        """As `Board.stale`; an account whose place in the order is missing is stale too."""
        compared = json.loads(rows)
        stale: list[str] = []
        for start in range(0, len(compared), COMPARED):
            part = json.dumps(compared[start : start + COMPARED])
            stale += await self._read(period, "stale", part)
        return stale

    async def size(self, period: Period) -> int:
        """As `Board.size`."""
        return int(await self._read(period, "size"))

    async def is_my_turn(self, seconds: float) -> bool:
        """As `Board.is_my_turn`: whoever comes first, for as long as it comes again in time."""
        (answer,) = await self._send(
            [script("hold", [SWEEPER], self._token, round(seconds * 1000), 1)]
        )
        return bool(answer)

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """As `Standings.page`."""
        return _entries(await self._read(period, "page", offset, limit), offset)

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """As `Standings.around`."""
        above, *places = await self._read(period, "around", account_id, reach)
        return _entries(places, above)

    async def _read(self, period: Period, name: str, *arguments: str | int) -> Any:  # noqa: ANN401
        answer = await self._link.ask(script(name, keys_of(period).read, *arguments))
        if answer is None:
            raise Cold(f"{period} is not loaded")
        return answer

    async def _send(self, commands: Sequence[Command], *, within: float = CALL_TIME) -> list[Any]:
        return await self._link.call(lambda: send(self._link.redis, commands), within=within)


def _apply(period: Period, totals: Sequence[Total], ask: Collection[str]) -> Command:
    return script(
        "apply",
        keys_of(period).read,
        CHANNEL,
        period.board,
        TOP,
        len(totals),
        *(total.account_id for total in totals),
        *(row(total) for total in totals),
        *ask,
    )


def _entries(places: Sequence[str], above: int) -> list[Entry]:
    """The entries in an answer `account, row, account, row ...`, of which the first has so many
    places above it.
    """
    return [
        entry(rank, account_id, text)
        for rank, (account_id, text) in enumerate(
            zip(places[::2], places[1::2], strict=True), above + 1
        )
    ]
