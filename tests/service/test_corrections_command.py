"""What staff may do from the command line, beside a server that runs."""

from __future__ import annotations

import getpass
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from scoreboard.cli import main
from tests.support.backends import Postgres, Redis
from tests.support.server import Server, environment, events, eventually, next_snapshot

ME = f"cli:{getpass.getuser()}"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(
    scope="module", params=["sqlite + memory", "postgresql + redis", "postgresql + memory"]
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of these tests' own: to a board in its process a command's change comes as a drift
    that is mended, which other tests take for a fault.
    """
    settings: dict[str, str] = {}
    with ExitStack() as stack:
        if "postgresql" in request.param:
            postgres: Postgres = request.getfixturevalue("postgres")
            settings["DATABASE_URL"] = postgres.create_database(f"commanded_{len(request.param)}")
        if "redis" in request.param:
            settings["REDIS_URL"] = stack.enter_context(Redis()).url
        server = stack.enter_context(Server(tmp_path_factory.mktemp("commanded"), **settings))
        yield server
        server.stop()
        assert "Traceback" not in server.logged()
        if "redis" in request.param:
            assert "differed" not in server.logged(), "Redis was not told at once"


class Ran(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def command(server: Server, *words: str) -> Ran:
    """Run a command beside the server: in this process, since to start one takes a second."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(server.folder, **server.settings), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        return Ran(main(words), out.getvalue(), err.getvalue())


def said(server: Server, *words: str) -> str:
    """The one line that a command prints when it has done what it was asked for."""
    done = command(server, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    return done.stdout.rstrip("\n")


def trail(server: Server, size: int) -> list[list[str]]:
    """The newest rows of the trail, cut into their columns."""
    shown = command(server, "audit", "--limit", str(size))
    assert (shown.returncode, shown.stderr) == (0, "")
    return [re.split(r" {2,}", line) for line in shown.stdout.splitlines()]


def enter(server: Server, account_id: str) -> None:
    with server.client() as client:
        assert client.get("/me", headers=server.bearer(account_id)).status_code == 200


def player(server: Server, account_id: str) -> Any:
    with server.client() as client:
        answer = client.get(f"/players/{account_id}")
    return answer.json() if answer.is_success else answer.status_code


@contextmanager
def watching(server: Server) -> Iterator[Any]:
    """What an open stream shows of a player: waits for a frame with the score, or with None."""
    with events(server) as stream:
        next_snapshot(stream)

        def comes(account_id: str, score: int | None) -> bool:
            while True:
                users = next_snapshot(stream)["users"]
                found = {user["userId"]: user["score"] for user in users}
                if found.get(account_id) == score:
                    return True

        yield comes


def test_adjusting_reaches_the_board_and_an_open_stream(running: Server) -> None:
    enter(running, "ada/1")
    with watching(running) as comes:
        words = ["adjust", "--user", "ada/1", "--points"]
        apart = subprocess.run(
            [sys.executable, "-m", "scoreboard", *words, "900", "--reason", "a prize"],
            env=environment(running.folder, **running.settings),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert apart.stderr == ""
        assert re.fullmatch(r"ada/1: \+900 points, now 900 \(completion \d+\)\n", apart.stdout)
        assert comes("ada/1", 900)
        line = said(running, *words, "-5", "--reason", "counted twice")
        completion = line.partition("completion ")[2].rstrip(")")
        assert line == f"ada/1: -5 points, now 895 (completion {completion})"
        assert comes("ada/1", 895)
    for board in ("all-time", "daily", "weekly"):
        assert player(running, f"ada/1?board={board}")["score"] == 895
    (newest,) = trail(running, 1)
    assert TIME.fullmatch(newest[0])
    assert newest[1:] == [
        ME,
        "adjustment",
        "ada/1",
        f"-5 points, completion {completion}",
        "counted twice",
    ]


def test_an_adjustment_with_its_key_counts_once(running: Server) -> None:
    enter(running, "keyed")
    words = ["adjust", "--user", "keyed", "--reason", "r", "--key", "k-1", "--points"]
    first, again = said(running, *words, "3"), said(running, *words, "3")
    assert first.startswith("keyed: +3 points, now 3 (completion ")
    assert again == first.replace("now", "then").replace(")", ", recorded before)")
    refused = command(running, *words, "4")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "scoreboard: This Idempotency-Key was used for another request.\n"
    eventually(lambda: player(running, "keyed")["score"] == 3)


def test_a_void_takes_back_what_a_completion_gave_once(running: Server) -> None:
    enter(running, "cheat")
    said(running, "adjust", "--user", "cheat", "--points", "1000", "--reason", "r")
    with watching(running) as comes:
        completed = running.complete("cheat", "join-the-game").json()
        assert comes("cheat", 1025)
        words = ["void", completed["completionId"], "--reason"]
        line = said(running, *words, "a bot")
        assert re.fullmatch(r"cheat: -25 points, now 1000 \(completion \d+\)", line)
        assert comes("cheat", 1000)
    before = said(running, *words, "for another reason")
    assert before == line.replace("now", "then").replace(")", ", recorded before)")
    newest, *_ = trail(running, 1)
    assert newest[1:4] == [ME, "void", "cheat"]
    assert newest[4].endswith(f", voids {completed['completionId']}")
    assert newest[5] == "a bot"
    assert running.complete("cheat", "join-the-game").status_code == 409, "the slot stays used"


def test_hiding_takes_a_player_off_the_board_and_the_stream_and_back(running: Server) -> None:
    enter(running, "bot")
    said(running, "adjust", "--user", "bot", "--points", "800", "--reason", "r")
    eventually(lambda: player(running, "bot")["rank"])  # on the board, not in the database alone
    with watching(running) as comes:
        line = said(running, "hide", "--user", "bot", "--reason", "plays at night")
        assert line == "bot: hidden, with 800 points"
        assert comes("bot", None)
        assert player(running, "bot") == 404
        assert running.complete("bot", "join-the-game").json()["newScore"] == 825
        line = said(running, "unhide", "--user", "bot", "--reason", "no bot")
        assert line == "bot: shown again, with 825 points"
        assert comes("bot", 825)
    assert [row[1:] for row in trail(running, 2)] == [
        [ME, "unhide", "bot", "-", "no bot"],
        [ME, "hide", "bot", "-", "plays at night"],
    ]


def test_actions_are_loaded_with_their_limits_listed_and_retired(
    running: Server, tmp_path: Path
) -> None:
    action = {"actionId": "life", "name": "Life", "points": 3, "repeat": "unlimited"}
    limits = {"cooldownSeconds": 1000, "dailyLimit": 5}
    file = tmp_path / "actions.json"
    file.write_text(json.dumps({"actions": [{**action, **limits}]}))
    assert said(running, "actions", "load", str(file)) == "loaded 1 action"
    listed = command(running, "actions", "list").stdout.splitlines()
    told = ["life", "3", "unlimited", "Life", "(cooldownSeconds 1000, dailyLimit 5)"]
    assert re.split(r" {2,}", listed[-1]) == told
    assert listed[0].endswith("  Join the game")
    receipt = running.complete("lives", "life", "k").json()
    assert running.complete("lives", "life", "k2").json()["code"] == "TOO_SOON"
    assert said(running, "actions", "retire", "life", "--reason", "over") == "retired life"
    assert said(running, "actions", "retire", "life") == "retired life"
    assert running.complete("lives", "life", "k2").json()["code"] == "INVALID_ACTION"
    assert running.complete("lives", "life", "k").json() == receipt, "the past stays"
    assert "life" not in command(running, "actions", "list").stdout
    retired, created = trail(running, 2)
    assert retired[1:] == [ME, "action_retired", "life", "-", "over"]
    what = "points 3, repeat unlimited, cooldownSeconds 1000, dailyLimit 5"
    assert created[1:] == [ME, "action_created", "life", what]


def test_a_reason_or_a_name_cannot_write_to_the_terminal(running: Server) -> None:
    hostile = "\x1b[2J\x07\r\n2026-11-21T00:00:00.000Z  boss  \u202etoor\x9b0m"
    user = "evil\x1b]0;x\x07"
    with running.client() as client:
        # Its name is made from the id, which is no name.
        name = client.get("/me", headers=running.bearer(user)).json()["username"]
        staff = running.bearer("boss\n\x1b[1m", scope="admin")
        body = {"userId": user, "points": 2, "reason": hostile}
        assert client.post("/admin/adjustments", json=body, headers=staff).is_success
    assert said(running, "hide", "--user", user, "--reason", hostile).startswith(name)
    shown = command(running, "audit", "--limit", "2").stdout
    assert shown.replace("\n", "").isprintable()
    assert len(shown.splitlines()) == 2
    assert shown.count("\\x1b[2J\\x07\\r\\n2026-11-21T00:00:00.000Z  boss  \\u202etoor\\x9b0m") == 2
    assert "  boss\\n\\x1b[1m  " in shown


NO_PLAYER = "There is no such player."
NO_ROW = "There is no completion of this id that can be voided."
POINTS = "points: must be a whole number from -1000000 to 1000000"
REASON = "reason: must have 1-500 characters"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["adjust", "--user", "nobody", "--points", "1", "--reason", "r"], NO_PLAYER),
        (["hide", "--user", "nobody", "--reason", "r"], NO_PLAYER),
        (["unhide", "--user", "nobody", "--reason", "r"], NO_PLAYER),
        (["hide", "--user", "", "--reason", "r"], "user: must have 1-255 characters"),
        (["hide", "--user", "\udcff", "--reason", "r"], "user: is not UTF-8 text"),
        (["adjust", "--user", "ann", "--points", "0", "--reason", "r"], "points: must not be 0"),
        (["adjust", "--user", "ann", "--points", "1000001", "--reason", "r"], POINTS),
        (["adjust", "--user", "ann", "--points", "-1000001", "--reason", "r"], POINTS),
        (["adjust", "--user", "ann", "--points", "1.5", "--reason", "r"], POINTS),
        (["adjust", "--user", "ann", "--points", "9" * 5000, "--reason", "r"], POINTS),
        (["adjust", "--user", "ann", "--points", "1", "--reason", ""], REASON),
        (["adjust", "--user", "ann", "--points", "1", "--reason", "x" * 501], REASON),
        (["void", "1", "--reason", ""], REASON),
        (["void", "1", "--reason", " \u200b"], "reason: must have a character that can be seen"),
        (["void", "1", "--reason", "\udcff"], "reason: is not UTF-8 text"),
        (
            ["adjust", "--user", "ann", "--points", "1", "--reason", "r", "--key", "a b"],
            "Idempotency-Key: must be 1-255 visible ASCII characters, once",
        ),
        (["void", "999999999", "--reason", "r"], NO_ROW),
        (["void", "9" * 30, "--reason", "r"], NO_ROW),
        (["void", "1x", "--reason", "r"], NO_ROW),
        (["actions", "retire", "never"], "There is no such action."),
        (["actions", "retire", "NOT A SLUG"], "There is no such action."),
        (["actions", "retire", "join-the-game", "--reason", ""], REASON),
    ],
)
def test_what_is_refused_says_why_in_one_line_and_leaves_nothing(
    running: Server, words: list[str], why: str
) -> None:
    enter(running, "ann")
    before = trail(running, 1)
    assert command(running, *words) == (1, "", f"scoreboard: {why}\n")
    assert trail(running, 1) == before
    assert player(running, "ann")["score"] == 0


def test_a_void_of_a_void_is_refused(running: Server) -> None:
    enter(running, "twice")
    line = said(running, "adjust", "--user", "twice", "--points", "9", "--reason", "r")
    line = said(running, "void", line.partition("completion ")[2].rstrip(")"), "--reason", "r")
    words = ["void", line.partition("completion ")[2].rstrip(")"), "--reason", "r"]
    assert command(running, *words) == (1, "", f"scoreboard: {NO_ROW}\n")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "10001", "00000000019999999999", "١"])
def test_the_number_of_rows_is_bounded(limit: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["audit", "--limit", limit])
    assert refused.value.code == 2


def test_nothing_changed_yet_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'board.db'}")
    assert main(["migrate"]) == 0
    capsys.readouterr()
    assert main(["audit"]) == 0
    assert capsys.readouterr() == ("", "nothing was changed yet\n")
