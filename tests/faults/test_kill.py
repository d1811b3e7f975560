"""Killed with -9 in the middle of a load: nothing acknowledged is missing or counts twice."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import httpx2

from tests.support.server import Server, eventually

PLAYERS = 8
TURNS = 60
KILLS = 3


class Player(threading.Thread):
    """Completes actions one by one; retries each with its key until it is answered."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self.server = server
        self.account_id = f"player-{number}"
        self.headers = server.bearer(self.account_id)
        self.receipts: dict[str, object] = {}
        self.retries = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self.server.client() as client:
                for turn in range(TURNS):
                    self.play(client, f"turn-{turn}")
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            self.error = error

    def play(self, client: httpx2.Client, key: str) -> None:
        headers = {**self.headers, "Idempotency-Key": key}
        while True:
            try:
                answer = client.post("/actions/solve-a-puzzle/complete", headers=headers)
            except httpx2.TransportError:
                self.retries += 1
                threading.Event().wait(0.02)
                continue
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                receipt = {**answer.json(), "rank": None}
                assert self.receipts.setdefault(key, receipt) == receipt
                return


def test_kill_9_in_the_middle_of_a_load(tmp_path: Path) -> None:
    settings = {"SCOREBOARD_RATE_LIMIT": "1000000/minute"}
    with Server(tmp_path, **settings) as server:
        players = [Player(server, number) for number in range(PLAYERS)]
        for player in players:
            player.start()
        for kill in range(1, KILLS + 1):
            wanted = kill * PLAYERS * TURNS // (KILLS + 2)
            eventually(lambda wanted=wanted: sum(len(p.receipts) for p in players) >= wanted)
            server.kill()
            server.start()
        for player in players:
            player.join()
            assert player.error is None, player.error
        assert sum(player.retries for player in players) > 0, "no kill met a request"

        # Every receipt again, from the log, as it was.
        with server.client() as client:
            for player in players:
                for key, receipt in player.receipts.items():
                    headers = {**player.headers, "Idempotency-Key": key}
                    again = client.post("/actions/solve-a-puzzle/complete", headers=headers)
                    assert again.headers["idempotent-replayed"] == "true"
                    assert {**again.json(), "rank": None} == receipt
            board = client.get("/leaderboard").json()["users"]
        assert [user["score"] for user in board] == [5 * TURNS] * PLAYERS

    connection = sqlite3.connect(tmp_path / "board.db")
    (rows, keys) = connection.execute(
        "SELECT COUNT(*), COUNT(DISTINCT account_id || ' ' || idempotency_key) FROM action_log"
    ).fetchone()
    scores = dict(
        connection.execute("SELECT account_id, total FROM scores WHERE board = 'all-time'")
    )
    sums = dict(connection.execute("SELECT account_id, SUM(points) FROM action_log GROUP BY 1"))
    connection.close()
    assert rows == keys == PLAYERS * TURNS
    assert scores == sums
