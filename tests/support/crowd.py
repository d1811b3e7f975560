"""A crowd of players who complete actions as fast as they are answered, whatever happens, and one
member of staff who adjusts, voids, hides and unhides among them.

Each keeps the Idempotency-Key of a request until it is answered, sends it to any of the servers,
and now and then twice. What was acknowledged is remembered, to be held against the log.
"""

from __future__ import annotations

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx2

from tests.support.server import PATIENCE, Server

TIMEOUT = 5.0  # seconds for one answer: above all waits of the service together
PAUSE = 0.05  # seconds before a retry
ACTIONS = ("solve-a-puzzle", "solve-a-puzzle", "solve-a-puzzle", "daily-check-in", "join-the-game")

Receipt = dict[str, Any]


class Call(NamedTuple):
    """A request, with which its answer can be asked for again."""

    path: str
    key: str
    body: str


class Caller(threading.Thread, ABC):
    """Someone with an account who never gives up."""

    scope = ""

    def __init__(self, crowd: Crowd, account_id: str) -> None:
        super().__init__(name=account_id, daemon=True)
        self.crowd = crowd
        self.account_id = account_id
        self.chance = random.Random(f"{crowd.seed} {account_id}")
        self.receipts: dict[Call, Receipt] = {}
        self.counts: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.is_idle = threading.Event()
        self._turn = 0
        self._headers: dict[str, str] = {}
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
        """Do one thing and keep at it until it is answered; sometimes once more."""
        self._turn += 1
        call = self.next_call(f"turn-{self._turn}")
        began = time.monotonic()
        first = self.until_answered(call)
        self.crowd.latencies.append(time.monotonic() - began)
        if first is not None:
            self.receipts[call] = first
            self.counts["acknowledged"] += 1
            if self.chance.random() < 0.1:
                assert self.until_answered(call) == first, "another receipt for one key"
                self.counts["replayed"] += 1

    @abstractmethod
    def next_call(self, key: str) -> Call:
        """What to ask for next."""

    def until_answered(self, call: Call) -> Receipt | None:
        """Send it until there is an answer: a receipt without its rank, or None when the action was
        completed before.
        """
        while True:
            answer = self.send(call)
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
                raise AssertionError(f"{call} was never answered")
            time.sleep(PAUSE)

    def send(self, call: Call) -> httpx2.Response | None:
        """One request to one of the servers; None when the connection failed."""
        server = self.chance.choice(self.crowd.servers)
        client = self._clients.get(server.url)
        if client is None:
            client = self._clients[server.url] = httpx2.Client(
                base_url=f"{server.url}/api/v1", timeout=TIMEOUT
            )
        try:
            return client.post(
                call.path,
                content=call.body,
                headers={**self.headers(server), "Idempotency-Key": call.key},
            )
        except httpx2.TransportError:
            return None

    def headers(self, server: Server) -> dict[str, str]:
        """The caller's token, which every server takes."""
        if not self._headers:
            self._headers = server.bearer(self.account_id, seconds=36_000, scope=self.scope)
        return self._headers


class Player(Caller):
    """Completes actions."""

    def next_call(self, key: str) -> Call:
        """An action, chosen at random."""
        return Call(f"/actions/{self.chance.choice(ACTIONS)}/complete", key, "{}")


class Staff(Caller):
    """Corrects what players have, and hides some of them for a while."""

    scope = "admin"

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd, "staff")
        self.voided: set[str] = set()

    def next_call(self, key: str) -> Call:
        """A correction of somebody, chosen at random. Each completion is voided once."""
        time.sleep(PAUSE)  # a few a second, among many completions
        player, body = self.chance.choice(self.crowd.players), {"reason": "soak"}
        if not player.receipts:
            own = {**body, "userId": self.account_id, "points": 1}
            return Call("/admin/adjustments", key, json.dumps(own))
        newest = next(reversed(player.receipts.values()))["completionId"]
        kind = self.chance.choice(("adjust", "adjust", "void", "hide", "unhide"))
        if kind == "void" and newest not in self.voided:
            self.voided.add(newest)
            return Call(f"/admin/completions/{newest}/void", key, json.dumps(body))
        if kind in ("hide", "unhide"):
            return Call(f"/admin/players/{player.account_id}/{kind}", key, json.dumps(body))
        points = self.chance.choice((-20, -3, 1, 50))
        adjustment = {**body, "userId": player.account_id, "points": points}
        return Call("/admin/adjustments", key, json.dumps(adjustment))


class Crowd:
    """The players, who play while `playing` is set."""

    def __init__(self, servers: Sequence[Server], *, players: int = 12, seed: int = 1) -> None:
        self.servers = list(servers)
        self.seed = seed
        self.playing = threading.Event()
        self.stopped = False
        self.latencies: list[float] = []
        self.players = [Player(self, f"player-{number:03d}") for number in range(players)]
        self.callers: list[Caller] = [*self.players, Staff(self)]
        for caller in self.callers:
            caller.start()

    def play(self) -> None:
        """Let them play."""
        self.playing.set()

    def pause(self) -> None:
        """Let each have the answer that it waits for, then rest."""
        self.playing.clear()
        for caller in self.callers:
            assert caller.is_idle.wait(PATIENCE), f"{caller.name} is still waiting"
        self.check()

    def check(self) -> None:
        """Raise what a player met that should not be."""
        for caller in self.callers:
            if caller.error is not None:
                raise AssertionError(f"{caller.name}: {caller.error!r}") from caller.error

    def stop(self) -> None:
        """Send them home."""
        self.stopped = True
        self.playing.clear()
        for caller in self.callers:
            caller.join(PATIENCE)

    @property
    def counts(self) -> Counter[str]:
        """What came of all requests."""
        return sum((caller.counts for caller in self.callers), Counter())

    @property
    def receipts(self) -> dict[tuple[str, str], Receipt]:
        """Every acknowledged request, by caller and key."""
        return {
            (caller.account_id, call.key): receipt
            for caller in self.callers
            for call, receipt in caller.receipts.items()
        }
