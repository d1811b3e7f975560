"""`make bench`: this service and its peers, side by side on this machine.

Writes `bench/results/`: a report, its plots, and the raw rounds. A part that is run alone replaces
its own figures and leaves the others. Ends with status 1 when sums did not agree, or a contestant
failed, and says which; with 2 when something is missing that nothing can be measured without.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType

from bench import load, machine, results
from bench.arena import Arena
from bench.contestants.running import ROOT, new_folder
from bench.parts import PARTS
from bench.progress import Progress
from tests.support.backends import run

ROUNDS = 3
TESTS = ROOT / "bench" / "tests"  # of the load client, which everything else trusts
DEBIAN = "apt-get install gcc libc6-dev nginx libnginx-mod-nchan nodejs npm"


def main() -> int:
    """Measure what the command line asks for."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    print(f"What it uses of Debian: {DEBIAN}", flush=True)
    progress = Progress({name: PARTS[name].seconds * options.rounds for name in options.only})
    with new_folder("load") as folder, closing(progress):
        try:
            programs = load.build(folder)
        except load.Missing as missing:
            print(f"Nothing can be measured without {missing}", file=sys.stderr)
            return 2
        if not _is_load_client_right():
            print("Nothing can be measured with this load client", file=sys.stderr)
            return 2
        try:
            return _measure(options.only, options.rounds, programs, progress)
        except KeyboardInterrupt:
            print("\nInterrupted: parts that were not finished are not kept.", file=sys.stderr)
            return 128 + signal.SIGINT


def _measure(names: Sequence[str], rounds: int, programs: Path, progress: Progress) -> int:
    described = machine.described(run().on_disk)
    faults = []
    for name in names:
        part = PARTS[name].run(Arena(rounds=rounds, programs=programs, progress=progress))
        part.machine = described
        faults += [f"{name}: {fault}" for fault in part.faults]
        results.write({**results.load(), name: part})
        progress.say(f"{name}: kept in {results.FOLDER.relative_to(ROOT)}/README.md")
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    return 1 if faults else 0


def _is_load_client_right() -> bool:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
    return subprocess.run(words, cwd=ROOT, check=False).returncode == 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        type=_names,
        default=list(PARTS),
        help=f"parts to measure, with commas between: {','.join(PARTS)}",
    )
    parser.add_argument("--rounds", type=_rounds, default=ROUNDS, help="how often, 3 by default")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PARTS)}")
    return [name for name in PARTS if name in names]


def _rounds(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("is a number from 1 on")
    return int(text)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's signature
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
