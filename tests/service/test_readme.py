"""Every command of the README, in its order, each with what the ones before it left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import running
from tests.support.server import PATIENCE, Server, environment

ROOT = Path(__file__).resolve().parents[2]
SETUP, DEPLOYED, THREE_CALLS, CORRECTIONS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
# No program of the README may fail, also not in the middle of a pipe. It may be run line by line.
STRICT = "set -eu -o pipefail\n"


def shell(folder: Path) -> dict[str, str]:
    """The environment of a newcomer's shell in the folder of a checkout: no settings."""
    (folder / ".venv").symlink_to(sys.prefix)
    programs = folder / "programs"
    programs.mkdir()
    curl = programs / "curl"
    curl.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.support.curl "$@"\n'
    )
    curl.chmod(0o755)
    unset = environment(folder, DATABASE_URL="", SCOREBOARD_JWT_SECRET="")
    return {**unset, "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_commands_to_set_up_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [line.split("#")[0].split() for line in SETUP.splitlines()]
    assert commands == [["make", "run"], ["make", "test"]]
    assert "-m scoreboard serve --demo" in makefile
    assert re.search(r"^test: .*\n\t.* pytest", makefile, re.MULTILINE)


def test_the_calls_and_the_corrections_work_one_after_the_other(tmp_path: Path) -> None:
    env = shell(tmp_path)
    database = f"sqlite:///{tmp_path}/scoreboard.db"  # the default, from the folder of the shell
    with Server(tmp_path, DATABASE_URL=database, SCOREBOARD_JWT_SECRET="") as server:
        api = "API=http://127.0.0.1:8000/api/v1"
        assert api in THREE_CALLS
        script = (THREE_CALLS + CORRECTIONS).replace(api, f"API={server.url}/api/v1")
        ended = subprocess.run(
            ["bash", "-c", STRICT + script],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        with server.client() as client:
            (ada,) = client.get("/leaderboard").json()["users"]
    assert (ada["username"], ada["score"]) == ("Ada", 5)
    for expected in (
        '"pointsEarned":5,"newScore":5',  # the completion
        "event: leaderboard_update",
        "a bot played",
        '"newScore":5',  # -5 + 10 of the corrections, and -5 over HTTP
    ):
        assert expected in ended.stdout
    assert '"code"' not in ended.stdout, "a call was refused"


@pytest.mark.parametrize("words", ["DATABASE_URL", "REDIS_URL"])
def test_the_settings_of_many_processes_are_explained(words: str) -> None:
    assert words in DEPLOYED
    assert f"{words}=" in (ROOT / ".env.example").read_text("utf-8")


def test_it_is_deployed_on_many_processes(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    script = DEPLOYED.replace("postgresql://…", postgres_url).replace("redis://…", redis_url)
    assert script.count("…") == 0
    script = script.replace("$(openssl rand -hex 32)", "f" * 64)  # not every machine has openssl
    env = {**shell(tmp_path), "PORT": "0"}
    with running(
        ["bash", "-c", STRICT + script], cwd=tmp_path, env=env, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        while not re.match(r"Scoreboard .* at http://127\.0\.0\.1:\d+$", process.stdout.readline()):
            assert process.poll() is None
