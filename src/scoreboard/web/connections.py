"""How many connections there may be: in the process, and from one address."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from scoreboard.settings import Settings
from scoreboard.telemetry import metrics
from scoreboard.web.clients import UNKNOWN, network_of

# Descriptors that connections leave for the database, Redis, files and the listener; a pool of the
# largest size that may be set fits. Without them a full house could not even write its database.
DESCRIPTORS_RESERVED: Final = 128
# Connections of an address beside its streams: what some hundred people behind one of them have
# open when they load the page.
BESIDE_STREAMS: Final = 500
TOLD_EVERY: Final = 60.0  # seconds between log lines: a flood must not flood the log as well

logger = logging.getLogger(__name__)


class Connections:
    """Counts the open connections and says whether one more may stay.

    With `per_address` None only the process has a bound: behind a proxy all connections are the
    proxy's.
    """

    def __init__(
        self, total: int, per_address: int | None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._per_address = per_address
        self._now = now
        self._of: dict[str, int] = {}
        self._refused = 0
        self._told_at = -TOLD_EVERY
        self.open = 0

    def admit(self, host: str | None) -> str | None:
        """Count a connection from `host` and give the address that it counts for, which `leave`
        takes back once; None when there is no room, and nothing was counted.
        """
        # The kernel writes an IPv4 address in one way only: most need no parsing.
        address = UNKNOWN if host is None else network_of(host) if ":" in host else host
        address = address or UNKNOWN
        if self.open >= self._total:
            self._tell("process")
            return None
        if self._per_address is not None and address != UNKNOWN:
            taken = self._of.get(address, 0)
            if taken >= self._per_address:
                self._tell("address")
                return None
            self._of[address] = taken + 1
        self.open += 1
        return address

    def leave(self, address: str) -> None:
        """The connection that `admit` counted for this address has ended."""
        self.open -= 1
        if (left := self._of.pop(address, 0) - 1) > 0:
            self._of[address] = left

    def _tell(self, bound: str) -> None:
        metrics.CONNECTIONS_REFUSED.labels(bound).inc()
        self._refused += 1
        if self._now() - self._told_at >= TOLD_EVERY:
            self._told_at = self._now()
            logger.warning(
                "connections were closed at once, since the bound of the %s is reached: %d so far",
                bound,
                self._refused,
            )


def open_connections(settings: Settings) -> Connections:
    """The bounds that go with these settings and with the open files that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = sys.maxsize if soft == resource.RLIM_INFINITY else soft - DESCRIPTORS_RESERVED
    is_direct = settings.trusted_proxy_hops == 0
    return Connections(
        max(1, total), settings.max_streams_per_address + BESIDE_STREAMS if is_direct else None
    )
