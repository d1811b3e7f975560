"""The JavaScript examples of docs/integrate.md for Node.js, run as they stand there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.examples import examples
from tests.support.server import PATIENCE, SECRET, Server

TOKEN, COMPLETE, _watch = examples("integrate.md", "js")


def run(folder: Path, code: str, **environment: str) -> str:
    """What Node.js prints for a module."""
    module = folder / "example.mjs"
    module.write_text(code)
    node = shutil.which("node") or shutil.which("nodejs")
    assert node, "apt-get install nodejs"
    ended = subprocess.run(
        [node, module],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_token_that_node_signs_creates_the_account(tmp_path: Path) -> None:
    token = run(tmp_path, TOKEN, SCOREBOARD_JWT_SECRET=SECRET)
    with (
        Server(tmp_path) as server,
        server.client(headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        me = client.get("/me").json()
    assert (me["userId"], me["username"]) == ("user-42", "Ada")


class Failing(BaseHTTPRequestHandler):
    """Refuses twice, loses an answer once, then answers; and notes the keys."""

    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.keys.append(self.headers["Idempotency-Key"])
        turn = len(self.keys)
        if turn == 3:
            return  # closes without an answer
        status = {1: 503, 2: 429}.get(turn, 200)
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    """The address of an API that fails three times."""
    Failing.keys.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_completion_is_retried_with_the_same_key(tmp_path: Path, failing: str) -> None:
    call = f'\nconsole.log((await complete("{failing}", "a", "token")).status);'
    assert run(tmp_path, COMPLETE + call) == "200"
    assert len(Failing.keys) == 4
    assert len(set(Failing.keys)) == 1


def test_a_completion_counts_once_and_a_refusal_is_final(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        token = server.tokens.issue("ada", seconds=60, username="Ada")
        calls = f"""
for (const action of ["join-the-game", "join-the-game", "no-such-action"]) {{
  const answer = await complete("{server.url}/api/v1", action, "{token}", action);
  console.log(JSON.stringify([answer.status, (await answer.json()).newScore ?? null]));
}}
"""
        answers = [json.loads(line) for line in run(tmp_path, COMPLETE + calls).splitlines()]
    assert answers == [[200, 25], [200, 25], [404, None]]
