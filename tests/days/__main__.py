"""`make test-days`: the tests on dates where days, weeks, months and years change, in time zones
half an hour off, and on a machine at half speed. It takes an hour or more.

Every program that a run starts has its date: Python, PostgreSQL and Redis alike (`wall_clock.c`).
Time goes on, so that midnight falls into a run that begins half a minute before it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.backends import run
from tests.support.programs import running

DATES: Final = (  # UTC
    "2026-11-30 23:59:30",  # the end of a month
    "2026-12-31 23:59:30",  # of a year, in a week that began in it and belongs to it
    "2027-01-01 00:00:00",
    "2027-03-28 00:59:00",  # summer time begins in Europe at one, and it is a Sunday
    "2028-02-29 00:00:00",
)
ZONES: Final = ("Asia/Kolkata", "America/St_Johns")  # 5:30 ahead of UTC, 3:30 or 2:30 behind it
SUITES: Final = ("tests/unit", "tests/contract")
SHOWN: Final = 60  # lines of a run that failed
SOURCE: Final = Path(__file__).with_name("wall_clock.c")


class Case(NamedTuple):
    """One run of the tests. Without a date it is that of the machine, without suites all run."""

    date: str | None
    zone: str
    suites: tuple[str, ...] = ()
    is_slowed: bool = False

    def __str__(self) -> str:
        what = ", ".join(Path(suite).name for suite in self.suites) or "all tests"
        speed = " at half speed" if self.is_slowed else ""
        return f"{self.date or 'today'} {self.zone}, {what}{speed}"


CASES: Final = (
    *(Case(date, zone, SUITES) for date, zone in product(DATES, ZONES)),
    Case("2026-12-31 23:59:30", "America/St_Johns"),
    Case("2028-02-29 00:00:00", "Asia/Kolkata"),
    Case(None, "UTC", is_slowed=True),
)


def main() -> int:
    """Run the cases one after the other; gives 0 when every test passed in each."""
    parser = argparse.ArgumentParser(prog="make test-days", description=__doc__)
    parser.add_argument("--only", default="", help="the cases whose line contains this text")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in str(case)]
    if not cases:
        print(f"no case is called {options.only!r}; there are:", *CASES, sep="\n  ")
        return 2
    if (compiler := shutil.which("cc") or shutil.which("gcc")) is None:
        print("make test-days needs a C compiler (apt-get install gcc libc6-dev)")
        return 2
    library = _build(compiler)
    logs = Path(tempfile.mkdtemp(prefix="scoreboard-test-days-"))
    failed = 0
    for number, case in enumerate(cases, 1):
        print(f"[{number}/{len(cases)}] {case}", flush=True)
        began = time.monotonic()
        log = logs / f"{number}.log"
        status = _run(case, library, log)
        lines = log.read_text("utf-8").splitlines()
        if status:
            failed += 1
            print(*lines[-SHOWN:], f"all of it: {log}", sep="\n")
        print(f"    {lines[-1].strip('= ')}, {time.monotonic() - began:.0f} s in all", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _build(compiler: str) -> Path:
    library = run().new_folder("wall-clock") / "wall_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    library.chmod(0o755)  # PostgreSQL runs as somebody else when we are root
    return library


def _run(case: Case, library: Path, log: Path) -> int:
    """Run a case, with what it prints in `log`; gives the exit status."""
    words = [sys.executable, "-m", "pytest", *(case.suites or ["--cov"])]  # as `make test` does
    environment = {
        **os.environ,
        **_clock(case, library),
        "TZ": case.zone,
        "COVERAGE_FILE": str(log.with_suffix(".coverage")),
    }
    with (
        _slowed(case),
        log.open("w", encoding="utf-8") as output,
        running(words, stdout=output, stderr=output, env=environment) as process,
    ):
        return process.wait()


def _clock(case: Case, library: Path) -> Mapping[str, str]:
    if case.date is None:
        return {}
    offset = datetime.fromisoformat(f"{case.date}+00:00").timestamp() - time.time()
    return {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(round(offset))}


@contextmanager
def _slowed(case: Case) -> Iterator[None]:
    """With a busy loop for each core, everything else has half of it."""
    with ExitStack() as stack:
        for _ in range((os.cpu_count() or 1) if case.is_slowed else 0):
            stack.enter_context(running([sys.executable, "-c", "while True: pass"]))
        yield


if __name__ == "__main__":
    raise SystemExit(main())
