"""What a family of processes uses, and where it may run: read from /proc, so Linux alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")  # in which the kernel counts CPU time


def family(pid: int) -> list[int]:
    """A process and all that it started, and they did, and that still run."""
    found = [pid]
    for one in found:  # it grows while we go
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):  # it has ended
                found += map(int, task.read_text("ascii").split())
    return found


def cpu_seconds(*parents: int) -> float:
    """CPU seconds of these families so far, with those of members that have ended."""
    total = 0
    for pid in (one for parent in parents for one in family(parent)):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].split()
            total += sum(map(int, fields[11:15]))  # own and of children waited for: proc(5)
    return total / TICK


def memory_bytes(parent: int) -> int:
    """Memory of a family: what two members share counts once (PSS), and swap counts too."""
    total = 0
    for pid in family(parent):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
                if line.startswith(("Pss:", "SwapPss:")):
                    total += int(line.split()[1]) * 1024
    return total


def free_memory() -> int:
    """Bytes that this machine can give without swapping."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    return int(told["MemAvailable"].split()[0]) * 1024


def pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Let every thread of these processes run on these cores alone."""
    for pid in pids:
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), cores)


def stuck_sockets(port: int) -> int:
    """Connections to a port of 127.0.0.1 that have something to send which nobody takes."""
    found = 0
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        found += int(local.partition(":")[2], 16) == port and int(queues.partition(":")[0], 16) > 0
    return found
