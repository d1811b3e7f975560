"""The Python examples of docs/integrate.md, run as they stand there."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.service.conftest import SIGNING
from tests.support.examples import examples
from tests.support.programs import running
from tests.support.server import PATIENCE, SECRET, Server

TOKEN, WATCH, INCREMENT = examples("integrate.md", "python")


def run(code: str, **environment: str) -> str:
    """What an example prints."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_token_that_an_app_signs_creates_the_account(trusting: Server) -> None:
    token = run(TOKEN, SCOREBOARD_JWT_SECRET=SECRET)
    with trusting.client(headers={"Authorization": f"Bearer {token}"}) as client:
        me = client.get("/me").json()
    assert (me["userId"], me["username"]) == ("user-42", "Ada")


def test_a_backend_gives_points_that_it_signs(trusting: Server) -> None:
    with trusting.client() as client:
        client.get("/me", headers=trusting.bearer("user-42", username="Ada"))
        before = client.get("/players/user-42").json()["score"]
    printed = run(
        INCREMENT,
        SCOREBOARD_API=f"{trusting.url}/api/v1",
        SIGNING_SECRET=SIGNING[0],
        BACKEND_TOKEN=trusting.tokens.issue("backend", seconds=60, scope="scores:write"),
    )
    assert printed == f"200 {before + 5}"


def test_the_board_is_watched(server: Server) -> None:
    server.complete("watched", "join-the-game")
    environment = {**os.environ, "SCOREBOARD_API": f"{server.url}/api/v1", "PYTHONUNBUFFERED": "1"}
    with running(
        [sys.executable, "-c", WATCH], env=environment, stdout=subprocess.PIPE
    ) as watching:
        assert watching.stdout
        while "'watched', 25" not in (line := watching.stdout.readline()):
            assert line, "it has ended"
