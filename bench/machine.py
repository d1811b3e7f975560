"""The machine and the versions that the figures belong to. Nothing in it tells whose it is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PACKAGES = (
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "sse-starlette",
    "databases",
    "asyncpg",
    "redis",
    "hiredis",
    "joserfc",
)


def described(folder: Path) -> dict[str, str]:
    """What the figures depend on. `folder` is where the databases lie."""
    usable = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": f"{_processor()}, {usable} cores",
        "memory": f"{memory / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk of the databases": _file_system(folder),
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}"
        + (", which has no eager tasks" if sys.version_info < (3, 12) else ""),
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
    }


def first_line(*words: str | Path) -> str:
    """What a program says of its version; empty when it is not there."""
    if shutil.which(words[0]) is None:
        return ""
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    return (said.stdout + said.stderr).partition("\n")[0].strip()


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on."""
    best, kind = "", "unknown"
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text("utf-8").splitlines():
            _, where, name, *_ = line.split()
            if folder.resolve().is_relative_to(where) and len(where) >= len(best):
                best, kind = where, name
    return kind
