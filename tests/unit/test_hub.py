"""The hub: everyone gets the newest frame, nobody gets one twice, nobody waits for anybody."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import anyio
from hypothesis import given
from hypothesis import strategies as st

from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import Frame


def newest(hub: Hub) -> str:
    assert hub.frame
    return hub.frame.version


def frame(number: int) -> Frame:
    return Frame(f"v{number}", b"data: %d\n\n" % number)


async def test_a_watcher_begins_with_the_current_frame() -> None:
    hub = Hub(frame(0))
    async with aclosing(hub.watch()) as frames:
        assert await anext(frames) == frame(0)
        assert hub.watching == 1
    assert hub.watching == 0


async def test_a_watcher_that_has_the_current_frame_waits_for_the_next() -> None:
    hub = Hub(frame(0))
    async with aclosing(hub.watch("v0")) as frames:
        first = asyncio.ensure_future(anext(frames))
        await anyio.wait_all_tasks_blocked()
        assert not first.done()
        assert hub.publish(frame(1))
        assert await first == frame(1)


async def test_the_same_version_is_not_published_again() -> None:
    hub = Hub(frame(0))
    assert not hub.publish(Frame("v0", b"another encoding of the same state"))
    assert hub.frame == frame(0)


async def test_a_slow_watcher_skips_to_the_newest() -> None:
    hub = Hub(frame(0))
    async with aclosing(hub.watch()) as frames:
        await anext(frames)
        for number in (1, 2, 3):
            hub.publish(frame(number))
        assert await anext(frames) == frame(3)


async def test_closing_gives_the_newest_and_then_ends() -> None:
    hub = Hub(frame(0))
    async with aclosing(hub.watch()) as frames:
        await anext(frames)
        hub.publish(frame(1))
        hub.close()
        assert [frame async for frame in frames] == [frame(1)]
    async with aclosing(hub.watch("v1")) as frames:
        assert [frame async for frame in frames] == []


async def test_a_cancelled_watcher_leaves_the_others_waiting() -> None:
    hub = Hub(frame(0))

    async def next_of(seen: str) -> Frame:
        async with aclosing(hub.watch(seen)) as frames:
            return await anext(frames)

    leaver, stayer = (asyncio.create_task(next_of("v0")) for _ in range(2))
    await anyio.wait_all_tasks_blocked()
    leaver.cancel()
    await asyncio.wait([leaver])
    assert hub.watching == 1
    hub.publish(frame(1))
    assert await stayer == frame(1)


@given(
    st.lists(st.one_of(st.integers(0, 3).map(frame), st.sampled_from("abc")), max_size=40),
)
async def test_whatever_the_order_each_sees_a_subsequence_that_ends_with_the_newest(
    steps: list[Frame | str],
) -> None:
    """Watchers a, b and c read when the schedule says so, between publications."""
    hub = Hub(frame(0))
    published = [newest(hub)]
    watchers = {name: hub.watch() for name in "abc"}
    seen: dict[str, list[str]] = {name: [] for name in "abc"}
    for step in steps:
        if isinstance(step, Frame):
            if hub.publish(step):
                published.append(step.version)
        elif not seen[step] or seen[step][-1] != newest(hub):
            seen[step].append((await anext(watchers[step])).version)
    hub.close()
    for name, watcher in watchers.items():
        seen[name] += [frame.version async for frame in watcher]
        assert seen[name][-1] == published[-1]
        assert all(one != other for one, other in zip(seen[name], seen[name][1:], strict=False))
        remaining = iter(published)
        assert all(version in remaining for version in seen[name])
