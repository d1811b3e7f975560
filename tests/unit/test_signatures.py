"""How old a signature may be, to the second: over sockets nobody can tell so exactly."""

from __future__ import annotations

import pytest

from scoreboard.errors import SignatureInvalid
from scoreboard.identity.signatures import SKEW, sign, verify
from tests.support.clock import START

NOW = START // 1000
SECRET = b"a signing secret for tests of 32 bytes or more"


def verified(timestamp: int) -> bool:
    method, path, key, body = "POST", "/api/v1/scores/increment", "k", b"{}"
    made = sign(SECRET, timestamp=f"{timestamp}", method=method, path=path, key=key, body=body)
    try:
        verify(
            [SECRET],
            timestamps=[f"{timestamp}"],
            signatures=[made],
            method=method,
            path=path,
            key=key,
            body=body,
            now=NOW,
        )
    except SignatureInvalid:
        return False
    return True


@pytest.mark.parametrize("direction", [-1, 1], ids=["before us", "after us"])
def test_a_signature_counts_within_the_skew_and_not_a_second_beyond(direction: int) -> None:
    assert verified(NOW + direction * SKEW)
    assert not verified(NOW + direction * (SKEW + 1))
