"""What makes two requests under one key the same: method, path and parsed body."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import combinations_with_replacement

import pytest

from scoreboard.scoring.fingerprints import fingerprint, former_fingerprint


def test_a_request_is_another_when_any_part_of_it_is() -> None:
    bodies: list[dict[str, object]] = [
        {},
        {"a": 1},
        {"a": "1"},
        {"a": True},
        {"a": {"b": [1, 2]}},
        {"a": {"b": [2, 1]}},
    ]
    prints = [
        fingerprint(method, path, body)
        for method in ("POST", "PUT")
        for path in ("/a", "/a/", "/A", "/b")
        for body in bodies
    ]
    assert len(set(prints)) == len(prints)


def test_the_order_of_fields_says_nothing() -> None:
    one = fingerprint("POST", "/a", {"a": {"x": 1, "y": 2}, "b": None})
    assert one == fingerprint("POST", "/a", {"b": None, "a": {"y": 2, "x": 1}})


NUMBERS = (
    *("0", "-0", "0.0", "-0.0", "0e5", "1", "1.0", "1e0", "1E+0", "10e-1", "-1", "-1.0"),
    *("0.1", "1e-1", "0.10", "100", "1e2", "1E2", "100.0", "1.5", "15e-1"),
    *("9007199254740991", "9007199254740992", "9007199254740992.0", "9007199254740993"),
    *("9007199254740994", "9007199254740994.0", "18014398509481985", "18014398509481984"),
    *("1e21", "1000000000000000000000", "1e23", "100000000000000000000000", "1e308", "1e300"),
    *("99999999999999991611392", "123456789012345678901234567890", f"1{'0' * 300}"),
)


def of(number: str) -> str:
    return fingerprint("POST", "/a", json.loads(f'{{"data": [{{"n": {number}}}]}}'))


def test_equal_numbers_are_the_same_and_no_others() -> None:
    """Integers beyond 2**53 are not rounded to the doubles that they would be in RFC 8785."""
    for one, other in combinations_with_replacement(NUMBERS, 2):
        assert (of(one) == of(other)) == (Decimal(one) == Decimal(other)), (one, other)


@pytest.mark.parametrize("other", ["true", '"1"', "[1]", "null", '"1.0"'])
def test_a_number_is_nothing_but_a_number(other: str) -> None:
    assert of("1") != of(other)


def test_fingerprints_are_those_of_earlier_releases_but_for_whole_floats() -> None:
    body = {"data": {"b": [1, 0.1, "é"], "a": True}, "startToken": "t"}
    assert fingerprint("POST", "/a", body) == "d3270bc53ed456a1623b2dda3378b721"
    assert fingerprint("POST", "/a", {}) == "f57ee8468f41378fab755684b03f774e"
    assert former_fingerprint("POST", "/a", body) is None
    assert former_fingerprint("POST", "/a", {}) is None
    assert (
        former_fingerprint("POST", "/a", {"data": {"n": 1.0}}) == "73ae9b8f7fafd290ca72ccf5203b8276"
    )
    assert fingerprint("POST", "/a", {"data": {"n": 1.0}}) == "d01f658331c2fb6fb021420b1c30da48"
