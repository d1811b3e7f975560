"""The command line, run as a person runs it."""

from __future__ import annotations

import codecs
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scoreboard.cli import parser
from scoreboard.identity import jwks
from scoreboard.identity.claims import Principal
from scoreboard.identity.tokens import Tokens
from tests.support import keys
from tests.support.backends import Redis
from tests.support.programs import running
from tests.support.server import SECRET, Server, environment, eventually

COMMAND = [sys.executable, "-m", "scoreboard"]


def run(
    folder: Path, *words: str, text: str | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(folder, **settings),
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


_parsers: Any = parser()._subparsers
NAMES = list(_parsers._group_actions[0].choices)


def test_the_commands_are_these() -> None:
    daily = ["serve", "migrate", "actions", "token", "watch", "simulate", "rebuild"]
    assert sorted(NAMES) == sorted([*daily, "adjust", "void", "hide", "unhide", "audit"])


@pytest.mark.parametrize(
    "words",
    [[], *([name] for name in NAMES), ["actions", "load"], ["actions", "retire"]],
    ids=" ".join,
)
def test_help_teaches(tmp_path: Path, words: list[str]) -> None:
    shown = run(tmp_path, *words, "--help", COLUMNS="90")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: scoreboard{''.join(' ' + word for word in words)}")
    assert len(shown.stdout.splitlines()) > 5
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_says_which_there_are(tmp_path: Path) -> None:
    refused = run(tmp_path, "sing")
    assert refused.returncode == 2
    for name in NAMES:
        assert name in refused.stderr


def test_a_token_is_printed_and_nothing_else(server: Server, tmp_path: Path) -> None:
    words = ["--user", "ada/1", "--username", "Ada One", "--scope", "admin x", "--minutes", "5"]
    printed = run(tmp_path, "token", *words)
    assert printed.stderr == ""
    assert printed.stdout.count("\n") == 1
    token = printed.stdout.strip()
    wanted = Principal("ada/1", "Ada One", frozenset({"admin", "x"}))
    assert server.tokens.verify(token) == wanted
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 300


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    kept = tmp_path / "board.db.secret"
    secrets = []
    for _ in range(2):
        with Server(tmp_path, SCOREBOARD_JWT_SECRET=""):
            assert run(tmp_path, "token", "--user", "ada", SCOREBOARD_JWT_SECRET="").stderr == ""
        secrets.append(kept.read_bytes())
    assert secrets[0] == secrets[1]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len(secrets[0]) >= 32
    kept.write_text("short")
    refused = run(tmp_path, "token", "--user", "ada", SCOREBOARD_JWT_SECRET="")
    assert refused.returncode == 2
    assert refused.stderr.startswith("scoreboard: SCOREBOARD_JWT_SECRET: ")


def test_actions_are_loaded_listed_and_changed(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    document = {"actions": [{"actionId": "wave", "name": "Wave", "points": 3, "repeat": "once"}]}
    file = tmp_path / "actions.json"
    file.write_text(json.dumps(document))
    assert run(tmp_path, "actions", "load", str(file)).stdout == "loaded 1 action\n"
    document["actions"][0]["points"] = 4
    assert run(tmp_path, "actions", "load", "-", text=json.dumps(document)).returncode == 0
    assert run(tmp_path, "actions", "list").stdout.split() == ["wave", "4", "once", "Wave"]


def test_a_file_that_an_editor_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    document = {"actions": [{"actionId": "wave", "name": "Wäve", "points": 3, "repeat": "once"}]}
    file = tmp_path / "actions.json"
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_text(json.dumps(document, ensure_ascii=False), encoding)
        assert run(tmp_path, "actions", "load", str(file)).stderr == ""
    with_mark = file.read_bytes().decode("utf-16").encode("utf-8-sig").decode()
    assert run(tmp_path, "actions", "load", "-", text=with_mark).stderr == ""
    assert run(tmp_path, "actions", "list").stdout.split() == ["wave", "3", "once", "Wäve"]

    (tmp_path / "board.db.secret").write_text(f"{SECRET}\r\n", "utf-8-sig")
    token = run(tmp_path, "token", "--user", "ada", SCOREBOARD_JWT_SECRET="").stdout.strip()
    assert Tokens([SECRET.encode()]).verify(token).account_id == "ada"

    assert len(jwks.parse(codecs.BOM_UTF8 + keys.document(keys.rsa()))) == 1


GOOD = '{"actionId": "a", "name": "a", "points": 1, "repeat": "once"}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        (f'{{"actions": [{GOOD}, 7]}}', "actions[1] is not an object"),
        ("[" * 5000, "recursion"),
    ],
)
def test_a_bad_actions_file_changes_nothing(tmp_path: Path, text: str, why: str) -> None:
    run(tmp_path, "migrate")
    refused = run(tmp_path, "actions", "load", "-", text=text)
    assert refused.returncode == 1
    assert why in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "no actions yet" in run(tmp_path, "actions", "list").stderr


def test_a_database_that_another_holds_fails_in_one_line(tmp_path: Path) -> None:
    run(tmp_path, "migrate")
    connection = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    failed = run(tmp_path, "rebuild")
    connection.close()
    assert failed.returncode in (1, 2)
    assert failed.stderr.splitlines()[-1].startswith("scoreboard: ")
    assert "Traceback" not in failed.stderr


def test_migrating_twice_takes_each_step_once(tmp_path: Path) -> None:
    first, again = (run(tmp_path, "migrate").stdout.splitlines() for _ in range(2))
    assert first[0] == "took step 0001 start"
    assert again == first[-1:]


def test_migrating_twice_at_once_takes_each_step_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [*COMMAND, "migrate"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    printed = "".join(process.communicate(timeout=30)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * 4
    assert printed.count("took step 0001") == 1


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"PORT": "eighty"}, "PORT"),
        ({"HOST": "no such host.invalid"}, "HOST"),
        ({"HOST": "192.0.2.1"}, "HOST"),
        ({"SCOREBOARD_BOARDS": "hourly"}, "SCOREBOARD_BOARDS"),
        ({"SCOREBOARD_JWT_SECRET": "short"}, "SCOREBOARD_JWT_SECRET"),
        ({"SCOREBOARD_MAX_POINTS": "3"}, "SCOREBOARD_MAX_POINTS"),
        ({"DATABASE_URL": "sqlite:////no/such/folder/board.db"}, "DATABASE_URL"),
        ({"WEB_CONCURRENCY": "4"}, "WEB_CONCURRENCY"),
        ({"REDIS_URL": "redis://127.0.0.1"}, "REDIS_URL"),
        ({"SCOREBOARD_RATE_LIMIT": "often"}, "SCOREBOARD_RATE_LIMIT"),
        ({"SCOREBOARD_SIGNING_SECRETS": "x"}, "SCOREBOARD_SIGNING_SECRETS"),
        ({"SCOREBOARD_RATE_LIMTI": "10/minute"}, "SCOREBOARD_RATE_LIMTI"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    tmp_path: Path, settings: dict[str, str], variable: str
) -> None:
    refused = run(tmp_path, "serve", "--demo", **settings)
    assert refused.returncode == 2
    line = refused.stderr.splitlines()[-1]
    assert line.startswith(f"scoreboard: {variable}: ")
    assert "Traceback" not in refused.stderr


def test_a_redis_that_is_a_node_of_a_cluster_stops_the_start(
    tmp_path: Path, postgres_url: str
) -> None:
    """It would answer for a part of the keys: `ok` with every rank null."""
    with Redis(options={"cluster-enabled": "yes"}) as node:
        env = {"DATABASE_URL": postgres_url, "REDIS_URL": node.url}
        run(tmp_path, "migrate", **env)
        refused = run(tmp_path, "serve", **env)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("scoreboard: REDIS_URL: ")
    assert "node of a cluster" in line


def test_the_host_that_compilers_of_conda_set_is_no_address(tmp_path: Path) -> None:
    with Server(tmp_path, HOST="x86_64-conda-linux-gnu") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert "unset HOST" in server.logged()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(tmp_path, "serve", "--demo", PORT=str(taken.getsockname()[1]))
    assert refused.stderr.startswith("scoreboard: PORT: ")


def test_serving_an_older_or_a_newer_schema_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve")
    assert refused.returncode == 2
    assert "scoreboard migrate" in refused.stderr
    run(tmp_path, "migrate")
    with sqlite3.connect(tmp_path / "board.db") as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 0)")
    connection.close()
    assert "newer" in run(tmp_path, "serve").stderr
    # A platform that rolls back releases with the older code: it must not go on to run it.
    rolled_back = run(tmp_path, "migrate")
    assert rolled_back.returncode == 2
    assert "newer" in rolled_back.stderr


def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        refused = run(tmp_path, "serve", "--demo")
        assert refused.returncode == 2
        assert "another server runs on" in refused.stderr
        assert server.complete("ada", "join-the-game").status_code == 200
        server.kill()
        server.start()


def test_a_second_server_over_a_link_is_refused(tmp_path: Path) -> None:
    """And it is the same database in all else: tokens are signed with the same secret."""
    link = tmp_path / "link.db"
    link.symlink_to("board.db")
    unset = {"SCOREBOARD_JWT_SECRET": ""}
    linked = {"DATABASE_URL": f"sqlite:///{link}", **unset}
    with Server(tmp_path, **unset) as server, server.client() as client:
        refused = run(tmp_path, "serve", **linked)
        assert refused.returncode == 2
        assert f"another server runs on {link}" in refused.stderr
        token = run(tmp_path, "token", "--user", "ada", **linked).stdout.strip()
        me = client.get("/me", headers={"Authorization": f"Bearer {token}"})
        assert me.json()["userId"] == "ada"


def test_serve_alone_has_no_demo(tmp_path: Path) -> None:
    """And `scoreboard` alone is `serve`."""
    run(tmp_path, "migrate")
    with running(COMMAND, env=environment(tmp_path), stdout=subprocess.PIPE) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        server = Server(tmp_path)
        server.url = url
        with server.client() as client:
            assert client.get("/actions").json() == {"actions": []}
            assert 'data-demo="no"' in client.get(f"{url}/").text
        process.terminate()
        server.log.close()


def test_rebuild_mends_a_running_server(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client:
        server.complete("ada", "join-the-game")
        connection = sqlite3.connect(tmp_path / "board.db")
        connection.execute("UPDATE scores SET total = 9999, version = version + 1")
        connection.execute("INSERT INTO rebuilds (finished_at_ms) VALUES (0)")
        connection.commit()
        connection.close()
        eventually(lambda: score(client) == 9999)
        assert run(tmp_path, "rebuild").stdout == "rebuilt: 3 score rows had to change\n"
        assert run(tmp_path, "rebuild").stdout == "rebuilt: 0 score rows had to change\n"
        eventually(lambda: score(client) == 25)


def score(client: httpx2.Client) -> int:
    return int(client.get("/leaderboard").json()["users"][0]["score"])


def test_simulate_plays_and_sums_up(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client:
        words = ["--accounts", "20", "--rate", "100", "--seconds", "1"]
        played = run(tmp_path, "simulate", "--url", server.url, *words)
        assert played.returncode == 0, played.stderr
        recorded = int(played.stdout.split(" recorded")[0].split()[-1])
        assert "latency p50" in played.stdout
        users = client.get("/leaderboard?limit=100").json()["users"]
        assert len(users) == 20
        histories = [
            client.get("/me/completions", headers=server.bearer(user["userId"])).json()["items"]
            for user in users
        ]
        assert sum(map(len, histories)) == recorded


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "http://", "http://h:99999", "ftp://h"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    for command in ("watch", "simulate"):
        refused = run(tmp_path, command, "--url", url)
        assert refused.returncode == 2
        assert "must look like http://127.0.0.1:8000" in refused.stderr


def test_simulate_starts_what_must_be_started(tmp_path: Path) -> None:
    quiz = {"actionId": "quiz", "name": "Quiz", "points": 5, "repeat": "unlimited"}
    with Server(tmp_path) as server:
        for action in ("join-the-game", "daily-check-in", "solve-a-puzzle"):
            assert run(tmp_path, "actions", "retire", action).returncode == 0
        listed = json.dumps({"actions": [{**quiz, "minElapsedSeconds": 1}]})
        assert run(tmp_path, "actions", "load", "-", text=listed).returncode == 0
        words = ["--accounts", "20", "--rate", "5", "--seconds", "1"]
        played = run(tmp_path, "simulate", "--url", server.url, *words)
        assert played.returncode == 0, played.stderr
        assert "5  recorded" in played.stdout


def test_simulate_with_a_wrong_secret_says_what_to_set(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        wrong = {"SCOREBOARD_JWT_SECRET": "x" * 32}
        failed = run(tmp_path, "simulate", "--url", server.url, **wrong)
    assert (failed.returncode, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert "SCOREBOARD_JWT_SECRET" in line


EXISTING = [
    ["serve"],
    ["actions", "list"],
    ["actions", "retire", "a"],
    ["audit"],
    ["adjust", "--user", "ada", "--points", "1", "--reason", "r"],
    ["void", "1", "--reason", "r"],
    ["hide", "--user", "ada", "--reason", "r"],
    ["unhide", "--user", "ada", "--reason", "r"],
    ["rebuild"],
    ["token", "--user", "ada"],
    ["simulate", "--url", "http://127.0.0.1:9"],
]


@pytest.mark.parametrize("words", EXISTING, ids=lambda words: words[0])
def test_a_command_that_needs_a_database_makes_none(tmp_path: Path, words: list[str]) -> None:
    """In the wrong folder it would work on an empty one, or sign with a secret of its own."""
    secret = {} if words[0] not in ("token", "simulate") else {"SCOREBOARD_JWT_SECRET": ""}
    refused = run(tmp_path, *words, **secret)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert str(tmp_path) in line
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_a_demo_action_that_was_retired_or_changed_stays_so(tmp_path: Path) -> None:
    with Server(tmp_path):
        assert run(tmp_path, "actions", "retire", "join-the-game").returncode == 0
        puzzle = {"actionId": "solve-a-puzzle", "name": "Mine", "points": 7, "repeat": "unlimited"}
        run(tmp_path, "actions", "load", "-", text=json.dumps({"actions": [puzzle]}))
    with Server(tmp_path) as server, server.client() as client:
        listed = client.get("/actions").json()["actions"]
    assert {one["actionId"]: one["points"] for one in listed} == {
        "daily-check-in": 10,
        "solve-a-puzzle": 7,
    }


def test_simulate_without_a_server_fails_in_one_line(tmp_path: Path) -> None:
    failed = run(tmp_path, "simulate", "--url", "http://127.0.0.1:9")
    assert failed.returncode == 1
    assert failed.stderr.startswith("scoreboard: http://127.0.0.1:9: ")
    assert "Traceback" not in failed.stderr


def test_watch_prints_a_line_for_each_change_and_comes_back(tmp_path: Path) -> None:
    with (
        Server(tmp_path) as server,
        running(
            [*COMMAND, "watch", "--url", server.url, "--board", "daily"],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as watch,
    ):
        assert watch.stdout
        assert watch.stdout.readline().endswith(" daily: nobody yet\n")
        server.complete("Ada", "join-the-game")
        assert watch.stdout.readline().endswith(" daily: 1 Ada 25\n")
        server.stop()
        server.start()
        server.complete("Ada", "daily-check-in")
        assert watch.stdout.readline().endswith(" daily: 1 Ada 35\n")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0


def test_watch_draws_a_board_on_a_terminal(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    with (
        Server(tmp_path) as server,
        running(
            [*COMMAND, "watch", "--url", server.url],
            env=environment(tmp_path, TERM="xterm"),
            stdout=terminal,
        ) as watch,
    ):
        os.close(terminal)
        server.complete("ada", "join-the-game")
        server.complete("李雷", "daily-check-in", key="k")
        drawn = b""
        end = time.monotonic() + 20
        while "李雷".encode() not in drawn or b"live" not in drawn:
            assert time.monotonic() < end
            drawn += os.read(main, 65_536)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
    os.close(main)


@pytest.mark.parametrize("words", ["token --user ada", "watch --url {url}"])
def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path, words: str) -> None:
    with Server(tmp_path, SCOREBOARD_RATE_LIMIT="1000000/minute") as server:
        pipeline = f"'{sys.executable}' -m scoreboard {words.format(url=server.url)} | head -c 1"
        with running(
            ["/bin/sh", "-c", pipeline], env=environment(tmp_path), stderr=subprocess.PIPE
        ) as piped:

            def has_ended() -> bool:
                server.complete("ada", key=str(time.monotonic_ns()))
                return piped.poll() is not None

            eventually(has_ended)
            assert piped.stderr
            assert "Error" not in piped.stderr.read()


def test_the_secret_is_in_no_output(tmp_path: Path) -> None:
    with Server(tmp_path, SCOREBOARD_RATE_LIMIT="100/minute") as server:
        server.complete("ada", "join-the-game")
        server.complete("ada", "no-such-action")
        assert SECRET not in server.logged()
        assert "eyJ" not in server.logged()
