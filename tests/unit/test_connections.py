"""Connections are counted exactly, and given back on every end."""

from __future__ import annotations

import logging
import resource

import pytest

from scoreboard.settings import Settings
from scoreboard.web.connections import (
    BESIDE_STREAMS,
    DESCRIPTORS_RESERVED,
    Connections,
    open_connections,
)


def test_a_process_has_a_bound() -> None:
    connections = Connections(2, None)
    first, second = connections.admit("192.0.2.1"), connections.admit("192.0.2.1")
    assert connections.admit("192.0.2.2") is None
    assert first
    connections.leave(first)
    assert connections.open == 1
    assert connections.admit("192.0.2.2")
    assert second


def test_an_address_has_a_bound_and_others_have_theirs() -> None:
    connections = Connections(100, 2)
    mine = [connections.admit("192.0.2.1") for _ in range(3)]
    assert mine == ["192.0.2.1", "192.0.2.1", None]
    assert connections.admit("192.0.2.2")
    for address in mine:
        if address:
            connections.leave(address)
    assert [connections.admit("192.0.2.1") for _ in range(3)] == mine


def test_an_address_of_ipv6_is_its_network_and_a_mapped_one_is_the_old_one() -> None:
    connections = Connections(100, 2)
    assert connections.admit("2001:db8::1") == "2001:db8::/64"
    assert connections.admit("2001:db8::ffff:1") == "2001:db8::/64"
    assert connections.admit("2001:db8::2") is None
    assert connections.admit("2001:db8:0:1::1")
    assert connections.admit("192.0.2.1") == connections.admit("::ffff:192.0.2.1")
    assert connections.admit("192.0.2.1") is None


def test_a_connection_without_an_address_counts_for_the_process_alone() -> None:
    connections = Connections(3, 1)
    taken = [connections.admit(None) for _ in range(4)]
    assert taken[3] is None
    for address in taken[:3]:
        assert address
        connections.leave(address)
    assert connections.open == 0


def test_nothing_is_kept_of_an_address_that_has_gone() -> None:
    connections = Connections(100_000, 1)
    for number in range(1000):
        address = connections.admit(f"192.0.2.{number}")
        assert address
        connections.leave(address)
    assert (connections.open, connections._of) == (0, {})


def test_a_flood_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    connections = Connections(0, None, now=lambda: now)
    with caplog.at_level(logging.WARNING, logger="scoreboard"):
        for now in (0.0, 1.0, 59.0, 60.0, 61.0):  # noqa: B007 - read by the clock above
            connections.admit("192.0.2.1")
    assert len(caplog.records) == 2
    assert "4 so far" in caplog.text
    assert "192.0.2.1" not in caplog.text


def test_the_bounds_leave_descriptors_and_spare_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 4096))
    settings = Settings(max_streams_per_address=10)
    direct = open_connections(settings)
    assert (direct._total, direct._per_address) == (200 - DESCRIPTORS_RESERVED, 10 + BESIDE_STREAMS)
    assert open_connections(Settings(trusted_proxy_hops=1))._per_address is None
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    assert open_connections(settings)._total > 1_000_000
