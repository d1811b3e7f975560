"""Events one after the other, and when each had reached every stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median

from bench import load
from bench.arena import Disagreement, Figures
from bench.contestants.running import PATIENCE, Running

# Seconds between an event that all have and the next: longer than INTERVAL_MS of the fan-out, so
# that Scoreboard's throttle has rested.
PAUSE = 0.15
QUIET = 0.4  # seconds without a frame, after which all have those of their opening
LATEST = 20.0  # seconds for an event to reach everyone


@dataclass(frozen=True)
class Contestant:
    """How a contestant is started, where its stream is, and what publishes event `number`."""

    start: Callable[[], AbstractContextManager[Running]]
    path: str
    publish: Callable[[HTTPConnection, int], None]


class Events:
    """Publishes one event after the other, each when everyone has the one before."""

    def __init__(
        self, contestant: Contestant, running: Running, clients: load.Streams, streams: int
    ) -> None:
        self._contestant = contestant
        self._running = running
        self._clients = clients
        self._streams = streams
        self._connection = HTTPConnection(*running.address, timeout=PATIENCE)
        self._number = 0
        if clients.opened.failed:
            raise Disagreement(f"{clients.opened.failed} of {streams} streams did not open")
        self._wait_for_silence()

    def publish(self, count: int) -> list[tuple[int, load.Delivery]]:
        """Events until all streams have each; gives the instants (ns) and the deliveries."""
        found = []
        for _ in range(count):
            time.sleep(PAUSE)
            self._number += 1
            sent = time.monotonic_ns()
            self._contestant.publish(self._connection, self._number)
            found.append((sent, self._delivery(sent)))
            answer = self._connection.getresponse()
            said = answer.read()
            if answer.status not in (200, 201, 202):
                raise Disagreement(f"publishing was answered with {answer.status}: {said[:200]!r}")
        return found

    def measure(self, count: int) -> Figures:
        """Events, with what they cost."""
        before, client_before = self._running.cpu_seconds(), self._clients.sums()
        found = self.publish(count)
        used = self._running.cpu_seconds() - before
        client_used = self._clients.sums().cpu_seconds - client_before.cpu_seconds
        frames = count * self._streams
        to_all = [(delivery.last - sent) / 1e6 for sent, delivery in found]
        return {
            "events": count,
            "first_ms": median((delivery.first - sent) / 1e6 for sent, delivery in found),
            "p50_ms": median((delivery.p50 - sent) / 1e6 for sent, delivery in found),
            "p99_ms": median((delivery.p99 - sent) / 1e6 for sent, delivery in found),
            "all_ms": median(to_all),
            "worst_ms": max(to_all),
            "cpu_us": used / frames * 1e6,
            "client_us": client_used / frames * 1e6,
        }

    def end(self, stalled: int = 0) -> None:
        """Close all streams. Raises `Disagreement` when the server had closed one of them."""
        self._connection.close()
        closed = self._clients.close()
        if closed.lost > stalled:
            raise Disagreement(f"{closed.lost} streams were closed by the server")

    def _delivery(self, sent: int) -> load.Delivery:
        while True:
            delivery = self._clients.delivery(LATEST)
            if delivery.first < sent:
                continue  # of before: its last reader was slow to say so
            if delivery.count != self._streams:
                raise Disagreement(
                    f"event {self._number} reached {delivery.count} of {self._streams} streams"
                )
            return delivery

    def _wait_for_silence(self) -> None:
        """What each stream gets when it opens is not to be taken for an event."""
        while True:
            try:
                self._clients.delivery(QUIET)
            except TimeoutError:
                return
