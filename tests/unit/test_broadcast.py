"""One task for all streams: everyone gets the newest frame, nobody gets one twice, nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoreboard.live import broadcast
from scoreboard.live.broadcast import Broadcast, Line, Owner
from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import Frame
from scoreboard.telemetry import metrics

PING = b"<: ping\n\n>"


class FakeLine:
    """A line whose reader does what the test says. It fails the test when it is written to without
    being clear, and, as a connection does, drops what is written once it closes.
    """

    def __init__(self, *, is_there: bool = True, is_clear: bool = True) -> None:
        self.is_there = is_there
        self.is_clear = is_clear
        self.is_free = True
        self.is_closing = False
        self.sent: list[bytes] = []
        self.ends: list[bytes] = []
        self.aborts = 0
        self.on_write: Callable[[], None] = lambda: None
        self._owner: Owner | None = None

    def take(self, owner: Owner) -> bool:
        assert self._owner is None, "it was taken twice"
        if self.is_there:
            self._owner = owner
        return self.is_there

    @staticmethod
    def piece(body: bytes) -> bytes:
        return b"<%b>" % body

    def write(self, piece: bytes) -> None:
        assert self._owner, "it was written to without being taken"
        if not self.is_closing:
            assert self.is_clear, "it was written to without being clear"
            self.sent.append(piece)
        self.on_write()

    def end(self, body: bytes) -> None:
        if not self.is_closing:
            self.is_closing = True
            self.ends.append(body)

    def abort(self) -> None:
        self.is_closing = True
        self.aborts += 1

    @property
    def owner(self) -> Owner:
        """Whoever has taken it."""
        assert self._owner
        return self._owner

    def clear(self) -> None:
        """The reader takes everything."""
        self.is_clear = True
        self.owner.cleared()

    def lose(self) -> None:
        """The connection is gone. That is told once."""
        owner, self._owner, self.is_closing = self.owner, None, True
        owner.lost()

    @property
    def versions(self) -> list[str]:
        """The versions of the frames that were sent over it."""
        return [version_of(piece) for piece in self.sent if piece != PING]


class Alarm:
    """A call that is due later: never by itself, only when the test says so."""

    def __init__(self, delay: float, call: Callable[[], None]) -> None:
        self.delay = delay
        self._call = call
        self.is_set = True

    def cancel(self) -> None:
        """It will not be called."""
        self.is_set = False

    def ring(self) -> None:
        """Its time has come."""
        assert self.is_set
        self.is_set = False
        self._call()


@contextlib.contextmanager
def alarms() -> Iterator[list[Alarm]]:
    """What the loop would call later while the block runs, in the order in which it was asked."""
    asked: list[Alarm] = []

    def call_later(delay: float, call: Callable[..., None], *arguments: Any) -> Alarm:
        asked.append(Alarm(delay, lambda: call(*arguments)))
        return asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "call_later", call_later)
        yield asked


class Seat:
    """Counts how often it was given back."""

    def __init__(self) -> None:
        self._times = 0

    def back(self) -> None:
        """Give it back."""
        self._times += 1

    def times_back(self) -> int:
        """How often it was given back: once is right, and only when the stream is gone."""
        return self._times


def frame(number: int) -> Frame:
    return Frame(f"v{number}", b"id: v%d\n\n" % number)


def publish(hub: Hub, number: int) -> None:
    hub.publish(frame(number))


def version_of(piece: bytes) -> str:
    found = re.fullmatch(rb"<id: (v\d+)\n\n>", piece)
    assert found, piece
    return found[1].decode()


def counted(name: str) -> float:
    """The value of a counter without labels."""
    found = re.search(rf"^scoreboard_{name} (\S+)$", metrics.exposition().decode(), re.MULTILINE)
    assert found
    return float(found[1])


async def settle() -> None:
    """Let every task go on until it waits. anyio's own way of that naps in between, for a tenth of
    a second, and by the clock that `alarms` has stopped.
    """
    while any(can_go_on(task) for task in asyncio.all_tasks() - {asyncio.current_task()}):
        await anyio.lowlevel.checkpoint()


def can_go_on(task: asyncio.Task[Any]) -> bool:
    waits_for: asyncio.Future[Any] | None = getattr(task, "_fut_waiter", None)
    return waits_for is None or waits_for.done()


@contextlib.asynccontextmanager
async def running(everyone: Broadcast) -> AsyncIterator[None]:
    """The broadcast's task, as long as the block runs."""
    task = asyncio.create_task(everyone.run())
    await settle()
    try:
        yield
        await settle()
        if task.done():
            task.result()  # raises what it died of
    finally:
        task.cancel()
        await asyncio.wait([task])


def joined(
    everyone: Broadcast, count: int = 1, *, seen: str | None = "v0", **how: bool
) -> list[FakeLine]:
    """So many new lines that follow, each given the version `seen` before."""
    lines = [FakeLine(**how) for _ in range(count)]
    for line in lines:
        everyone.follow(line, seen, lambda: None)
    return lines


def test_the_fake_is_a_line() -> None:
    line: Line = FakeLine()
    assert line.is_free


# Frames.


async def test_everyone_gets_every_frame_once() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    frames, size = counted("stream_frames_total"), counted("stream_bytes_total")
    async with running(everyone):
        lines = joined(everyone, 3)
        for number in (1, 2):
            hub.publish(frame(number))
            hub.publish(frame(number))
            await settle()
        assert [line.versions for line in lines] == [["v1", "v2"]] * 3
    assert counted("stream_frames_total") == frames + 6
    assert counted("stream_bytes_total") == size + 6 * len(frame(1).data)


async def test_a_state_that_comes_back_is_a_new_one() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        for number in (1, 0):
            hub.publish(frame(number))
            await settle()
        assert line.versions == ["v1", "v0"]


async def test_what_was_there_and_gone_before_anyone_looked_is_sent_to_nobody() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        hub.publish(frame(1))
        hub.publish(frame(0))
        await settle()
        assert line.versions == []


@pytest.mark.parametrize("seen", [None, "v0", "v7"])
async def test_who_joins_with_another_version_gets_the_newest_at_once(seen: str | None) -> None:
    hub = Hub(frame(7))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone, seen=seen)
        assert line.versions == (["v7"] if seen != "v7" else [])
        await settle()
        assert line.versions == (["v7"] if seen != "v7" else [])


async def test_who_joins_before_there_is_a_frame_gets_the_first() -> None:
    hub = Hub()
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone, seen=None)
        await settle()
        assert line.sent == []
        hub.publish(frame(1))
        await settle()
        assert line.versions == ["v1"]


async def test_what_was_published_before_it_ran_is_not_missed() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    (line,) = joined(everyone)
    hub.publish(frame(1))
    async with running(everyone):
        (late,) = joined(everyone, seen="v1")
        hub.publish(frame(2))
        await settle()
        assert line.versions[-1] == late.versions[-1] == "v2"


# In the middle of a round. With `SLICE` patched, requests have their turn between two slices.


def in_the_middle(lines: Sequence[FakeLine], after: int, act: Callable[[], None]) -> None:
    """Do something when so many of these were written to, once."""
    left = after

    def one_less() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    for line in lines:
        line.on_write = one_less


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> int:
    """Rounds in slices of so many."""
    monkeypatch.setattr(broadcast, "SLICE", 2)
    return broadcast.SLICE


async def test_a_frame_in_the_middle_of_a_round_reaches_everyone(small_slices: int) -> None:
    """Those at the front have the older one already, and get the newer one too; those behind get
    only the newer one.
    """
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        lines = joined(everyone, 7)
        in_the_middle(lines, small_slices, lambda: publish(hub, 2))
        hub.publish(frame(1))
        await settle()
        assert sorted(line.versions for line in lines) == [["v1", "v2"]] * 2 + [["v2"]] * 5


@pytest.mark.parametrize("what", ["frame", "ping"])
async def test_requests_have_their_turn_in_the_middle_of_a_round(
    small_slices: int, what: str
) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        lines = joined(everyone, 7)
        if what == "ping":
            pinging = asyncio.create_task(everyone._ping())
        else:
            publish(hub, 1)
        written = [0]
        while written[-1] < len(lines):
            await anyio.lowlevel.checkpoint()
            written.append(sum(len(line.sent) for line in lines))
        steps = [after - before for before, after in pairwise(written) if after > before]
        assert steps == [small_slices] * 3 + [1]
        if what == "ping":
            await pinging


@pytest.mark.parametrize("seen", ["v0", "v1"])
async def test_who_joins_in_the_middle_of_a_round_gets_the_newest_once(
    small_slices: int, seen: str
) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    late: list[FakeLine] = []
    async with running(everyone):
        lines = joined(everyone, 5)
        in_the_middle(lines, 3, lambda: late.extend(joined(everyone, seen=seen)))
        hub.publish(frame(1))
        await settle()
        assert late[0].versions == (["v1"] if seen != "v1" else [])
        assert [line.versions for line in lines] == [["v1"]] * 5


async def test_who_is_lost_in_the_middle_of_a_round_is_written_to_no_more(
    small_slices: int,
) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)

    def lose_the_others() -> None:
        for line in lines:
            if not line.sent:
                line.lose()

    async with running(everyone):
        lines = joined(everyone, 7)
        in_the_middle(lines, 1, lose_the_others)
        hub.publish(frame(1))
        await settle()
        assert sorted(line.versions for line in lines) == [[]] * 6 + [["v1"]]
        assert hub.watching == 1


async def test_who_stops_reading_in_the_middle_of_a_round_is_left_out(small_slices: int) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)

    def stall_the_others() -> None:
        for line in lines:
            line.is_clear = bool(line.sent)

    async with running(everyone):
        lines = joined(everyone, 7)
        in_the_middle(lines, 1, stall_the_others)
        hub.publish(frame(1))
        await settle()
        assert sorted(line.versions for line in lines) == [[]] * 6 + [["v1"]]
        for line in lines:
            line.clear()
        assert [line.versions for line in lines] == [["v1"]] * 7


# Readers that are slow, and those that are stuck.


async def test_a_line_that_is_not_clear_is_left_out_and_catches_up_with_the_newest() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    skipped = counted("stream_frames_skipped_total")
    async with running(everyone):
        slow, quick = joined(everyone, 2)
        slow.is_clear = False
        for number in (1, 2, 3):
            hub.publish(frame(number))
            await settle()
        assert slow.versions == []
        slow.clear()
        assert slow.versions == ["v3"]
        assert quick.versions == ["v1", "v2", "v3"]
    assert counted("stream_frames_skipped_total") == skipped + 2


async def test_a_line_that_missed_one_frame_has_skipped_none() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    skipped = counted("stream_frames_skipped_total")
    async with running(everyone):
        (slow,) = joined(everyone)
        for number in (1, 2):
            slow.is_clear = False
            hub.publish(frame(number))
            await settle()
            slow.clear()
        assert slow.versions == ["v1", "v2"]
    assert counted("stream_frames_skipped_total") == skipped


async def test_a_line_that_is_cleared_with_nothing_missed_gets_nothing() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        line.is_clear = False
        line.clear()
        await settle()
        assert line.sent == []


async def test_a_state_that_came_back_in_between_is_not_sent_again() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (slow,) = joined(everyone)
        slow.is_clear = False
        for number in (1, 0):
            hub.publish(frame(number))
            await settle()
        slow.clear()
        await settle()
        assert slow.versions == []


async def test_who_joins_without_being_clear_catches_up_too() -> None:
    """The beginning of the answer may not have left yet."""
    hub = Hub(frame(3))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone, seen="v2", is_clear=False)
        await settle()
        assert line.versions == []
        line.clear()
        assert line.versions == ["v3"]


async def test_a_line_that_stays_behind_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """The clock begins with the first frame that is missed, and each is closed once."""
    assert broadcast.STUCK_AFTER == 30
    caplog.set_level("INFO")
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    stalled, seat = counted("streams_stalled_total"), Seat()
    async with running(everyone):
        line = FakeLine()
        everyone.follow(line, "v0", seat.back)
        with alarms() as asked:
            line.is_clear = False
            await settle()
            assert asked == []
            for number in (1, 2, 3):
                hub.publish(frame(number))
                await settle()
            (alarm,) = asked
            assert alarm.delay == broadcast.STUCK_AFTER
            assert not line.is_closing
            alarm.ring()
        assert line.aborts == 1
        assert seat.times_back() == 0  # its end is told a moment later, as that of every connection
        line.lose()
        assert seat.times_back() == 1
        assert hub.watching == 0
    assert counted("streams_stalled_total") == stalled + 1
    assert "took nothing for 30 s" in caplog.text


async def test_a_line_that_catches_up_in_time_is_not_closed() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        with alarms() as asked:
            for number in (1, 2):
                line.is_clear = False
                hub.publish(frame(number))
                await settle()
                line.clear()
            assert [alarm.is_set for alarm in asked] == [False, False]


async def test_a_line_that_is_lost_while_it_is_behind_is_not_closed_as_well() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        with alarms() as asked:
            line.is_clear = False
            hub.publish(frame(1))
            await settle()
            line.lose()
            assert [alarm.is_set for alarm in asked] == [False]


async def test_the_clock_is_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "STUCK_AFTER", 0.001)
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    closed = asyncio.Event()
    async with running(everyone):
        (line,) = joined(everyone)
        monkeypatch.setattr(line, "abort", closed.set)
        line.is_clear = False
        hub.publish(frame(1))
        async with asyncio.timeout(5):
            await closed.wait()


# Pings.


async def test_pings_come_when_it_is_quiet_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not reach lines that are not clear, nor those that are lost meanwhile."""
    assert broadcast.PING_EVERY == 15
    monkeypatch.setattr(broadcast, "SLICE", 1)
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    pinged = asyncio.Event()
    async with running(everyone):
        good, stuck, doomed = joined(everyone, 3)
        good.on_write, doomed.is_clear, stuck.is_clear = pinged.set, False, False
        await settle()
        assert good.sent == []
        monkeypatch.setattr(broadcast, "PING_EVERY", 0.001)
        hub.publish(frame(1))  # from here on the short time counts
        async with asyncio.timeout(5):
            while PING not in good.sent:
                pinged.clear()
                await pinged.wait()
        doomed.lose()
        seen = len(good.sent)
        async with asyncio.timeout(5):
            while len(good.sent) == seen:
                pinged.clear()
                await pinged.wait()
        assert set(good.sent[1:]) == {PING}
        assert stuck.sent == doomed.sent == []
        monkeypatch.setattr(broadcast, "PING_EVERY", 15)
        hub.publish(frame(2))
        await settle()
        stuck.clear()
        assert stuck.versions == ["v2"]
        assert PING not in stuck.sent


async def test_who_is_lost_in_the_middle_of_a_ping_is_written_to_no_more(
    monkeypatch: pytest.MonkeyPatch, small_slices: int
) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        lines = joined(everyone, 7)

        def lose_the_others() -> None:
            for line in lines:
                if not line.sent:
                    line.lose()

        in_the_middle(lines, 1, lose_the_others)
        await everyone._ping()
        assert sorted(line.sent for line in lines) == [[]] * 6 + [[PING]]


# Ends.


async def test_closing_the_hub_says_bye_to_everyone_after_the_newest() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        lines = joined(everyone, 20)
        lines[0].is_clear = False
        hub.publish(frame(1))
        hub.close()
        await settle()
        assert [line.versions for line in lines] == [[]] + [["v1"]] * 19
        for line in lines:
            (bye,) = line.ends
            assert re.fullmatch(rb"retry: \d+\nevent: bye\ndata: \{\}\n\n", bye)
    retries = {line.ends[0].split(b"\n")[0] for line in lines}
    assert len(retries) > 5, "clients must not all come back at once"
    low, high = broadcast.RETRY_MS
    assert all(low <= int(retry.split()[1]) <= high for retry in retries)


async def test_closing_in_the_middle_of_a_round_lets_everyone_have_the_newest(
    small_slices: int,
) -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)

    def publish_and_close() -> None:
        hub.publish(frame(2))
        hub.close()

    async with running(everyone):
        lines = joined(everyone, 7)
        in_the_middle(lines, small_slices, publish_and_close)
        hub.publish(frame(1))
        await settle()
        assert {line.versions[-1] for line in lines} == {"v2"}
        assert [len(line.ends) for line in lines] == [1] * 7


async def test_closing_a_hub_that_never_had_a_frame_says_bye() -> None:
    """As when the service ends while its database is still away."""
    hub = Hub()
    everyone = Broadcast(hub)
    async with running(everyone):
        lines = joined(everyone, 3, seen=None)
        hub.close()
        await settle()
        assert [len(line.ends) for line in lines] == [1] * 3


async def test_the_task_ends_with_the_hub() -> None:
    hub = Hub(frame(0))
    task = asyncio.create_task(Broadcast(hub).run())
    await settle()
    assert not task.done()
    hub.close()
    async with asyncio.timeout(5):
        await task


async def test_who_joins_a_closed_hub_is_told_the_newest_and_bye() -> None:
    hub = Hub(frame(1))
    hub.close()
    everyone = Broadcast(hub)
    (line,) = joined(everyone)
    assert line.versions == ["v1"]
    assert len(line.ends) == 1


async def test_a_server_that_means_to_stop_ends_a_line_with_bye_once() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    async with running(everyone):
        (line,) = joined(everyone)
        line.owner.leave()
        hub.close()
        await settle()
        assert len(line.ends) == 1


async def test_a_client_that_has_gone_already_gives_its_seat_back_at_once() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    seat, line = Seat(), FakeLine(is_there=False)
    async with running(everyone):
        everyone.follow(line, "v0", seat.back)
        assert seat.times_back() == 1
        assert hub.watching == 0
        hub.publish(frame(1))
        await settle()
        assert line.sent == []


async def test_a_lost_line_gives_its_seat_back_once_and_is_forgotten() -> None:
    hub = Hub(frame(0))
    everyone = Broadcast(hub)
    seats = [Seat() for _ in range(3)]
    async with running(everyone):
        lines = [FakeLine() for _ in seats]
        for line, seat in zip(lines, seats, strict=True):
            everyone.follow(line, "v0", seat.back)
        assert hub.watching == 3
        lines[1].is_clear = False
        hub.publish(frame(1))
        await settle()
        gone = [weakref.ref(line) for line in lines]
        for line in lines:
            line.lose()
        assert [seat.times_back() for seat in seats] == [1, 1, 1]
        assert hub.watching == 0
        del line, lines
        gc.collect()
        assert [ref() for ref in gone] == [None] * 3
        hub.publish(frame(2))


# Whatever the order.


class Reader:
    """A line that follows, with what it had been given before it joined."""

    def __init__(self, seen: str, before: int, *, is_there: bool, is_clear: bool) -> None:
        self.line = FakeLine(is_there=is_there, is_clear=is_clear)
        self.seat = Seat()
        self.seen = seen
        self.before = before  # how many frames had been published by then

    @property
    def is_open(self) -> bool:
        """Whether its connection is there."""
        return self.line._owner is not None


class World:
    """A hub, its broadcast and readers, and one way to do each thing that can happen to them."""

    def __init__(self, asked: list[Alarm]) -> None:
        self.hub = Hub(frame(0))
        self.everyone = Broadcast(self.hub)
        self.published = ["v0"]
        self.readers: list[Reader] = []
        self._asked = asked

    @property
    def open_now(self) -> list[Reader]:
        """Whose connections are there."""
        return [reader for reader in self.readers if reader.is_open]

    async def publish(self, number: int) -> None:
        if self.hub.publish(frame(number % 4)):
            self.published.append(f"v{number % 4}")

    async def join(self, number: int) -> None:
        """Join, with the newest frame or with the first of all; some are gone or slow by then."""
        seen = self.published[-1 if number % 2 else 0]
        before = len(self.published) - 1
        reader = Reader(seen, before, is_there=number > 0, is_clear=number > 2)
        self.readers.append(reader)
        self.everyone.follow(reader.line, seen, reader.seat.back)

    async def stall(self, number: int) -> None:
        for line in self._pick(number):
            line.is_clear = False

    async def clear(self, number: int) -> None:
        for line in self._pick(number):
            if not line.is_clear:
                line.clear()

    async def lose(self, number: int) -> None:
        for line in self._pick(number):
            line.lose()

    async def ring(self, number: int) -> None:
        """Somebody's time is up."""
        if due := [alarm for alarm in self._asked if alarm.is_set]:
            due[number % len(due)].ring()

    async def turn(self, number: int) -> None:
        """The loop goes round once."""
        await anyio.lowlevel.checkpoint()

    async def settle(self, number: int) -> None:
        await settle()

    def _pick(self, number: int) -> list[FakeLine]:
        some = self.open_now
        return [some[number % len(some)].line] if some else []

    def assert_each_saw_what_was_published(self) -> None:
        """In its order, and nothing twice in a row."""
        for reader in self.readers:
            seen = [reader.seen, *reader.line.versions]
            assert all(one != other for one, other in pairwise(seen))
            remaining = iter(self.published[reader.before :])
            assert all(version in remaining for version in reader.line.versions)

    def assert_all_who_are_clear_have_the_newest(self) -> None:
        for reader in self.open_now:
            if reader.line.is_clear and not reader.line.is_closing:
                assert [reader.seen, *reader.line.versions][-1] == self.published[-1]

    def assert_it_adds_up(self) -> None:
        """Who watches is counted, and who does not has given back a seat."""
        assert self.hub.watching == len(self.open_now)
        for reader in self.readers:
            assert reader.seat.times_back() == (0 if reader.is_open else 1)
        waiting = sum(alarm.is_set for alarm in self._asked)
        assert waiting <= sum(not reader.line.is_clear for reader in self.open_now)


often = ("publish", "join", "turn", "turn")
kinds = st.sampled_from([*often, *often, "stall", "stall", "clear", "ring", "lose", "settle"])


@settings(max_examples=300)
@given(st.lists(st.tuples(kinds, st.integers(0, 9)), min_size=8, max_size=60), st.integers(1, 3))
async def test_whatever_the_order_everyone_who_is_clear_ends_with_the_newest(
    schedule: list[tuple[str, int]], size: int
) -> None:
    """Readers come, stop, go on and leave between any two turns of the loop, and so do frames."""
    with pytest.MonkeyPatch.context() as patch, alarms() as asked:
        patch.setattr(broadcast, "SLICE", size)
        world = World(asked)
        async with running(world.everyone):
            for kind, number in schedule:
                await getattr(world, kind)(number)
            world.assert_it_adds_up()
            await settle()
            world.assert_it_adds_up()
            world.assert_each_saw_what_was_published()
            world.assert_all_who_are_clear_have_the_newest()
            world.hub.close()
            await settle()
            for reader in world.open_now:
                assert len(reader.line.ends) + reader.line.aborts == 1
                reader.line.lose()
            world.assert_it_adds_up()
