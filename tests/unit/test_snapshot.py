"""Snapshots and frames: one version everywhere, one line of data."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from scoreboard.board import Entry
from scoreboard.live.snapshot import Snapshot, frame, show
from scoreboard.periods import Period

PERIOD = Period("daily", "2026-11-21")
entries = st.lists(
    st.tuples(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=50), st.integers(1)),
    max_size=10,
).map(lambda drawn: [Entry(rank, *one) for rank, one in enumerate(drawn, 1)])


@given(entries, st.integers(0, 2**41), st.integers(0, 2**41))
def test_the_version_is_what_is_shown_and_nothing_else(
    shown: list[Entry], now: int, later: int
) -> None:
    assert Snapshot(PERIOD, shown, now).version == Snapshot(PERIOD, tuple(shown), later).version


def test_every_part_of_what_is_shown_is_in_the_version() -> None:
    entry = Entry(1, "ada", "Ada", 5)
    versions = {
        Snapshot(period, shown, 0).version
        for period, shown in [
            (PERIOD, [entry]),
            (PERIOD, []),
            (PERIOD, [entry._replace(rank=2)]),
            (PERIOD, [entry._replace(account_id="bob")]),
            (PERIOD, [entry._replace(username="Bob")]),
            (PERIOD, [entry._replace(score=6)]),
            (Period("daily", "2026-11-22"), [entry]),
            (Period("weekly", "2026-W47"), [entry]),
        ]
    }
    assert len(versions) == 8


def test_the_version_does_not_change_with_the_release() -> None:
    """Servers of two releases run side by side during a deployment."""
    snapshot = Snapshot(PERIOD, [Entry(1, "ada", "Ada Λ", 5)], 0)
    assert snapshot.version == "a3d4f99032f7d6d2fc"


@given(entries)
def test_a_frame_is_one_event_whatever_the_names_hold(shown: list[Entry]) -> None:
    snapshot = Snapshot(PERIOD, shown, 1_795_227_185_123)
    lines = frame(show(snapshot)).data.decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["event", "id", "data", "", ""]
    assert "\r" not in lines[2]
    assert json.loads(lines[2].removeprefix("data: ")) == snapshot.to_json()
