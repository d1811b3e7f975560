"""Whose address counts, behind none, one and two proxies: nobody writes their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.server import RawStream, Server
from tests.support.wire import Wire

LIMIT = 2
SETTINGS = {
    "SCOREBOARD_AUTH_RATE_LIMIT": f"{LIMIT}/minute",
    "SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "1",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Servers behind no, one and two proxies."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Server(
                    tmp_path_factory.mktemp(f"hops-{hops}"),
                    SCOREBOARD_TRUSTED_PROXY_HOPS=str(hops),
                    **SETTINGS,
                )
            )
            for hops in range(3)
        ]


def is_limited(server: Server, *lines: str) -> bool:
    """Whether one more attempt, with these lines of X-Forwarded-For, is one too many."""
    forwarded = [f"X-Forwarded-For: {line}" for line in lines]
    head = ["POST /api/v1/auth/login HTTP/1.1", "Host: test", *forwarded, "", ""]
    with Wire(server, "\r\n".join(head).encode("latin-1")) as wire:
        status = wire.answer().status
    assert status in (400, 429)
    return status == 429


def use_up(server: Server, *lines: str) -> None:
    """Make every attempt that these lines have."""
    assert [is_limited(server, *lines) for _ in range(LIMIT + 1)] == [False] * LIMIT + [True]


def test_without_a_proxy_the_header_says_nothing(servers: list[Server]) -> None:
    use_up(servers[0])
    for spoofed in ("192.0.2.1", "2001:db8::1", "127.0.0.1", "unknown", ""):
        assert is_limited(servers[0], spoofed)
    assert servers[0].logged().count("SCOREBOARD_TRUSTED_PROXY_HOPS") == 1


def test_behind_one_proxy_what_it_saw_counts(servers: list[Server]) -> None:
    """It appends: what stands before that the client wrote."""
    use_up(servers[1], "198.51.100.1")
    assert is_limited(servers[1], "192.0.2.99, 198.51.100.1")
    assert is_limited(servers[1], "192.0.2.98", "198.51.100.1")
    assert is_limited(servers[1], "192.0.2.97,,;garbage, 198.51.100.1 ")
    assert is_limited(servers[1], "198.51.100.1:4711")
    assert is_limited(servers[1], "::ffff:198.51.100.1")
    assert is_limited(servers[1], "[::ffff:198.51.100.1]:4711")
    assert not is_limited(servers[1], "198.51.100.1, 198.51.100.2")
    assert not is_limited(servers[1], "198.51.100.1", "198.51.100.3")
    assert "SCOREBOARD_TRUSTED_PROXY_HOPS" not in servers[1].logged()


def test_behind_two_proxies_what_the_outer_one_saw_counts(servers: list[Server]) -> None:
    use_up(servers[2], "198.51.100.1, 10.0.0.1")
    assert is_limited(servers[2], "192.0.2.99, 198.51.100.1, 10.0.0.2")
    assert is_limited(servers[2], "192.0.2.99", "198.51.100.1", "10.0.0.2")
    assert not is_limited(servers[2], "198.51.100.1, 198.51.100.2, 10.0.0.1")


def test_users_behind_one_address_of_ipv6_are_those_of_its_network(servers: list[Server]) -> None:
    use_up(servers[1], "2001:db8:1:1::1")
    assert is_limited(servers[1], "2001:db8:1:1:ffff::2")
    assert is_limited(servers[1], "[2001:db8:1:1::3]:4711")
    assert not is_limited(servers[1], "2001:db8:1:2::1")


@pytest.mark.parametrize(
    "garbage", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "\xff", "::1::"]
)
def test_what_is_no_address_is_the_proxys_own(servers: list[Server], garbage: str) -> None:
    """It opens no account of its own, and so no way around the limit."""
    if not is_limited(servers[1]):
        while not is_limited(servers[1]):
            pass
    assert is_limited(servers[1], f"192.0.2.96, {garbage}")


def test_with_fewer_entries_than_proxies_somebody_went_around_them(servers: list[Server]) -> None:
    """Then there is only the address of the connection."""
    while not is_limited(servers[2]):
        pass
    assert is_limited(servers[2], "192.0.2.95")


def test_streams_are_counted_by_the_same_address(servers: list[Server]) -> None:
    def is_busy(server: Server, forwarded: str) -> bool:
        stream = opened.enter_context(
            RawStream(server, "all-time", f"X-Forwarded-For: {forwarded}")
        )
        stream.read_until(b"\r\n\r\n")
        return b"busy" in stream.read_until(b"data: ")

    with ExitStack() as opened:
        assert not is_busy(servers[0], "192.0.2.1")
        assert is_busy(servers[0], "192.0.2.2")
        assert not is_busy(servers[1], "192.0.2.1")
        assert is_busy(servers[1], "192.0.2.2, 192.0.2.1")
        assert not is_busy(servers[1], "192.0.2.1, 192.0.2.2")


def test_connections_behind_a_proxy_are_all_the_proxys(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """No bound of one address applies to them."""
    prelude = "from scoreboard.web import connections; connections.BESIDE_STREAMS = 1"
    for hops, expected in (("0", 2), ("1", 20)):
        settings = {**SETTINGS, "SCOREBOARD_TRUSTED_PROXY_HOPS": hops}
        with (
            Server(tmp_path_factory.mktemp("bound"), prelude=prelude, **settings) as server,
            ExitStack() as stack,
        ):
            wires = [stack.enter_context(Wire(server)) for _ in range(20)]
            for wire in wires:
                wire.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            assert sum(bool(wire.first_byte()) for wire in wires) == expected
