"""Sliding windows in Redis: the same rule as in the process, exactly, for all processes together.

The script goes by Redis' own clock, so time passes here by taking it from what Redis has stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from scoreboard.board import Away
from scoreboard.board.redis import scripts, windows
from scoreboard.board.redis.link import Link, open_link
from scoreboard.board.redis.windows import Hit, SharedWindows, Tally
from scoreboard.identity.windows import BatchedWindows, SlidingLog

# Seconds that the real clock may go on by during one test, beside the time that the test lets pass.
# All pauses and windows of a test are multiples of something larger, so that it changes nothing.
SLACK = 9


class Seconds:
    """A clock in seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Process:
    """What one process counts with, and its link to Redis."""

    def __init__(self, link: Link, clock: Seconds) -> None:
        self.link = link
        self.shared = SharedWindows(link)
        self.own = SlidingLog(clock)
        self.windows = BatchedWindows(self.shared, self.own)

    async def hit(self, *hits: Hit) -> Sequence[Tally]:
        """Count calls that come at once, which is one batch when there are two or more."""
        return await asyncio.gather(*map(self.windows.hit, hits))


@contextlib.asynccontextmanager
async def process(url: str, clock: Seconds) -> AsyncIterator[Process]:
    """A process, running until the block ends."""
    async with open_link(url) as link:
        one = Process(link, clock)
        counting = asyncio.create_task(one.shared.run())
        try:
            yield one
        finally:
            counting.cancel()
            await asyncio.wait([counting])


@pytest.fixture
def seconds() -> Seconds:
    """The clock of what is counted in a process."""
    return Seconds()


@pytest.fixture
async def one(redis_url: str, seconds: Seconds) -> AsyncIterator[Process]:
    """A process on an empty Redis."""
    async with process(redis_url, seconds) as one:
        yield one


def key_of(caller: str) -> str:
    return f"scoreboard:hits:{caller}"


async def let_pass(link: Link, seconds: float) -> None:
    """Let time pass for all that is counted in Redis: what was, was so much earlier, and what ends,
    ends so much sooner.
    """
    pause = round(seconds * 1000)
    for key in [key async for key in link.redis.scan_iter(key_of("*"))]:
        times = await link.redis.lrange(key, 0, -1)
        left = await link.redis.pttl(key)
        pipeline = link.redis.pipeline(transaction=True)
        for place, time in enumerate(times):
            pipeline.lset(key, place, str(int(time) - pause))
        pipeline.pexpire(key, left - pause)
        await pipeline.execute()


async def now_of(link: Link) -> int:
    """The time of Redis in milliseconds."""
    seconds, microseconds = await link.redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


# The same rule.


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[Hit]]]:
    """Batches of calls, each so many seconds after the one before it."""
    lengths = st.sampled_from([10, 20, 60, 100])
    callers = [
        Hit(name, draw(st.integers(1, 5)), draw(lengths))
        for name in ("ada", "bob", "complete/Ünïcode {x}")
    ]
    pauses = st.sampled_from([0, 0, 10, 10, 20, 30, 50, 60, 90, 100, 200])
    batches = st.lists(st.sampled_from([*callers, callers[0]]), min_size=1, max_size=8)
    return draw(st.lists(st.tuples(pauses, batches), min_size=1, max_size=8))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
async def test_the_rule_is_that_of_the_process(
    redis_url: str, history: list[tuple[int, list[Hit]]]
) -> None:
    """What is let in, how many are used, and when the oldest leaves; and Redis keeps no caller for
    longer than that. Pauses may be as long as a window: then it is over.
    """
    clock = Seconds()
    model = SlidingLog(clock)
    async with process(redis_url, clock) as one:
        await one.link.redis.flushall()
        for pause, hits in history:
            clock.now += pause
            await let_pass(one.link, pause)
            for hit, told in zip(hits, await one.hit(*hits), strict=True):
                wanted = model.hit(hit)
                assert (told.allowed, told.used) == (wanted.allowed, wanted.used)
                assert wanted.reset - SLACK < told.reset <= wanted.reset
            for hit in hits:
                assert await one.link.redis.llen(key_of(hit.caller)) == (
                    len(model._times(hit.caller, clock.now - hit.seconds))
                )
        assert len(one.own) == 0, "nothing was counted in the process"


async def test_a_call_counts_for_its_window_to_the_millisecond(one: Process) -> None:
    """The next is let in when the window is over, not before; until then it is told how long."""
    hit = Hit("ada", 1, 1)
    made = await now_of(one.link) - 1000 + 300
    await one.link.redis.lpush(key_of("ada"), str(made))
    refused = 0
    while True:
        before = await now_of(one.link)
        (told,) = await one.hit(hit)
        after = await now_of(one.link)
        if told.allowed:
            break
        refused += 1
        assert before < made + 1000
        assert made + 1000 - after <= round(told.reset * 1000) <= made + 1000 - before
    assert after >= made + 1000
    assert refused, "it was never asked in time"
    assert round(told.reset * 1000) == 1000


async def test_a_clock_that_was_set_back_lets_nobody_in_too_often(one: Process) -> None:
    """The newest stays the newest; whoever called counts until both are over."""
    ahead = await now_of(one.link) + 30_000
    await one.link.redis.lpush(key_of("ada"), str(ahead))
    told = await one.hit(*[Hit("ada", 3, 60)] * 3)
    assert [one.allowed for one in told] == [True, True, False]
    times = await one.link.redis.lrange(key_of("ada"), 0, -1)
    assert times == [str(ahead)] * 3


# Storms.


async def test_a_storm_gets_exactly_the_limit_through(one: Process) -> None:
    told = await one.hit(*[Hit("ada", 10, 60)] * 100)
    assert [tally.allowed for tally in told] == [True] * 10 + [False] * 90
    assert [tally.used for tally in told] == [*range(1, 11), *[10] * 90]


async def test_a_storm_of_more_than_one_script_may_count(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a script runs Redis does nothing else, so it counts a bounded number of calls."""
    sizes: list[int] = []

    async def noted(redis: Redis, commands: Sequence[scripts.Command]) -> list[object]:
        sizes.extend(int(keys) for _, _, keys, *_ in commands)
        return await scripts.send(redis, commands)

    monkeypatch.setattr(windows, "send", noted)
    count = windows.MAX_HITS + 50
    told = await one.hit(*[Hit("ada", count - 20, 60)] * count)
    assert sum(tally.allowed for tally in told) == count - 20
    assert sizes == [windows.MAX_HITS, 50]


async def test_two_processes_on_one_redis_share_one_limit(redis_url: str, seconds: Seconds) -> None:
    async with process(redis_url, seconds) as one, process(redis_url, seconds) as two:
        storm = [Hit("ada", 10, 60), Hit("bob", 7, 60)] * 50
        told = await asyncio.gather(one.hit(*storm), two.hit(*storm))
        for caller, limit in (("ada", 10), ("bob", 7)):
            let_in = [
                tally.used
                for tallies in told
                for hit, tally in zip(storm, tallies, strict=True)
                if hit.caller == caller and tally.allowed
            ]
            assert sorted(let_in) == list(range(1, limit + 1))


async def test_callers_do_not_share_a_limit(one: Process) -> None:
    told = await one.hit(*(Hit(f"caller {number}", 1, 60) for number in range(100)))
    assert all(tally == (True, 1, 60) for tally in told)


# What Redis keeps.


async def test_a_caller_is_kept_as_long_as_its_newest_call_counts(one: Process) -> None:
    hit, key = Hit("ada", 2, 60), key_of("ada")
    await one.hit(hit)
    assert 60_000 - 1000 * SLACK < await one.link.redis.pttl(key) <= 60_000
    await let_pass(one.link, 40)
    assert await one.link.redis.pttl(key) <= 20_000
    await one.hit(hit)
    assert 60_000 - 1000 * SLACK < await one.link.redis.pttl(key) <= 60_000
    await let_pass(one.link, 10)
    (refused,) = await one.hit(hit)
    assert not refused.allowed
    assert await one.link.redis.pttl(key) <= 50_000, "who is refused is not kept for that"
    await let_pass(one.link, 50)
    assert await one.link.redis.exists(key) == 0


async def test_a_redis_that_lost_its_scripts_is_given_them_again(one: Process) -> None:
    hit = Hit("ada", 2, 60)
    assert [tally.used for tally in await one.hit(hit)] == [1]
    await one.link.redis.script_flush()
    assert [tally.used for tally in await one.hit(hit)] == [2]


# Without Redis.


async def test_while_redis_is_away_the_process_counts_by_itself_exactly(
    one: Process, seconds: Seconds
) -> None:
    hit = Hit("ada", 10, 60)
    await one.hit(*[hit] * 4)
    one.link.lose(RedisConnectionError("it was cut off"))
    told = await one.hit(*[hit] * 100)
    assert [tally.used for tally in told if tally.allowed] == list(range(1, 11))
    seconds.now += 59
    assert [tally.allowed for tally in await one.hit(hit)] == [False]
    seconds.now += 1
    assert [tally.used for tally in await one.hit(hit)] == [1]
    one.link.back()
    assert [tally.used for tally in await one.hit(hit)] == [5], "Redis knows what it was told"


async def test_a_redis_that_goes_away_in_the_middle_costs_nobody_an_error(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everyone in the batch is counted by the process instead, and so is whoever comes after."""

    async def cut(*_: object) -> None:
        raise RedisConnectionError("it was cut off")

    monkeypatch.setattr(windows, "send", cut)
    told = await one.hit(*[Hit("ada", 10, 60)] * 50)
    assert [tally.allowed for tally in told] == [True] * 10 + [False] * 40
    assert one.link.is_away
    assert [tally.allowed for tally in await one.hit(Hit("ada", 10, 60))] == [False]


async def test_whoever_asks_redis_alone_is_told_that_it_is_away(one: Process) -> None:
    one.link.lose(RedisConnectionError("it was cut off"))
    with pytest.raises(Away):
        await one.shared.hit(Hit("ada", 10, 60))
