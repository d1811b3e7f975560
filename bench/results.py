"""What is kept of a run: the raw rounds as JSON, and the report and plots that are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bench import plots
from bench.arena import Part
from bench.contestants.running import ROOT
from bench.parts import PARTS
from bench.report import Section, table

FOLDER = ROOT / "bench" / "results"
RAW = "results.json"

HEAD = """# What the bench measured

Written by `make bench`; the raw rounds are in [results.json](results.json). This service and its
peers ran side by side on one machine: in each round every contestant in turn, one at a time. A
figure is the median of the rounds, with the lowest and the highest behind it. Machines drift, so
two figures compare only within this report; ratios are taken within each round.
"""


def load(folder: Path = FOLDER) -> dict[str, Part]:
    """The parts that were measured so far, in the order of the report."""
    file = folder / RAW
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return {name: Part.from_json(kept[name]) for name in PARTS if name in kept}


def write(parts: Mapping[str, Part], folder: Path = FOLDER) -> None:
    """Write `results.json`, `README.md` and the plots of these parts."""
    folder.mkdir(exist_ok=True)
    parts = {name: parts[name] for name in PARTS if name in parts}
    raw = {name: part.to_json() for name, part in parts.items()}
    (folder / RAW).write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sections = {name: PARTS[name].section(part) for name, part in parts.items()}
    (folder / "README.md").write_text(_report(parts, sections), "utf-8")
    for found in sections.values():
        plots.write([plot for plot in found.plots if plot.has_values], folder)


def _report(parts: Mapping[str, Part], sections: Mapping[str, Section]) -> str:
    blocks = [HEAD.strip(), *_goals(sections), *_faults(parts)]
    for found in sections.values():
        blocks.append(f"## {found.title}")
        blocks += [f"![{plot.title}]({plot.name}.svg)" for plot in found.plots if plot.has_values]
        blocks += found.blocks
    blocks += [*_machines(parts), *_contestants(parts)]
    return "\n\n".join(blocks) + "\n"


def _goals(sections: Mapping[str, Section]) -> list[str]:
    rows = [
        [goal.text, goal.figure, goal.verdict]
        for found in sections.values()
        for goal in found.goals
    ]
    return ["## Goals", table(["goal", "reached", ""], rows)] if rows else []


def _faults(parts: Mapping[str, Part]) -> list[str]:
    faults = [f"- {name}: {fault}" for name, part in parts.items() for fault in part.faults]
    return ["## What went wrong", "\n".join(faults)] if faults else []


def _machines(parts: Mapping[str, Part]) -> list[str]:
    """One table for the parts that were measured on the same machine."""
    blocks, told = ["## Machine"], list[dict[str, str]]()
    for part in parts.values():
        if part.machine not in told:
            told.append(part.machine)
            names = [name for name, other in parts.items() if other.machine == part.machine]
            blocks += [f"Of {', '.join(names)}:", table(["", ""], list(part.machine.items()))]
    rows = [
        [name, str(len(part.rounds)), f"{part.seconds / 60:.0f}"] for name, part in parts.items()
    ]
    return [*blocks, table(["part", "rounds", "minutes"], rows)]


def _contestants(parts: Mapping[str, Part]) -> list[str]:
    blocks = ["## Contestants"]
    for name, part in parts.items():
        rows = [[one, version] for one, version in part.versions.items()]
        rows += [[one, f"missing: {what}"] for one, what in part.missing.items()]
        commands = (f"# {one}\n{command}" for one, command in part.commands.items())
        blocks += [
            f"### In {name}",
            table(["", "version"], rows),
            "```sh\n{}\n```".format("\n\n".join(commands)),
        ]
    return blocks
