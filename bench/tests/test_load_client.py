"""The load client counts right: every answer and frame, in every form and cut anywhere."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.load import PLACE, Missing, Streams, build, requests
from bench.tests.scripted import Scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
COUNT = 5  # streams


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled programs."""
    return build(tmp_path_factory.mktemp("load"))


def get(path: str = "/", *headers: str) -> bytes:
    """A request as a template."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: test", *headers, "", "")).encode()


def post(path: str = "/") -> bytes:
    """A template with a key."""
    return get(path, f"Key: {PLACE.decode()}").replace(b"GET", b"POST")


def chunk(data: bytes) -> bytes:
    """One chunk of an answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def path_of(head: bytes) -> str:
    """What a request asked for."""
    return head.split()[1].decode()


async def hello(_: bytes, writer: asyncio.StreamWriter) -> None:
    """The plain answer."""
    writer.write(OK)


async def stream(head: bytes, writer: asyncio.StreamWriter) -> None:
    """The head of a stream, and nothing more by itself."""
    writer.write(CHUNKED if path_of(head) == "/chunked" else HEAD + b"\r\n")


def test_without_a_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="apt-get install gcc"):
        build(tmp_path)


FORMS = {
    "length": OK,
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
    b"3;of=it\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "unchanged": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "hint": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    "busy": b"HTTP/1.1 503 Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_answer_is_read_in_every_form(programs: Path, form: str, piece: int) -> None:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        text = FORMS[form]
        for start in range(0, len(text), piece):
            writer.write(text[start : start + piece])
            await asyncio.sleep(0)

    status = int(FORMS[form].split(b"\r\n\r\n")[-2 if form == "hint" else 0].split()[1])
    with Scripted(answer) as server:
        got = requests(programs, server.address, [get()], connections=2, seconds=0.02, warmup=0.01)
        assert got.sent == len(server.heads)
    assert got.statuses == {status: got.sent}
    assert got.broken == got.unanswered == 0
    assert 0 < got.answered <= got.sent
    assert got.bytes_in == got.sent * len(FORMS[form])
    if form in ("length", "chunked", "hint"):
        assert got.body == "hello"
        assert got.sizes == (5, 5)


def test_a_large_body_is_read_to_its_end(programs: Path) -> None:
    body = "".join(f"{n:06d}" for n in range(50_000)).encode()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        if path_of(head) == "/chunked":
            writer.write(CHUNKED + chunk(body[:70_000]) + chunk(body[70_000:]) + chunk(b""))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with Scripted(answer) as server:
        both = [get("/chunked"), get("/length")]
        got = requests(programs, server.address, both, connections=2, seconds=0.1, warmup=0)
    assert got.statuses == {200: got.sent}
    assert got.sizes == (len(body), len(body))
    assert got.body == body[:600].decode()


def test_a_large_request_is_sent_whole(programs: Path) -> None:
    large = get("/", *(f"Padding-{n}: {n:08000d}" for n in range(800)))

    with Scripted(hello) as server:
        got = requests(programs, server.address, [large], connections=1, seconds=0.1, warmup=0)
    assert len(large) > 6_000_000  # more than the kernel takes at once
    assert got.statuses == {200: len(server.heads)}
    assert set(server.heads) == {large}


def test_each_key_is_used_once_and_told_when_it_was_taken(programs: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"200", b"201") if path_of(head) == "/made" else OK)

    with Scripted(answer) as server:
        got = requests(
            programs,
            server.address,
            [post("/done"), post("/made"), get("/plain")],
            connections=3,
            seconds=0.1,
            warmup=0.05,
            first_key=2**40 + 5,
        )
    keys = [int(m[1], 16) for head in server.heads if (m := re.search(rb"Key: (\w{16})\r", head))]
    assert sorted(keys) == list(range(2**40 + 5, 2**40 + 5 + len(keys)))
    assert sorted(got.keys) == sorted(keys)
    assert got.statuses.keys() == {200, 201}


def test_a_key_is_not_told_for_a_refusal(programs: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        refused = path_of(head) == "/refused"
        writer.write(OK.replace(b"200 OK", b"429 Too Many") if refused else OK)

    with Scripted(answer) as server:
        both = [post("/done"), post("/refused")]
        got = requests(programs, server.address, both, connections=2, seconds=0.05, warmup=0)
    done = [head for head in server.heads if path_of(head) == "/done"]
    assert len(got.keys) == len(done) == got.statuses[200]
    assert got.statuses[429] == len(server.heads) - len(done)


def test_each_connection_has_templates_of_its_own(programs: Path) -> None:
    under_way: Counter[str] = Counter()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        path = path_of(head)
        under_way[path] += 1
        assert under_way[path] == 1
        await asyncio.sleep(0.001)
        under_way[path] -= 1
        writer.write(OK)

    with Scripted(answer) as server:
        each = [get(f"/{n}") for n in range(10)]
        got = requests(programs, server.address, each, connections=4, seconds=0.1, warmup=0)
    assert got.statuses == {200: len(server.heads)}
    assert {path_of(head) for head in server.heads} == {f"/{n}" for n in range(10)}


def test_what_loses_its_connection_is_broken_and_the_rest_goes_on(programs: Path) -> None:
    turns = itertools.count()

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        if next(turns) % 10 == 0:
            writer.close()
        else:
            writer.write(OK)

    with Scripted(answer) as server:
        got = requests(programs, server.address, [get()], connections=3, seconds=0.1, warmup=0)
    assert got.broken == len(range(0, len(server.heads), 10))
    assert got.statuses == {200: got.sent - got.broken}
    assert got.sent == len(server.heads)


@pytest.mark.parametrize(
    "head", ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK\r\nA: b"]
)
def test_an_answer_may_be_the_last_of_its_connection(programs: Path, head: str) -> None:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{head}\r\n\r\nhello".encode())
        writer.close()

    with Scripted(answer) as server:
        got = requests(programs, server.address, [get()], connections=2, seconds=0.05, warmup=0)
    assert got.statuses == {200: got.sent}
    assert got.sent == len(server.heads) > 2
    assert got.broken == 0
    assert got.body == "hello"


def test_with_a_rate_requests_go_out_when_they_are_due(programs: Path) -> None:
    times: list[float] = []

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        writer.write(OK)

    with Scripted(answer) as server:
        got = requests(
            programs, server.address, [get()], connections=8, seconds=0.4, warmup=0.1, rate=200
        )
    assert got.sent == 100
    assert 70 <= got.answered <= 90  # 80 were due in the window
    assert times[-1] - times[0] == pytest.approx(0.495, abs=0.1)
    assert got.lag_p99 is not None
    assert got.lag_p99 < 50
    assert got.cpu_share < 0.3  # it does not spin


def test_a_latency_counts_from_when_the_request_was_due(programs: Path) -> None:
    """A server that stands still once is charged with everything that was due meanwhile."""
    began = time.monotonic()
    stands_still = True

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal stands_still
        if stands_still and time.monotonic() > began + 0.1:
            stands_still = False
            time.sleep(0.2)  # noqa: ASYNC251 - the whole server
        writer.write(OK)

    with Scripted(answer) as server:
        got = requests(
            programs, server.address, [get()], connections=2, seconds=0.5, warmup=0, rate=200
        )
    assert got.statuses == {200: 100}
    assert 180 < got.latency.max < 500
    assert got.latency.p95 > 100  # 40 of the 100 were due while it stood still
    assert got.latency.p50 < 100


def test_what_was_due_and_never_answered_is_told(programs: Path) -> None:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(OK)

    with Scripted(answer) as server:
        got = requests(
            programs, server.address, [get()], connections=1, seconds=0.25, warmup=0, rate=40
        )
    assert got.statuses == {200: 2}  # the second was under way at the end and is waited for
    assert got.sent == 2
    assert got.unanswered == 8
    assert got.latency.p50 > 100  # of which a part is how long those eight have waited
    assert got.broken == 0


def test_it_can_be_told_to_end_early(programs: Path) -> None:
    until = threading.Event()
    threading.Timer(0.2, until.set).start()
    with Scripted(hello) as server:
        got = requests(
            programs,
            server.address,
            [post()],
            connections=2,
            seconds=20,
            warmup=0.1,
            rate=100,
            until=until,
        )
    assert 0.05 < got.seconds < 5
    assert got.unanswered == 0
    assert got.statuses == {200: got.sent}
    assert len(got.keys) == got.sent == len(server.heads)


def test_what_is_no_http_ends_it_with_a_sentence(programs: Path) -> None:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    with (
        Scripted(answer) as server,
        pytest.raises(RuntimeError, match=r"not an answer in HTTP/1: 'SSH-2.0"),
    ):
        requests(programs, server.address, [get()], connections=1, seconds=1, warmup=0)
    with pytest.raises(RuntimeError, match="connection 1 of 1 was not made: Connection refused"):
        requests(programs, server.address, [get()], connections=1, seconds=1, warmup=0)


EVENT = b'event: leaderboard_update\nid: 6e1\ndata: {"users":[]}\n\n'


@pytest.mark.parametrize("path", ["/chunked", "/raw"])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_frame_is_told_once_all_have_read_it(
    programs: Path, path: str, piece: int, line_end: bytes
) -> None:
    text = b": hello\n\nretry: 2000\n\n" + EVENT.replace(b"\n", line_end) + b": ping\n\n"
    if path == "/chunked":
        text = chunk(text[:30]) + chunk(text[30:50]) + chunk(text[50:])
    pieces = [text[start : start + piece] for start in range(0, len(text), piece)]
    with (
        Scripted(stream) as server,
        Streams(programs, server.address, path, count=COUNT) as streams,
    ):
        assert (streams.opened.opened, streams.opened.failed) == (COUNT, 0)
        began = time.monotonic_ns()
        server.send(*pieces)
        frame = streams.delivery(5)
        assert (frame.id, frame.data, frame.count) == ("6e1", '{"users":[]}', COUNT)
        assert began < frame.first <= frame.p50 <= frame.p99 <= frame.last < time.monotonic_ns()
        assert list(frame.samples) == sorted(frame.samples)
        assert (frame.samples[0], frame.samples[-1]) == (frame.first, frame.last)
        sums = streams.close()
    assert (sums.frames, sums.frames_min, sums.frames_max, sums.lost) == (COUNT, 1, 1, 0)
    assert sums.bytes == COUNT * (
        len(text) + len(CHUNKED if path == "/chunked" else HEAD + b"\r\n")
    )
    assert b"Accept: text/event-stream\r\n" in server.heads[0]


def test_frames_are_known_by_their_id_or_else_by_their_data(programs: Path) -> None:
    with (
        Scripted(stream) as server,
        Streams(programs, server.address, "/raw", count=COUNT) as streams,
    ):
        texts = [f"data: {n}\n\n" for n in range(3)]
        texts += ["id: a\ndata: 1\n\n", "id:b\ndata:first\ndata\ndata: third\n\n", 'data: "ü\\\n\n']
        server.send("".join(texts).encode())
        frames = [streams.delivery(5) for _ in texts]
        server.send(b"data: 1\n\n")
        frames.append(streams.delivery(5))
        assert streams.sums().frames == COUNT * 7
    assert [(frame.id, frame.data) for frame in frames] == [
        (None, "0"),
        (None, "1"),
        (None, "2"),
        ("a", "1"),
        ("b", "first\n\nthird"),
        (None, '"ü\\'),
        (None, "1"),
    ]
    assert {frame.count for frame in frames} == {COUNT}


def test_a_frame_that_not_all_got_is_told_after_a_while(programs: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        await stream(head, writer)
        if len(server.heads) == 1:
            writer.write(b"id: lonely\ndata: 1\n\n" * 2)

    with (
        Scripted(answer) as server,
        Streams(programs, server.address, "/raw", count=COUNT, overdue=0.5) as streams,
    ):
        server.send(b"id: common\ndata: 2\n\n")
        first, second = streams.delivery(5), streams.delivery(5)
    assert (first.id, first.count) == ("common", COUNT)
    assert (second.id, second.count) == ("lonely", 1)


def test_stalled_streams_read_their_head_and_nothing_more(programs: Path) -> None:
    with (
        Scripted(stream) as server,
        Streams(programs, server.address, "/raw", count=COUNT, stalled=2) as streams,
    ):
        assert (streams.opened.opened, streams.opened.stalled) == (COUNT, 2)
        for n in range(4):
            server.send(b"data: %d%b\n\n" % (n, b"x" * 100_000))
            assert streams.delivery(5).count == COUNT
        waiting = [writer.transport.get_write_buffer_size() for writer in server._writers]
        assert sorted(map(bool, waiting)) == [False] * COUNT + [True] * 2
        closed = streams.close()
    assert closed.frames == COUNT * 4


def test_a_stream_that_the_server_closes_is_lost(programs: Path) -> None:
    with (
        Scripted(stream) as server,
        Streams(programs, server.address, "/chunked", count=COUNT) as streams,
    ):
        server.send(chunk(EVENT))
        assert streams.delivery(5).count == COUNT
        server.hang_up(2)
        end = time.monotonic() + 5
        while streams.sums().lost < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert streams.sums().open == COUNT - 2


def test_a_stream_that_is_not_answered_with_200_has_failed(programs: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) % 2:
            await stream(head, writer)
        else:
            writer.write(FORMS["busy"])

    with (
        Scripted(answer) as server,
        Streams(programs, server.address, "/raw", count=4) as streams,
    ):
        assert (streams.opened.opened, streams.opened.failed) == (2, 2)


def test_it_says_when_there_are_too_few_descriptors(programs: Path) -> None:
    with (
        Scripted(stream) as server,
        pytest.raises(RuntimeError, match="file descriptors are needed"),
        Streams(programs, server.address, "/raw", count=2_000_000_000),
    ):
        pass
