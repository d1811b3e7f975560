"""`make fuzz`: random requests to the running service on both engines, for as long as asked.

python -m tests.fuzz --minutes 10 --seed 7
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.fuzz.audit import assert_sound
from tests.fuzz.rounds import Report, drive
from tests.fuzz.target import ENGINES, open_target

LONG: Final = 60.0  # seconds on an engine after which every operation has to have had its 2xx


def main() -> int:
    """Run; gives 0 when everything held."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="repeats a run")
    options = parser.parse_args()
    print(f"fuzz: {options.minutes:g} minutes, SEED={options.seed}", flush=True)
    seconds = options.minutes * 60 / len(ENGINES)
    is_well = [_run(engine, options.seed, seconds) for engine in ENGINES]
    print(f"\nfuzz: {'all of it held' if all(is_well) else 'FAILED'}; SEED={options.seed}")
    return 0 if all(is_well) else 1


def _run(engine: str, number: int, seconds: float) -> bool:
    print(f"\n{engine}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="scoreboard-fuzz-") as folder,
        open_target(engine, Path(folder)) as target,
    ):
        report = drive(target, number, seconds=seconds, tell=_Progress())
        _table(report)
        for shown in report.shown():
            print(f"\n{shown}")
        try:
            rows = assert_sound(target, report.receipts)
        except AssertionError as failure:
            print(f"afterwards: {failure}")
            return False
        print(f"{rows:,} rows in the log add up to the scores, and the boards show them")
    if seconds >= LONG and report.never_good:
        print(f"never a 2xx: {', '.join(report.never_good)}")
        return False
    return not report.failures


class _Progress:
    """A line every few seconds."""

    EVERY: Final = 3.0

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, report: Report) -> None:
        if time.monotonic() > self._told + self.EVERY:
            self._told = time.monotonic()
            good = len(report.statuses) - len(report.never_good)
            print(
                f"{report.seconds:5.0f} s  round {report.rounds:3}  {report.cases:7,} cases  "
                f"{report.by_class()}  2xx from {good} of {len(report.statuses)}  "
                f"failures {len(report.failures)}",
                flush=True,
            )


def _table(report: Report) -> None:
    print(
        f"\n{report.cases:,} cases in {report.seconds:.0f} s, "
        f"{report.cases / max(report.seconds, 1):.0f} a second; {report.by_class()}; "
        f"{report.unsent} that nobody could send; {len(report.failures)} failures"
    )
    for name, counts in sorted(report.statuses.items()):
        total = sum(counts.values())
        good = sum(times for status, times in counts.items() if 200 <= status < 300)
        listed = "  ".join(f"{status}: {times:,}" for status, times in sorted(counts.items()))
        print(f"{name:48} {total:6,}  {good / max(total, 1):4.0%} 2xx   {listed}")


if __name__ == "__main__":
    sys.exit(main())
