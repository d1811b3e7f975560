"""A row that stays locked, under load: its player gets 503s, and nobody else notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.backends import Postgres
from tests.support.server import PATIENCE, Server, eventually
from tests.support.site import SETTINGS

PLAYERS = 8
SPELL = 3.0  # seconds of each measurement
RETRY = 0.5  # seconds between two tries of the player who is stuck
SLOWEST = 0.5  # seconds that 99 of 100 answers to the others stay under

HELD = {
    "the account": "SELECT 1 FROM accounts WHERE account_id = 'stuck' FOR UPDATE",
    "a score": "UPDATE scores SET total = total WHERE account_id = 'stuck'",
}


class Player(threading.Thread):
    """Completes an action again and again, and remembers how long each took."""

    def __init__(self, server: Server, account_id: str) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.account_id = account_id
        self.key = f"{id(self)}"
        self.took: list[float] = []
        self.error: BaseException | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        headers = self.server.bearer(self.account_id, seconds=3600)
        try:
            with self.server.client() as client:
                while not self.stopped.is_set():
                    began = time.monotonic()
                    answer = self.complete(client, headers, f"{self.key}-{len(self.took)}")
                    assert answer.status_code == 200, answer.text
                    self.took.append(time.monotonic() - began)
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            self.error = error

    def complete(self, client: httpx2.Client, headers: dict[str, str], key: str) -> httpx2.Response:
        """One completion."""
        return client.post(
            "/actions/solve-a-puzzle/complete", headers={**headers, "Idempotency-Key": key}
        )


class Stuck(Player):
    """Tries twice a second, whether the last try was answered or not."""

    def __init__(self, server: Server, account_id: str) -> None:
        super().__init__(server, account_id)
        self.answers: list[httpx2.Response] = []
        self.tries: list[threading.Thread] = []

    def run(self) -> None:
        while not self.stopped.wait(RETRY):
            self.tries.append(threading.Thread(target=self.try_once, daemon=True))
            self.tries[-1].start()

    def try_once(self) -> None:
        """Adds what it is told."""
        headers = self.server.bearer(self.account_id, seconds=3600)
        with self.server.client() as client:
            self.answers.append(self.complete(client, headers, self.key))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Postgres]]:
    """A server whose database writes to the disk."""
    with (
        Postgres(fsync=True) as postgres,
        Server(tmp_path_factory.mktemp("server"), DATABASE_URL=postgres.url, **SETTINGS) as server,
    ):
        yield server, postgres


def rate(players: list[Player]) -> tuple[float, float]:
    """What all of them do in a spell: completions a second, and the 99th of 100 durations."""
    before = [len(player.took) for player in players]
    time.sleep(SPELL)
    took = sorted(
        seconds
        for player, done in zip(players, before, strict=True)
        for seconds in player.took[done:]
    )
    for player in players:
        assert player.error is None, player.error
    return len(took) / SPELL, took[int(len(took) * 0.99)]


@pytest.mark.parametrize("what", HELD)
def test_while_a_row_is_locked_its_player_alone_is_refused(
    server: tuple[Server, Postgres], what: str
) -> None:
    served, postgres = server
    assert served.complete("stuck", key="before").status_code == 200
    players = [Player(served, f"player-{number}") for number in range(PLAYERS)]
    for player in players:
        player.start()
    eventually(lambda: all(len(player.took) > 5 for player in players))
    usual, _ = rate(players)
    stuck = Stuck(served, "stuck")
    stuck.start()
    name = "held"
    hold = threading.Thread(
        target=postgres.execute,
        args=(
            f"SET application_name = '{name}'; BEGIN; {HELD[what]}; SELECT pg_sleep({SPELL * 2})",
        ),
    )
    hold.start()
    sleeping = (
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' "
        "AND wait_event = 'PgSleep'"
    )
    eventually(lambda: postgres.fetch(sleeping))
    locked, slowest = rate(players)
    hold.join(PATIENCE)
    after, _ = rate(players)
    for player in [*players, stuck]:
        player.stopped.set()
        player.join(PATIENCE)
    for one in stuck.tries:
        one.join(PATIENCE)
    found = f"{usual:.0f}/s, locked {locked:.0f}/s, then {after:.0f}/s; p99 {slowest:.2f} s"
    assert locked > min(usual, after) / 2, found
    assert slowest < SLOWEST, found
    refused = [answer for answer in stuck.answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    rows = {answer.json()["completionId"] for answer in stuck.answers if answer not in refused}
    assert len(rows) == 1, "after the lock it is recorded, and once"
