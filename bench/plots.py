"""Plots as SVG, the same bytes for the same figures, drawn by matplotlib."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

WIDTH = 7.2  # inches of 72 points: what a page of text is wide
OURS = "#c2410c"  # of what the report is about
OTHERS = ("#475569", "#0e7490", "#a16207", "#7c3aed", "#be185d", "#15803d")
SETTINGS = {
    "svg.hashsalt": "scoreboard",  # else every run names its elements anew
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "figure.facecolor": "white",  # legible on a dark page too
}


@dataclass(frozen=True)
class Bars:
    """A bar for each label that has values, with a line from its lowest round to its highest."""

    name: str  # of the file
    title: str
    unit: str
    values: Mapping[str, Sequence[float]]
    digits: int = 0

    def draw(self, axes: Any) -> None:  # noqa: ANN401 - matplotlib is not typed here
        """Put it on the axes."""
        shown = {label: values for label, values in reversed(list(self.values.items())) if values}
        colours = [OURS if label.startswith("Scoreboard") else OTHERS[0] for label in shown]
        middles = [median(values) for values in shown.values()]
        drawn = axes.barh(list(shown), middles, color=colours, xerr=_errors(shown.values()))
        axes.bar_label(drawn, [f"{value:,.{self.digits}f}" for value in middles], padding=4)
        axes.set_xlabel(self.unit)
        axes.xaxis.set_major_formatter(_ticker().StrMethodFormatter("{x:,g}"))
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return any(self.values.values())

    @property
    def height(self) -> float:
        """Inches."""
        return 0.9 + 0.28 * sum(1 for values in self.values.values() if values)


@dataclass(frozen=True)
class Lines:
    """A line for each label: of x, the rounds' values at x. Both axes are logarithmic."""

    name: str  # of the file
    title: str
    across: str
    unit: str
    values: Mapping[str, Mapping[float, Sequence[float]]]

    def draw(self, axes: Any) -> None:  # noqa: ANN401 - matplotlib is not typed here
        """Put it on the axes."""
        others = iter(OTHERS * len(self.values))
        for label, points in self.values.items():
            found = {x: values for x, values in sorted(points.items()) if values}
            if not found:
                continue
            middles = [median(values) for values in found.values()]
            axes.errorbar(
                list(found),
                middles,
                yerr=_errors(found.values()),
                label=label,
                color=OURS if label.startswith("Scoreboard") else next(others),
                marker="o",
                markersize=4,
                capsize=2,
            )
        ticks = sorted(
            {x for points in self.values.values() for x, found in points.items() if found}
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.unit)
        axes.yaxis.set_major_locator(_ticker().LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(_ticker().StrMethodFormatter("{x:,g}"))
        axes.figure.legend(frameon=False, loc="outside lower center", ncols=2)

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(points.values()) for points in self.values.values())

    @property
    def height(self) -> float:
        """Inches."""
        return 4.0


Plot = Bars | Lines


def write(plots: Sequence[Plot], folder: Path) -> None:
    """A file `NAME.svg` for each."""
    matplotlib = importlib.import_module("matplotlib")  # takes a while: not for who only measures
    matplotlib.use("svg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    with matplotlib.rc_context(SETTINGS):
        for plot in plots:
            figure, axes = pyplot.subplots(figsize=(WIDTH, plot.height), layout="constrained")
            axes.set_title(plot.title, loc="left", fontsize=10)
            plot.draw(axes)
            figure.savefig(folder / f"{plot.name}.svg", metadata={"Date": None})
            pyplot.close(figure)


def _errors(rounds: Any) -> list[list[float]]:  # noqa: ANN401 - values of a dictionary
    """How far the lowest and the highest round are from the median."""
    found = [(median(values), min(values), max(values)) for values in rounds]
    return [
        [middle - low for middle, low, _ in found],
        [high - middle for middle, _, high in found],
    ]


def _ticker() -> Any:  # noqa: ANN401 - matplotlib is not typed here
    return importlib.import_module("matplotlib.ticker")
