"""The files of a SQLite database: where they are, and that only their owner can read them."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

OWNER: Final = 0o600
OTHERS: Final = 0o007  # the bits of those who are neither the owner nor in the file's group
# What SQLite keeps beside the file. It gives each the mode that the file itself has then.
BESIDE: Final = ("", "-wal", "-shm", "-journal")

logger = logging.getLogger(__name__)


def beside(database: Path, ending: str) -> Path:
    """A file that is kept beside the database: the same one whichever links lead there."""
    real = os.path.realpath(database)
    return Path(f"{real}{ending}")


def has_another_name(database: Path) -> bool:
    """Whether there is a hard link to the file. SQLite keeps its write-ahead log by the name, so
    that two processes under two names would each write over what the other has written.
    """
    try:
        return database.stat().st_nlink > 1
    except OSError:  # not made yet
        return False


def secure_database(path: Path) -> None:
    """Make the SQLite file with mode 0600 if it is missing; SQLite would make it 0644. If it, or
    what is kept beside it, is open to everybody, make that private as `tighten` does.

    Raises nothing: what is wrong with the path, opening the database will say.
    """
    with suppress(OSError):
        os.close(os.open(beside(path, ""), os.O_CREAT | os.O_EXCL | os.O_RDWR, OWNER))
    for ending in BESIDE:
        tighten(beside(path, ending))


def tighten(path: Path) -> None:
    """Give a file that is open to everybody mode 0600. One that is open to a group alone was set so
    on purpose, for a backup perhaps, and is left alone.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & OTHERS:
            path.chmod(OWNER)
            logger.info("%s was open to everybody: its mode is 0600 now", path)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s is open to everybody, and cannot be changed: %s", path, error.strerror)
