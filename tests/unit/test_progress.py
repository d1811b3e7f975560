"""Progress: a line that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys

import pytest

from scoreboard.cli.rebuild import SAY_EVERY, SHOW_EVERY, Progress


class Seconds:
    """Time that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_on_a_terminal_one_line_moves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    clock = Seconds()
    progress = Progress("scores", 1_000_000, clock)
    progress.show(1)  # too soon
    clock.now += SHOW_EVERY
    progress.show(250_000)
    progress.end()
    assert capsys.readouterr().out == (
        "\r\x1b[Kscores: 250,000 of 1,000,000 players, 0.2 s"
        "\r\x1b[Kscores: 250,000 of 1,000,000 players, 0.2 s\n"
    )


def test_elsewhere_a_line_now_and_then_and_none_for_what_took_a_moment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Seconds()
    short = Progress("scores", 10, clock)
    clock.now += 1
    short.show(10)
    short.end()
    assert capsys.readouterr().out == ""
    long = Progress("the daily board", 2_000, clock)
    clock.now += SAY_EVERY
    long.show(1_000)
    clock.now += 1
    long.show(1_500)
    long.end()
    assert capsys.readouterr().out == (
        "the daily board: 1,000 of 2,000 players, 5.0 s\n"
        "the daily board: 1,500 of 2,000 players, 6.0 s\n"
    )
