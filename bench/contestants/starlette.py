"""Plain Starlette on uvicorn with uvloop and httptools: what Scoreboard stands on, without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of

from bench.contestants.running import Running, new_folder, shown, started

WORDS = (
    "--loop=uvloop",
    "--http=httptools",
    "--no-access-log",
    "--log-level=warning",
    "--backlog=4096",
)


@contextmanager
def plain(module: str, **environment: str) -> Iterator[Running]:
    """An app of the package `plain`."""
    with (
        new_folder("starlette") as folder,
        started([*_words(module), "--port={port}"], folder=folder, environment=environment) as one,
    ):
        yield one


def command(module: str, **environment: str) -> str:
    """How it is started."""
    return shown([*_words(module), "--port=…"], environment)


def version(*packages: str) -> str:
    """Of Starlette, uvicorn and some more."""
    names = ("starlette", "uvicorn", "uvloop", "httptools", *packages)
    return ", ".join(f"{name} {version_of(name)}" for name in names)


def _words(module: str) -> list[str]:
    return [sys.executable, "-m", "uvicorn", f"bench.contestants.plain.{module}:app", *WORDS]
