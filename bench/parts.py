"""The parts of the bench: what each measures, how long that takes, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import eye, fanout, reading, size, writing
from bench.arena import Arena, Part
from bench.findings import eye as eye_findings
from bench.findings import fanout as fanout_findings
from bench.findings import reading as reading_findings
from bench.findings import size as size_findings
from bench.findings import writing as writing_findings
from bench.report import Section


@dataclass(frozen=True)
class Playable:
    """A part that can be run. `seconds` are those of one round, roughly."""

    seconds: float
    run: Callable[[Arena], Part]
    section: Callable[[Part], Section]


PARTS = {
    fanout.NAME: Playable(fanout.SECONDS, fanout.run, fanout_findings.section),
    writing.NAME: Playable(writing.SECONDS, writing.run, writing_findings.section),
    reading.NAME: Playable(reading.SECONDS, reading.run, reading_findings.section),
    size.NAME: Playable(size.SECONDS, size.run, size_findings.section),
    eye.NAME: Playable(eye.SECONDS, eye.run, eye_findings.section),
}
