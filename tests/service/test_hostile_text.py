"""Whatever a stranger's server, the database or a person says, a terminal obeys none of it."""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Self

import pytest

from scoreboard.cli import main, simulate, terminal, watch
from scoreboard.telemetry import logs
from tests.support.server import PATIENCE, environment

# Set the title, fill the clipboard, clear the screen (in seven and in eight bits), turn the text
# around, forge a line.
HOSTILE: Final = "x\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\x7f\u202e\r\nroot# "
DIGITS: Final = "a number with more digits than Python writes"
WRONG: Final = [HOSTILE, None, True, 1.5, 2**63, DIGITS, "7", [HOSTILE], {HOSTILE: HOSTILE}]
CODES: Final = sorted(
    (
        value
        for module in (terminal, watch, simulate)
        for value in vars(module).values()
        if isinstance(value, terminal.Code) and value != "\n"
    ),
    key=len,
    reverse=True,
)
SNAPSHOT: Final = {
    "board": "all-time",
    "period": "2026-11-21",
    "version": "0123456789abcdef",
    "updatedAt": "2026-11-21T09:30:00.000Z",
    "users": [{"rank": 1, "userId": "ada", "username": "Ada", "score": 7}],
}
ACTIONS: Final = {
    "actions": [
        {"actionId": "join", "name": "Join", "description": "", "points": 5, "repeat": "unlimited"}
    ]
}


def variants(document: Any, wrong: Sequence[Any] = WRONG) -> Iterator[Any]:
    """The document with something else in the place of each of its parts, and of all of it."""
    yield from wrong
    if isinstance(document, dict):
        for key, value in document.items():
            yield from ({**document, key: other} for other in variants(value, wrong))
            yield {name: one for name, one in document.items() if name != key}
        yield {**document, HOSTILE: HOSTILE}
    elif isinstance(document, list):
        for place, value in enumerate(document):
            for other in variants(value, wrong):
                yield [*document[:place], other, *document[place + 1 :]]


def written(document: Any) -> str:
    return json.dumps(document).replace(json.dumps(DIGITS), "7" * 5000)


def answer(body: str, kind: str = "application/json", head: str = "200 OK") -> bytes:
    return (f"HTTP/1.1 {head}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n{body}").encode(
        "utf-8", "surrogatepass"
    )


def event(data: str, name: str = "leaderboard_update", number: str = "1") -> str:
    return f"event: {name}\nid: {number}\ndata: {data}\n\n"


class Stranger:
    """A server that gives one answer a connection, and then nothing more."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = list(answers)
        self.is_done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        for one in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the test is over
                return
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(one)
        self.is_done.set()


def assert_harmless(printed: str, *, lines_of_codes: bool = False) -> None:
    for code in CODES if lines_of_codes else []:
        printed = printed.replace(code, "")
    for line in printed.split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("root#")
    assert "Traceback" not in printed


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "pipe"])
def test_watch_obeys_no_server(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [answer(event(written(one)), "text/event-stream") for one in variants(SNAPSHOT)]
    whole = written(SNAPSHOT)
    for hostile in (HOSTILE.replace("\r\n", ""), "\x1b]0;title\x07", "\u2028", "[" * 100_000):
        answers += [
            answer(event(hostile), "text/event-stream"),
            answer(event(whole, name=hostile), "text/event-stream"),
            answer(event(whole, number=hostile), "text/event-stream"),
            answer(whole, f"text/{hostile[:50]}"),
            answer(hostile, head=f"500 {hostile[:50]}"),
            answer(hostile, head=f"302 Found\r\nLocation: {hostile[:50]}"),
            answer(hostile, head="200 OK\r\nContent-Encoding: gzip"),
            hostile.encode(),
        ]
    answers.append(answer(event(whole), "text/event-stream"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    with Stranger(answers) as stranger:

        def sleep(_: float) -> None:
            if stranger.is_done.is_set():
                raise KeyboardInterrupt

        monkeypatch.setattr(time, "sleep", sleep)
        assert main(["watch", "--url", stranger.url]) == 0
    printed = capsys.readouterr()
    assert_harmless(printed.out, lines_of_codes=is_terminal)
    assert_harmless(printed.err)
    assert "Ada" in printed.out
    assert "\\x1b]0;title" in printed.out  # shown, and not obeyed


def test_simulate_obeys_no_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", environment(tmp_path))
    hostile = HOSTILE.replace("\r\n", "")
    # Fewer than of a snapshot: each is a run of the command, which takes a third of a second.
    listed = [answer(written(one)) for one in variants(ACTIONS, [HOSTILE, None, [HOSTILE]])]
    listed += [answer(hostile, head=f"500 {hostile}"), answer("[" * 100_000), hostile.encode()]
    words = ["--accounts", "1", "--rate", "1", "--seconds", "1"]  # one completion, at once
    for number, one in enumerate(listed):
        completed = answer(hostile, head=f"299 {hostile}") if number % 2 else hostile.encode()
        with Stranger([one, completed, completed]) as stranger:
            assert main(["simulate", "--url", stranger.url, *words]) == 1
        printed = capsys.readouterr()
        assert_harmless(printed.out)
        assert_harmless(printed.err)


@pytest.fixture
def database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A database with hostile text in every column that holds text."""
    monkeypatch.setattr(os, "environ", environment(tmp_path))
    assert main(["migrate"]) == 0
    detail = {
        "points": HOSTILE,
        "completionId": HOSTILE,
        "voids": HOSTILE,
        "after": {HOSTILE: HOSTILE},
    }
    detail["before"] = {HOSTILE: "before", "points": 1}
    with closing(sqlite3.connect(tmp_path / "board.db")) as kept, kept:
        kept.execute("INSERT INTO accounts VALUES ('ada', ?, 'ada', NULL, 0)", [HOSTILE])
        kept.execute(
            "INSERT INTO actions VALUES (?, ?, ?, 1, 'once', 1, NULL, NULL, NULL, NULL)",
            [HOSTILE] * 3,
        )
        for one in (detail, {"after": {"points": HOSTILE}}):
            kept.execute(
                "INSERT INTO audit VALUES (NULL, 0, ?, ?, ?, ?, ?)",
                [*[HOSTILE] * 4, json.dumps(one)],
            )
    capsys.readouterr()
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["audit"],
        ["actions", "list"],
        ["actions", "load", "{file}"],
        ["actions", "load", HOSTILE],
        ["actions", "retire", HOSTILE],
        ["adjust", "--user", "ada", "--points", "1", "--reason", "r"],
        ["adjust", "--user", HOSTILE, "--points", "1", "--reason", HOSTILE],
        ["adjust", "--user", "ada", "--points", HOSTILE, "--reason", "r"],
        ["adjust", "--user", "ada", "--points", "1", "--reason", "r", "--key", HOSTILE],
        ["hide", "--user", "ada", "--reason", HOSTILE],
        ["unhide", "--user", "ada", "--reason", HOSTILE],
        ["void", HOSTILE, "--reason", "r"],
        ["token", "--user", HOSTILE],
        ["token", "--user", "ada", "--scope", HOSTILE],
        ["watch", "--url", f"http://a{HOSTILE}"],
        ["watch", "--url", "http://a", "--board", HOSTILE],
        ["simulate", "--url", HOSTILE],
        ["rebuild", HOSTILE],
        [HOSTILE],
        ["--" + HOSTILE],
    ],
    ids=lambda words: " ".join(words).replace(HOSTILE, "HOSTILE"),
)
def test_no_command_prints_what_a_terminal_obeys(
    words: list[str], database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = database / "actions.json"
    file.write_text(json.dumps({"actions": [{"actionId": "a", HOSTILE: HOSTILE}]}), "utf-8")
    with suppress(SystemExit):
        main([word.format(file=file) for word in words])
    printed = capsys.readouterr()
    assert printed.out or printed.err
    assert_harmless(printed.out)
    assert_harmless(printed.err)


@pytest.mark.parametrize("name", ["DATABASE_URL", "SCOREBOARD_BOARDS", "HOST", "PORT"])
@pytest.mark.parametrize("words", [["audit"], ["watch", "--help"]], ids=" ".join)
def test_a_hostile_setting_is_shown_and_not_obeyed(
    name: str,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = f"sqlite:////{HOSTILE}%00" if name == "DATABASE_URL" else f"{HOSTILE}%s"
    monkeypatch.setattr(os, "environ", environment(tmp_path, **{name: value}))
    with suppress(SystemExit):
        main(words)
    printed = capsys.readouterr()
    assert_harmless(printed.out)
    assert_harmless(printed.err)


def test_the_trace_of_a_bug_is_harmless_too(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(f"Key (username)=({HOSTILE}) already exists.")

    monkeypatch.setattr("scoreboard.cli.audit.table", fails)
    assert main(["audit"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert all(line.isprintable() for line in printed.split("\n"))


def test_log_lines_are_harmless_for_whoever_reads_them() -> None:
    error = RuntimeError(HOSTILE)
    caught = (RuntimeError, error, None)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, HOSTILE, (), caught)
    for line in logs.PlainLines().format(record).split("\n"):
        assert line.isprintable()
    line = logs.JsonLines().format(record)
    assert line.isascii()
    assert json.loads(line)["message"] == HOSTILE
