"""What every part of the bench is played in: its rounds, its cores, its progress, its findings.

A part is a module with `NAME`, `SECONDS` (of one round, for the time that is left) and
`run(arena)`, which makes a list of matches, has the arena play them, and gives the `Part` that
comes of it. `bench/parts.py` lists the parts, each with what makes a section of the report of it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from bench.load import Missing
from bench.progress import Progress

Figures = dict[str, float]

# What a contestant that does not start, hang up or add up raises. It fails the bench, but not
# before the others have had their turn.
FAILURES = (
    AssertionError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    subprocess.SubprocessError,
)


class Disagreement(AssertionError):
    """Two sums that should be equal are not, or something was lost on the way."""


@dataclass(frozen=True)
class Cores:
    """Whose the processors are: a server's alone, two servers', the client's."""

    one: frozenset[int]
    two: frozenset[int]
    client: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Self:
        """The first for the server, the last for the client. With two, that is all there are."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(frozenset(usable[:1]), frozenset(usable[:2]), frozenset(usable[-1:]))


@dataclass(frozen=True)
class Match:
    """One contestant in one case. `play` measures, `tell` says the figures in a line."""

    contestant: str
    case: str
    play: Callable[[], Figures]
    tell: Callable[[Figures], str]


@dataclass
class Part:
    """What a part found out. `rounds` has a round's figures by case and contestant."""

    name: str
    rounds: list[dict[str, dict[str, Figures]]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def each(self, case: str, contestant: str, figure: str) -> list[float]:
        """A figure, once a round in which it was measured."""
        found = (one.get(case, {}).get(contestant, {}).get(figure) for one in self.rounds)
        return [value for value in found if value is not None]

    def ratios(
        self, case: str, mine: str, theirs: str, figure: str, *, their_case: str | None = None
    ) -> list[float]:
        """Mine divided by theirs, in each round that has both: the machine drifts, but for both."""
        found = []
        for one in self.rounds:
            above = one.get(case, {}).get(mine, {}).get(figure)
            below = one.get(their_case or case, {}).get(theirs, {}).get(figure)
            if above is not None and below:
                found.append(above / below)
        return found

    def median(self, case: str, contestant: str, figure: str) -> float | None:
        """The median over the rounds, or None where nothing was measured."""
        values = self.each(case, contestant, figure)
        return median(values) if values else None

    def to_json(self) -> dict[str, Any]:
        """As `results.json` keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(**kept)


class Arena:
    """Plays the matches of a part, round after round, one contestant at a time."""

    def __init__(self, *, rounds: int, programs: Path, progress: Progress) -> None:
        self.rounds = rounds
        self.programs = programs  # the folder of the load client
        self.progress = progress
        self.cores = Cores.of_this_machine()
        self._part: Part | None = None

    def introduce(self, contestant: str, *, version: str, command: str) -> None:
        """Note who takes part, and how it was started, for the report."""
        assert self._part
        self._part.versions[contestant] = version
        self._part.commands[contestant] = command

    def note(self, name: str, text: str) -> None:
        """Keep something that the part's report has to say beside its figures."""
        assert self._part
        self._part.notes[name] = text

    def play(self, name: str, matches: Sequence[Match]) -> Part:
        """Every match in each round, in turn (A B C, A B C), so that a drift meets all alike.

        A contestant that is `Missing` is named and left out from then on. One that fails, or whose
        sums do not agree, is a fault of the part.
        """
        part = self._part = Part(name)
        began = time.monotonic()
        for number in range(1, self.rounds + 1):
            figures: dict[str, dict[str, Figures]] = {}
            for place, match in enumerate(matches):
                if match.contestant in part.missing:
                    continue
                done = (number - 1) * len(matches) + place
                self.progress.running(
                    name,
                    f"round {number} of {self.rounds}, {match.contestant}, {match.case}",
                    done=done,
                    total=self.rounds * len(matches),
                )
                try:
                    found = match.play()
                except Missing as missing:
                    part.missing[match.contestant] = str(missing)
                    self.progress.say(f"{match.contestant}: missing: {missing}")
                except FAILURES as error:
                    text = " ".join(str(error).split())[:600] or type(error).__name__
                    part.faults.append(f"{match.contestant}, {match.case}, round {number}: {text}")
                    self.progress.say(f"FAULT {part.faults[-1]}")
                else:
                    figures.setdefault(match.case, {})[match.contestant] = found
                    self.progress.say(f"{match.contestant}, {match.case}: {match.tell(found)}")
            part.rounds.append(figures)
        part.seconds = time.monotonic() - began
        return part
