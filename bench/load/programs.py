"""The two load programs: compiling them, and running them where they may run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tests.support.backends import run

SOURCES: Final = Path(__file__).parent
PROGRAMS: Final = ("requests", "streams")
FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11")
NEEDED: Final = "a C compiler (apt-get install gcc libc6-dev)"
PATIENCE: Final = 10.0  # seconds until a program has ended that was asked to


class Missing(Exception):
    """Something that has to be installed; the message names it and says how."""


def build(folder: Path) -> Path:
    """Compile both programs into `folder`, which it gives back.

    Raises `Missing` without a C compiler or its headers, `RuntimeError` with the compiler's words
    when it refuses.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing(NEEDED)
    for name in PROGRAMS:
        words: list[str | Path] = [compiler, *FLAGS, "-o", folder / name, SOURCES / f"{name}.c"]
        made = subprocess.run(words, capture_output=True, text=True, check=False)
        if "fatal error" in made.stderr and "No such file" in made.stderr:
            raise Missing(NEEDED)
        if made.returncode != 0:
            raise RuntimeError(f"{name}.c does not compile\n{made.stderr}")
    return folder


@contextmanager
def running(
    words: Sequence[str | Path], cores: Collection[int] | None, errors: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    """A program with its input and output in our hands, on the CPUs of these numbers alone.

    It is killed at the end of the block if it still runs, and never outlives this process.
    """
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        errors="replace",  # a body can be cut within a character
    )
    run().add(process.pid)
    try:
        if cores is not None:
            os.sched_setaffinity(process.pid, cores)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        run().drop(process.pid)
        for end in (process.stdin, process.stdout):
            if end:
                end.close()


def said(errors: IO[str]) -> str:
    """What a program wrote to its errors."""
    errors.seek(0)
    return errors.read().strip()
