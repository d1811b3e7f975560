"""What an operator can scrape."""

from __future__ import annotations

import re

import httpx2

from tests.support.server import RawStream, Server, eventually


def metric(server: Server, series: str) -> float:
    text = httpx2.get(f"{server.url}/metrics").text
    found = re.search(rf"^scoreboard_{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_it_is_text_for_prometheus(server: Server) -> None:
    answer = httpx2.get(f"{server.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "\nscoreboard_workers 1.0\n" in answer.text
    assert "\nscoreboard_database_up 1.0\n" in answer.text
    assert "\nprocess_resident_memory_bytes " in answer.text


def test_requests_are_counted_by_route_and_never_by_path(
    server: Server, client: httpx2.Client
) -> None:
    players = 'requests_total{method="GET",route="/api/v1/players/{userId}",status="404"}'
    before = metric(server, players)
    assert client.get("/players/nobody/at/all").status_code == 404
    assert client.get("/no-such-thing").status_code == 404
    assert metric(server, players) == before + 1
    text = httpx2.get(f"{server.url}/metrics").text
    assert "nobody" not in text
    assert "no-such-thing" not in text


def test_streams_are_counted_while_they_are_open(server: Server) -> None:
    is_open, frames = 'streams_open{board="weekly"}', "stream_frames_total"
    assert metric(server, is_open) == 0
    before, sent = metric(server, frames), metric(server, "stream_bytes_total")
    with RawStream(server, "weekly") as stream:
        stream.read_frame()
        assert metric(server, is_open) == 1
        assert metric(server, frames) == before + 1
        assert metric(server, "stream_bytes_total") > sent + 100
    eventually(lambda: metric(server, is_open) == 0)


def test_a_completion_can_be_followed_through(server: Server) -> None:
    names = (
        'completions_total{outcome="recorded"}',
        'completions_total{outcome="replayed"}',
        'completions_total{outcome="repeated"}',
        "batch_size_count",
        'batch_stage_seconds_count{stage="commit"}',
        'batch_stage_seconds_count{stage="board"}',
    )
    before = [metric(server, name) for name in names]
    for key in ("one", "one", "two"):
        server.complete("measured", "join-the-game", key)
    after = [metric(server, name) for name in names]
    grown = [new - old for old, new in zip(before, after, strict=True)]
    assert grown[:3] == [1, 1, 1]
    assert all(count >= 3 for count in grown[3:])


def test_a_board_says_when_it_was_last_read(server: Server) -> None:
    for board in ("all-time", "daily", "weekly"):
        assert metric(server, f'board_read_timestamp_seconds{{board="{board}"}}') > 1.7e9
