"""Tables, goals and sections: what a part found, as Markdown that a person reads on a forge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.arena import Part
from bench.plots import Plot

ABSENT = "\u2013"  # a dash


@dataclass(frozen=True)
class Goal:
    """What was to be reached, what was, and whether that is enough (None: not measured)."""

    text: str
    figure: str
    is_met: bool | None
    distance: str = ""

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.is_met is None:
            return "not measured"
        return "**met**" if self.is_met else f"not met, {self.distance}"


@dataclass
class Section:
    """A part of the report: paragraphs and tables in their order, goals, and plots."""

    title: str
    blocks: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A figure of a table: its heading with the unit, and how it is shown."""

    heading: str
    figure: str
    digits: int = 0
    factor: float = 1.0  # from the figure to what is shown


def at_most(text: str, bound: float, values: Sequence[float], *, digits: int = 2) -> Goal:
    """A goal that is met while the median of `values`, one a round, is not above the bound."""
    if not values:
        return Goal(text, ABSENT, None)
    beyond = median(values) / bound - 1
    return Goal(text, spread(values, digits), beyond <= 0, f"{beyond:.0%} over")


def at_least(text: str, bound: float, values: Sequence[float], *, digits: int = 2) -> Goal:
    """A goal that is met while the median of `values`, one a round, is not below the bound."""
    if not values:
        return Goal(text, ABSENT, None)
    beyond = 1 - median(values) / bound
    return Goal(text, spread(values, digits), beyond <= 0, f"{beyond:.0%} short")


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median of the rounds, with the lowest and the highest behind it where they differ."""
    if not values:
        return ABSENT
    low, middle, high = (
        f"{value:,.{digits}f}" for value in (min(values), median(values), max(values))
    )
    return middle if low == high else f"{middle} ({low}{ABSENT}{high})"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    """A Markdown table; with `numbers`, all but its first column are set to the right."""
    rule = "---:" if numbers else "---"
    lines = [
        f"| {' | '.join(headings)} |",
        f"| --- |{f' {rule} |' * (len(headings) - 1)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
    ]
    return "\n".join(lines)


def comparison(
    part: Part, case: str, contestants: Sequence[str], columns: Sequence[Column], *, ours: str
) -> str:
    """A case's table: a row for each contestant that took part in it, and for each that is missing.

    The row of `ours` is bold.
    """
    rows = []
    for name in contestants:
        if name in part.missing:
            rows.append([f"{name}, missing: {part.missing[name]}", *([ABSENT] * len(columns))])
            continue
        cells = [
            spread([value * one.factor for value in part.each(case, name, one.figure)], one.digits)
            for one in columns
        ]
        if all(cell == ABSENT for cell in cells):
            continue
        row = [name, *cells]
        rows.append([f"**{cell}**" for cell in row] if name == ours else row)
    return table(["", *(one.heading for one in columns)], rows, numbers=True)
