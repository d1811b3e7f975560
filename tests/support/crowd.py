"""A crowd of players who complete actions as fast as they are answered, whatever happens.

Each keeps the Idempotency-Key of a completion until it is answered, sends it to any of the servers,
and now and then twice. What was acknowledged is remembered, to be held against the log.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx2

from tests.support.server import PATIENCE, Server

TIMEOUT = 5.0  # seconds for one answer: above all waits of the service together
PAUSE = 0.05  # seconds before a retry
ACTIONS = ("solve-a-puzzle", "solve-a-puzzle", "solve-a-puzzle", "daily-check-in", "join-the-game")

Receipt = dict[str, Any]


class Player(threading.Thread):
    """Someone with an account who never gives up."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        super().__init__(name=f"player {number}", daemon=True)
        self.crowd = crowd
        self.account_id = f"player-{number:03d}"
        self.chance = random.Random(f"{crowd.seed} {number}")
        self.receipts: dict[str, Receipt] = {}
        self.counts: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.is_idle = threading.Event()
        self._turn = 0
        self._clients: dict[str, httpx2.Client] = {}

    def run(self) -> None:
        try:
            while not self.crowd.stopped:
                if not self.crowd.playing.is_set():
                    self.is_idle.set()
                    self.crowd.playing.wait(0.1)
                    continue
                self.is_idle.clear()
                self.play()
        except BaseException as error:  # noqa: BLE001 - shown by `Crowd.check`
            self.error = error
        finally:
            self.is_idle.set()
            for client in self._clients.values():
                client.close()

    def play(self) -> None:
        """Complete one action and keep at it until it is answered; sometimes once more."""
        self._turn += 1
        key, action = f"turn-{self._turn}", self.chance.choice(ACTIONS)
        began = time.monotonic()
        first = self.until_answered(action, key)
        self.crowd.latencies.append(time.monotonic() - began)
        if first is not None:
            self.receipts[key] = first
            self.counts["acknowledged"] += 1
            if self.chance.random() < 0.1:
                assert self.until_answered(action, key) == first, "another receipt for one key"
                self.counts["replayed"] += 1

    def until_answered(self, action: str, key: str) -> Receipt | None:
        """Send it until there is an answer: a receipt without its rank, or None when the action was
        completed before.
        """
        while True:
            answer = self.send(action, key)
            if answer is not None and answer.status_code == 200:
                return {**answer.json(), "rank": None}
            if answer is not None and answer.status_code == 409:
                self.counts["done before"] += 1
                return None
            if answer is not None:
                assert answer.status_code in (429, 503), answer.text
                assert int(answer.headers["retry-after"]) >= 1
                self.counts[f"answered {answer.status_code}"] += 1
            else:
                self.counts["cut off"] += 1
            self.counts["retries"] += 1
            if self.crowd.stopped:
                raise AssertionError(f"{key} was never answered")
            time.sleep(PAUSE)

    def send(self, action: str, key: str) -> httpx2.Response | None:
        """One request to one of the servers; None when the connection failed."""
        server = self.chance.choice(self.crowd.servers)
        client = self._clients.get(server.url)
        if client is None:
            client = self._clients[server.url] = httpx2.Client(
                base_url=f"{server.url}/api/v1", timeout=TIMEOUT
            )
        try:
            return client.post(
                f"/actions/{action}/complete",
                headers={**self.crowd.headers(server, self.account_id), "Idempotency-Key": key},
            )
        except httpx2.TransportError:
            return None


class Crowd:
    """The players, who play while `playing` is set."""

    def __init__(self, servers: Sequence[Server], *, players: int = 12, seed: int = 1) -> None:
        self.servers = list(servers)
        self.seed = seed
        self.playing = threading.Event()
        self.stopped = False
        self.latencies: list[float] = []
        self._headers: dict[str, dict[str, str]] = {}
        self.players = [Player(self, number) for number in range(players)]
        for player in self.players:
            player.start()

    def headers(self, server: Server, account_id: str) -> dict[str, str]:
        """The token of an account, which every server takes."""
        if account_id not in self._headers:
            self._headers[account_id] = server.bearer(account_id, seconds=36_000)
        return self._headers[account_id]

    def play(self) -> None:
        """Let them play."""
        self.playing.set()

    def pause(self) -> None:
        """Let each have the answer that it waits for, then rest."""
        self.playing.clear()
        for player in self.players:
            assert player.is_idle.wait(PATIENCE), f"{player.name} is still waiting"
        self.check()

    def check(self) -> None:
        """Raise what a player met that should not be."""
        for player in self.players:
            if player.error is not None:
                raise AssertionError(f"{player.name}: {player.error!r}") from player.error

    def stop(self) -> None:
        """Send them home."""
        self.stopped = True
        self.playing.clear()
        for player in self.players:
            player.join(PATIENCE)

    @property
    def counts(self) -> Counter[str]:
        """What came of all requests."""
        return sum((player.counts for player in self.players), Counter())

    @property
    def receipts(self) -> dict[tuple[str, str], Receipt]:
        """Every acknowledged completion, by account and key."""
        return {
            (player.account_id, key): receipt
            for player in self.players
            for key, receipt in player.receipts.items()
        }
