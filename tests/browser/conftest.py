"""A real server for each test, and a Chromium that looks at its page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

# As root Chromium has no sandbox to run in, and nothing here is to call home.
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`violation: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Player:
    """Somebody who scores from elsewhere, over the API."""

    def __init__(self, url: str, name: str) -> None:
        self._api = f"{url}/api/v1"
        answer = httpx2.post(
            f"{self._api}/auth/register", json={"username": name, "password": uuid.uuid4().hex}
        )
        self._token = answer.raise_for_status().json()["accessToken"]

    def solve_puzzles(self, count: int) -> None:
        """Score five points, `count` times."""
        for _ in range(count):
            httpx2.post(
                f"{self._api}/actions/solve-a-puzzle/complete",
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Idempotency-Key": uuid.uuid4().hex,
                },
            ).raise_for_status()


class Server:
    """`scoreboard serve` in a process of its own. It can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""

    def start(self, *options: str, **settings: str) -> None:
        """Start on the port of the last time, if there was one, and wait until it listens."""
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scoreboard", "serve", *options],
                env=self._env(settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert " at http://" in said, (self._folder / "server.log").read_text()
        self.url = said.split(" at ")[1].strip()
        self._port = self.url.rsplit(":", 1)[1]

    def migrate(self) -> None:
        """Lay out the database, as `serve` without `--demo` expects it."""
        subprocess.run(
            [sys.executable, "-m", "scoreboard", "migrate"],
            env=self._env({}),
            check=True,
            capture_output=True,
            timeout=30,
        )

    def stop(self) -> None:
        """Stop as a platform does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def player(self, name: str, puzzles: int = 0) -> Player:
        """A new player, who has solved some puzzles."""
        player = Player(self.url, name)
        player.solve_puzzles(puzzles)
        return player

    def _env(self, settings: dict[str, str]) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SCOREBOARD_") and name not in {"REDIS_URL", "WEB_CONCURRENCY"}
        }
        return {
            **inherited,
            "DATABASE_URL": f"sqlite:///{self._folder}/scoreboard.db",
            "HOST": "127.0.0.1",
            "PORT": self._port,
            "SCOREBOARD_RATE_LIMIT": "1000/minute",
            "SCOREBOARD_AUTH_RATE_LIMIT": "1000/minute",
            **settings,
        }


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each looks at the page in a context of its own."""
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=CHROMIUM_OPTIONS,
        )
        yield browser
        browser.close()


@pytest.fixture
def idle_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test starts itself."""
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def server(idle_server: Server) -> Server:
    """A running demo."""
    idle_server.start("--demo")
    return idle_server


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has complained of, requests that failed included."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """An empty page. At the end nothing on it may have thrown or broken the policy."""

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    context = browser.new_context()
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"thrown: {error}"))
    yield page
    context.close()
    # Many tests have requests fail on purpose, and the browser says so by itself.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
