"""Requests by the program of that name, and what came of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.load.programs import running, said

PLACE: Final = b"@" * 16
"""Where a template has its key: it is replaced by 16 hex digits, another number each time."""

MARGIN: Final = 60.0  # seconds beside those that were asked for: 5 of draining, and connecting


LOOK: Final = 0.05  # seconds between two looks for whether it is to end


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when a request was sent, or with a rate was due, to its last byte read."""

    p50: float
    p95: float
    p99: float
    p999: float
    max: float
    mean: float


@dataclass(frozen=True)
class Answers:
    """What came of some requests.

    `seconds`, `answered`, `rate`, `latency`, `lag_p99` and the shares are those of the measured
    window; the others count the warm-up and the end too. `broken` requests lost their connection.
    `unanswered` ones were due or sent, and had no answer 5 s after the end; the latencies have them
    with the time that they had waited by then. `lag_p99` is by how many milliseconds the client
    itself was late to send what was due although a connection was idle. `cpu_share` is the part of
    one core that the client used, `user_share` without the kernel's. `keys` are those of requests
    that were answered with 200 or 201, `body` is the beginning of the last body of a 200, and
    `sizes` are the bytes of the smallest and the largest of them.
    """

    seconds: float
    answered: int
    rate: float
    statuses: dict[int, int]
    sent: int
    broken: int
    unanswered: int
    bytes_in: int
    latency: Latency
    lag_p99: float | None
    cpu_share: float
    user_share: float
    keys: array[int]
    body: str
    sizes: tuple[int, int]


def requests(
    programs: Path,
    address: tuple[str, int],
    templates: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    warmup: float = 1.0,
    rate: float | None = None,
    first_key: int = 0,
    cores: Collection[int] | None = None,
    until: threading.Event | None = None,
) -> Answers:
    """Send requests for `warmup` and then `seconds` seconds, over so many connections.

    A connection sends its next request as soon as it has its answer, or, with a `rate`, when one is
    due: `rate` times a second over all of them. `PLACE` in a template becomes a key; keys count up
    from `first_key`. Each connection has templates of its own as long as there are enough. It ends
    earlier when `until` is set.

    Raises `RuntimeError` with the program's words when it cannot go on, for example because the
    server does not speak HTTP/1, and `TimeoutError` when it does not end.
    """
    limit = warmup + seconds + MARGIN
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile("w+") as errors:
        folder = Path(name)
        (folder / "templates").write_bytes(b"".join(b"%d\n%b" % (len(t), t) for t in templates))
        options: dict[str, object] = {
            "address": "{}:{}".format(*address),
            "templates": folder / "templates",
            "answers": folder / "keys",
            "connections": connections,
            "seconds": seconds,
            "warmup": warmup,
            "first-key": first_key,
            **({"rate": rate} if rate else {}),
        }
        words = [f"--{option}={value}" for option, value in options.items()]
        with running([programs / "requests", *words], cores, errors) as process:
            printed = _printed(process, limit, until)
        if process.returncode != 0:
            raise RuntimeError(f"requests ended with {process.returncode}: {said(errors)}")
        return _answers(json.loads(printed), (folder / "keys").read_bytes())


def _printed(process: subprocess.Popen[str], limit: float, until: threading.Event | None) -> str:
    """What it prints at its end."""
    end = time.monotonic() + limit
    while (left := end - time.monotonic()) > 0:
        if until and until.is_set():
            process.terminate()
            until = None
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=min(left, LOOK) if until else left)[0]
    raise TimeoutError(f"the requests did not end within {limit:.0f} s")


def _answers(told: dict[str, Any], kept: bytes) -> Answers:
    keys = array("Q", kept)
    if sys.byteorder == "big":
        keys.byteswap()
    seconds = told["seconds"]
    return Answers(
        seconds=seconds,
        answered=told["answered"],
        rate=told["rate"],
        statuses={int(status): count for status, count in told["statuses"].items()},
        sent=told["sent"],
        broken=told["broken"],
        unanswered=told["unanswered"],
        bytes_in=told["bytes_in"],
        latency=Latency(**told["latency"]),
        lag_p99=told["lag"]["p99"] if "lag" in told else None,
        cpu_share=told["cpu_seconds"] / seconds if seconds else 0.0,
        user_share=told["user_seconds"] / seconds if seconds else 0.0,
        keys=keys,
        body=told["body"],
        sizes=(told["sizes"]["min"], told["sizes"]["max"]),
    )
