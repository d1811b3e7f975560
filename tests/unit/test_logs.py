"""Log lines: for a person at a terminal, and for a machine."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from scoreboard.telemetry import logs


class Terminal(io.StringIO):
    """A stream that says that a person reads it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put the handlers and levels of this process back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in ("scoreboard", "scoreboard.access"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def write(stream: io.StringIO, *, access: bool = False) -> str:
    logs.configure(access=access, stream=stream)
    token = logs.request_id.set("mine")
    try:
        logging.getLogger("scoreboard.access").info("GET / 200")
        logging.getLogger("scoreboard.part").info("told %s", "quietly")
        try:
            int("a bug")
        except ValueError:
            logging.getLogger("scoreboard.part").exception("told loudly")
        logging.getLogger("library").info("not told")
    finally:
        logs.request_id.reset(token)
    return stream.getvalue()


def test_for_a_machine_each_line_is_an_object() -> None:
    quietly, loudly = (json.loads(line) for line in write(io.StringIO()).splitlines())
    assert (quietly["level"], quietly["message"]) == ("info", "told quietly")
    assert quietly["requestId"] == loudly["requestId"] == "mine"
    assert quietly["time"].endswith("Z")
    assert "ValueError: invalid" in loudly["error"]


def test_for_a_person_the_lines_are_short() -> None:
    lines = write(Terminal()).splitlines()
    assert lines[0].endswith("  told quietly  [mine]")
    assert lines[1].endswith("  error: told loudly  [mine]")
    assert lines[-1].startswith("ValueError: invalid")


def test_requests_are_told_when_asked_for() -> None:
    assert "GET / 200" in write(Terminal(), access=True)
    assert "GET / 200" not in write(Terminal())
