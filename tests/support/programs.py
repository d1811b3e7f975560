"""Programs that a test talks to, and that end with it however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.backends import run


@contextmanager
def running(words: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program, and what it starts, until the block ends: with it whatever still runs is
    killed.
    """
    with subprocess.Popen(words, text=True, start_new_session=True, **options) as process:
        run().add(process.pid)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):  # all of them have ended
                os.killpg(process.pid, signal.SIGKILL)
            run().drop(process.pid)
