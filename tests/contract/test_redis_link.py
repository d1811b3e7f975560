"""What a process takes for a Redis that it can work with."""

from __future__ import annotations

import pytest

from scoreboard.board import Away
from scoreboard.board.redis.link import open_link
from scoreboard.board.redis.scripts import send
from tests.support.backends import Redis
from tests.support.server import eventually

CLUSTER = {"cluster-enabled": "yes"}


async def test_a_node_of_a_cluster_is_away_and_does_not_come_back() -> None:
    """It takes some keys and says of the others where they are: to write one would tell nothing."""
    with Redis(options=CLUSTER) as one, Redis(options=CLUSTER) as other:
        one.command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        other.command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        one.command("CLUSTER", "MEET", "127.0.0.1", other.port)
        eventually(lambda: "cluster_state:ok" in one.command("CLUSTER", "INFO"))
        async with open_link(one.url) as link:
            with pytest.raises(Away) as caught:  # slot 12182
                await link.call(lambda: send(link.redis, [("SET", "foo", "bar")]))
            assert "MOVED" in str(caught.value.__cause__) or "12182" in str(caught.value.__cause__)
            assert link.is_away
            assert not await link.probe()
            assert link.is_away
