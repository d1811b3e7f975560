"""A head is clear, or it is refused: there is no third way to read it."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard.web.framing import BODILESS, is_clear, mark

HOST = (b"host", b"test")
CHUNKED = (b"transfer-encoding", b"chunked")
LENGTH = (b"content-length", b"2")


def marks_of(*headers: tuple[bytes, bytes]) -> int:
    return reduce(lambda marks, header: mark(marks, *header), headers, 0)


@pytest.mark.parametrize("headers", [(HOST,), (HOST, LENGTH), (HOST, CHUNKED), (LENGTH, HOST)])
def test_a_usual_head_is_clear(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert is_clear(marks_of(*headers), "1.1", b"POST", b"/", upgrades=False)


def test_the_usual_head_without_a_body_has_the_marks_that_are_not_looked_at_again() -> None:
    assert marks_of(HOST) == marks_of(HOST, (b"content-length", b"0")) == BODILESS
    assert marks_of(HOST, LENGTH) != BODILESS


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_another_version_is_not_read(version: str) -> None:
    assert not is_clear(BODILESS, version, b"GET", b"/", upgrades=False)


@given(st.binary(max_size=20))
def test_no_coding_but_chunked_is_taken(value: bytes) -> None:
    marks = marks_of(HOST, (b"transfer-encoding", value))
    assert is_clear(marks, "1.1", b"POST", b"/", upgrades=False) == (value.lower() == b"chunked")


@given(st.lists(st.sampled_from([HOST, CHUNKED, LENGTH]), max_size=4), st.booleans())
def test_an_upgrade_has_no_body(headers: list[tuple[bytes, bytes]], is_old: bool) -> None:
    clear = is_clear(marks_of(*headers), "1.0" if is_old else "1.1", b"GET", b"/", upgrades=True)
    assert not clear or (CHUNKED not in headers and LENGTH not in headers)
