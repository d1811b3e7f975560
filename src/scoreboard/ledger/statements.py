"""SQL files, found by name: `sql/<name>.sql`, or `sql/<dialect>/<name>.sql` where the text differs.

Each file holds one statement and opens with a comment that says what it is for. All are read once
at start, so that a missing or unreadable one stops the start and not a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

_COMMENT: Final = re.compile(r"--[^\n]*")
_BIND: Final = re.compile(r"(?<![:\w]):([a-z_]+)")
_MIGRATION: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")


class Migration(NamedTuple):
    """One numbered step of the schema; its statements are run in order in one transaction."""

    version: int
    name: str
    text: str


def root() -> Path:
    """The folder of the SQL files: inside the wheel, or beside `src/` in a checkout.

    Raises `FileNotFoundError` when there is neither.
    """
    installed = Path(str(files("scoreboard"))) / "sql"
    checkout = Path(__file__).resolve().parents[3] / "sql"
    for folder in (checkout, installed):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no SQL files in {checkout} nor {installed}")


def strip(text: str) -> str:
    """The statement without its comments, in which the driver would look for binds."""
    return _COMMENT.sub("", text).strip().rstrip(";")


def load(dialect: str) -> Mapping[str, str]:
    """Every statement of `dialect` by its name."""
    shared, own = root(), root() / dialect
    return {
        path.stem: strip(path.read_text("utf-8"))
        for folder in (shared, own)
        for path in sorted(folder.glob("*.sql"))
    }


class Numbered(NamedTuple):
    """A statement whose binds are `$1`, `$2`, ... , as PostgreSQL wants them, and their names."""

    text: str
    names: tuple[str, ...]


def numbered(text: str) -> Numbered:
    """A statement that names its binds (`:name`), with numbers instead."""
    names = tuple(dict.fromkeys(_BIND.findall(text)))
    return Numbered(_BIND.sub(lambda bind: f"${names.index(bind[1]) + 1}", text), names)


def migrations(dialect: str) -> Iterator[Migration]:
    """The steps of the schema in the order of their numbers."""
    for path in sorted((root() / dialect / "migrations").glob("*.sql")):
        if not (match := _MIGRATION.fullmatch(path.name)):
            raise ValueError(f"{path.name} is not named like 0001_name.sql")
        yield Migration(int(match[1]), match[2], _COMMENT.sub("", path.read_text("utf-8")))
