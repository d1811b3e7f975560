"""What makes two requests under one key the same: method, path and parsed body."""

from __future__ import annotations

from scoreboard.scoring.completion import fingerprint


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
