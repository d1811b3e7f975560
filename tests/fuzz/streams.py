"""Random ways to ask for a stream, which never ends and so is asked for over a bare socket."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from tests.fuzz.checks import INSIDE, STATUS_OF
from tests.support.server import Server

STREAM: Final = "GET /api/v1/leaderboard/stream"
EACH: Final = 4  # streams in a round
TIME_LIMIT: Final = 5.0  # seconds until the first event, or the refusal
_LONGEST: Final = 64 * 1024  # bytes: a top 10 of the longest names fits
_EVENT: Final = re.compile(
    rb"(?:: [^\n]*\s+|retry: (\d+)\nevent: leaderboard_update\s+id: (\w{18})\s+data: (\{.*\})\s+)"
)


def broken_stream(
    server: Server, chance: random.Random, statuses: Counter[int]
) -> Iterator[tuple[str, str]]:
    """Open a few streams in random ways; gives what does not hold, and the request."""
    for _ in range(EACH):
        request, is_good = _request(chance)
        shown = request.decode("latin-1")
        try:
            status, head, body = _answer(server, request)
        except (OSError, ValueError) as error:
            yield f"no answer: {error!r}", shown
            continue
        statuses[status] += 1
        for what in _broken(status, head, body, is_good):
            yield f"{what}: {head!r} {body[:300]!r}", shown


def _request(chance: random.Random) -> tuple[bytes, bool]:
    noise = "".join(chr(chance.choice([chance.randrange(32, 127), 0xE4, 0x2603])) for _ in range(9))
    board = chance.choice(["all-time", "daily", "weekly"])
    query = {
        "board": chance.choice([board, board, board, noise, ""]),
        "last_event_id": chance.choice(["", "0" * 18, noise, "x" * 300]),
        noise: noise,
    }
    pairs = [
        f"{quote(name)}={quote(value)}" for name, value in query.items() if chance.random() < 0.6
    ]
    if is_twice := chance.random() < 0.1:
        pairs += ["board=daily", "board=daily"]
    if is_torn := chance.random() < 0.1:
        pairs.append("last_event_id=%ff%00%")
    headers = [
        f"{name}: {value}"
        for name, value in {
            "Last-Event-ID": chance.choice(["", "0" * 18, "ä" * 40]),
            "Accept": chance.choice(["text/event-stream", "application/json", "*/*;q=0"]),
            "X-Request-Id": chance.choice(["mine", noise.strip()]),
            "Authorization": f"Bearer {noise}",
        }.items()
        if chance.random() < 0.5
    ]
    line = f"GET /api/v1/leaderboard/stream?{'&'.join(pairs)} HTTP/1.1"
    boards = [pair for pair in pairs if pair.startswith("board=")]
    is_good = not is_twice and not is_torn and boards in ([], [f"board={board}"])
    return "\r\n".join([line, "Host: test", *headers, "", ""]).encode(), is_good


def _answer(server: Server, request: bytes) -> tuple[int, bytes, bytes]:
    """The status, the head and what came first; then the client is gone."""
    end = time.monotonic() + TIME_LIMIT
    with socket.create_connection(server.address, TIME_LIMIT) as connection:
        connection.sendall(request)
        received = b""
        while len(received) < _LONGEST:
            connection.settimeout(max(0.01, end - time.monotonic()))
            if not (chunk := connection.recv(65_536)):
                break
            received += chunk
            head, parted, body = received.partition(b"\r\n\r\n")
            if parted and (_EVENT.search(body) or body.endswith(b"}")):
                break
    return int(received.split(b" ", 2)[1]), head, body


def _broken(status: int, head: bytes, body: bytes, is_good: bool) -> Iterator[str]:
    if found := INSIDE.search((head + body).decode("utf-8", "replace")):
        yield f"the answer shows {found[0]!r}"
    if b"\r\nx-request-id: " not in head.lower():
        yield "no X-Request-Id"
    if status == 200:
        yield from _no_event(body)
        if b"text/event-stream" not in head or b"no-store" not in head:
            yield "not the headers of a stream"
        return
    if is_good or status not in (400, 404):
        yield f"a {status}"
    problem = json.loads(body)
    if problem["status"] != status or STATUS_OF[problem["code"]] != status:
        yield "another status in the body"


def _no_event(body: bytes) -> Iterator[str]:
    if (match := _EVENT.search(body)) is None:
        yield "no first event"
        return
    if match[3]:
        if not 2000 <= int(match[1]) <= 5000:
            yield f"retry is {int(match[1])}"
        snapshot = json.loads(match[3])
        ranks = [user["rank"] for user in snapshot["users"]]
        if snapshot["version"] != match[2].decode() or ranks != list(range(1, len(ranks) + 1)):
            yield "the event's id or its ranks are wrong"
