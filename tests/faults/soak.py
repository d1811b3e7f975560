"""`make soak`: every fault in random order, under load, for as long as asked; a seed repeats it.

python -m tests.faults.soak --minutes 10 --seed 7
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults.faults import FAULTS
from tests.support.site import Site

LOAD = 100  # completions acknowledged before each fault
LONGEST = 3.0  # seconds that a fault lasts
HEALED = 5.0  # seconds after its end within which everything agrees


def main() -> int:
    """Run; gives 0 when nothing was lost, doubled, or needed a hand."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="repeats a run")
    options = parser.parse_args()
    print(f"soak: {options.minutes:g} minutes, --seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    healing: dict[str, list[float]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="scoreboard-soak-") as folder,
        Site(Path(folder), seed=options.seed, players=16, workers=(1, 2)) as site,
    ):
        end = time.monotonic() + options.minutes * 60
        order: list[str] = []
        rows = 0
        while time.monotonic() < end or order:  # each as often as the others
            if not order:
                order = chance.sample(sorted(FAULTS), len(FAULTS))
            name, seconds = order.pop(), chance.uniform(0.3, LONGEST)
            try:
                healing[name].append(_suffer(site, name, seconds))
                rows = site.audit()
            except BaseException:
                print(f"\nsoak: failed at {name!r}; --seed {options.seed}\n{site.logs()}")
                raise
            left = max(0, end - time.monotonic())
            print(
                f"{name:20} for {seconds:3.1f} s, healed in {healing[name][-1]:4.2f} s; "
                f"{rows:,} rows, {left / 60:.1f} minutes left",
                flush=True,
            )
        _report(site.crowd.counts, rows, healing, site.crowd.latencies)
    slow = {name for name, took in healing.items() if max(took) > HEALED}
    if slow:
        print(f"soak: took more than {HEALED:g} s to heal: {', '.join(sorted(slow))}")
    return 1 if slow else 0


def _suffer(site: Site, name: str, seconds: float) -> float:
    """One fault under load; gives the seconds from its end until all is well and agrees."""
    site.crowd.play()
    site.acknowledged(LOAD)
    FAULTS[name](site, seconds)
    over = time.monotonic()
    site.until(site.is_ready)
    site.acknowledged(20)
    site.settled()
    return time.monotonic() - over


def _report(
    counts: Counter[str], rows: int, healing: dict[str, list[float]], latencies: list[float]
) -> None:
    ordered = sorted(latencies)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    print(f"\n{rows:,} rows in the log; lost 0, doubled 0 (each audit compared every one)")
    print("  ".join(f"{name} {count:,}" for name, count in counts.most_common()))
    print(f"until answered, with all retries: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(f"{'fault':20} times  healed in seconds: mean, longest")
    for name, took in sorted(healing.items()):
        print(f"{name:20} {len(took):5}  {sum(took) / len(took):5.2f} {max(took):5.2f}")


if __name__ == "__main__":
    sys.exit(main())
