"""Addresses: what one subscriber has is one caller."""

from __future__ import annotations

import pytest

from scoreboard.web.clients import network_of


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", None),
        ("unknown", None),
        ("192.0.2.256", None),
        ("192.0.2.1, 192.0.2.2", None),
        ("_hidden", None),
    ],
)
def test_an_address_is_reduced_to_its_subscriber(text: str, network: str | None) -> None:
    assert network_of(text) == network
