"""What is counted and measured, in one place: the only module that knows `prometheus_client`.

Every metric is an object of this module, named `scoreboard_` and its subject, in seconds, bytes or
plain numbers; its text here is the documentation that a scrape carries too. What a label can say is
bounded: routes by their templates, boards by their names, outcomes and stages by the lists below.

One process keeps its values in memory. Several share a folder of memory-mapped files, one set a
process, and a scrape of any of them tells the sum: `cli/workers.py` makes the folder and names it
in the environment before a worker imports this module, since the library decides at import. There
is no `process_*` then: those tell of the one process that happens to answer. The modes of the
gauges are all `live`: what a dead worker held is held no more. What it counted stays counted.
"""

# mypy: allow-untyped-calls
# The library has types for its metrics, and none for what several processes need.

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from scoreboard.periods import BOARDS

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that names the folder which several processes share."""

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""What `exposition` is written in."""

OTHER: Final = "other"
"""The route of a request that met none, and the method of one with an unheard-of method."""

_LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # up to the batcher's bound
_KINDS: Final = ("counter", "histogram")  # the files that outlive the process that wrote them
_RETIRED: Final = "retired"  # stands for the process id in the files of all that are gone

disable_created_metrics()  # a series more for each, which several processes could not tell anyway
_REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=_REGISTRY)

WORKERS: Final = Gauge(
    "scoreboard_workers",
    "Processes that serve",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)

# The process: cli/garbage.py.
FULL_COLLECTION_SECONDS: Final = Histogram(
    "scoreboard_full_collection_seconds",
    "How long a process stopped to look through all objects for garbage, which it does while it is "
    "idle",
    buckets=_LATENCIES,
    registry=_REGISTRY,
)

# Requests: web/requests.py.
REQUESTS: Final = Counter(
    "scoreboard_requests_total",
    "Requests answered, streams when they begin; status `none` when the client went away first",
    ["route", "method", "status"],
    registry=_REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "scoreboard_request_seconds",
    "From a request's head to the end of its answer; streams are left out",
    ["route"],
    buckets=_LATENCIES,
    registry=_REGISTRY,
)

CONNECTIONS_REFUSED: Final = Counter(
    "scoreboard_connections_refused_total",
    "Connections closed at once, since there were as many as may be in the `process`, or of one "
    "`address`",
    ["bound"],
    registry=_REGISTRY,
)

# Completions: scoring/.
COMPLETIONS: Final = Counter(
    "scoreboard_completions_total",
    "Completions by what became of them: recorded; replayed, the same key again; repeated, done "
    "before; refused, by a rule; unavailable, not recorded and safe to send again",
    ["outcome"],
    registry=_REGISTRY,
)
CHANGES: Final = Counter(
    "scoreboard_changes_total",
    "What trusted backends and staff wrote, by its kind and what became of it: recorded; replayed, "
    "the same again; refused, by a rule",
    ["kind", "outcome"],
    registry=_REGISTRY,
)
BATCH_SIZE: Final = Histogram(
    "scoreboard_batch_size",
    "Completions and changes that shared one transaction",
    buckets=_SIZES,
    registry=_REGISTRY,
)
BATCH_STAGE_SECONDS: Final = Histogram(
    "scoreboard_batch_stage_seconds",
    "How long a batch took in each stage: commit, until it was durable; board, until it was ranked",
    ["stage"],
    buckets=_LATENCIES,
    registry=_REGISTRY,
)
STAGE_COMMIT: Final = BATCH_STAGE_SECONDS.labels("commit")
STAGE_BOARD: Final = BATCH_STAGE_SECONDS.labels("board")
BATCH_WAITING: Final = Gauge(
    "scoreboard_batch_waiting",
    "Completions that wait for the next batch",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)

# Streams: live/.
STREAMS_OPEN: Final = Gauge(
    "scoreboard_streams_open",
    "Streams that are open now",
    ["board"],
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)
STREAM_FRAMES: Final = Counter(
    "scoreboard_stream_frames_total",
    "Snapshots handed to streams",
    registry=_REGISTRY,
)
STREAM_BYTES: Final = Counter(
    "scoreboard_stream_bytes_total",
    "Bytes of these snapshots, before chunks and any TLS",
    registry=_REGISTRY,
)
STREAM_FRAMES_SKIPPED: Final = Counter(
    "scoreboard_stream_frames_skipped_total",
    "States that a stream never got, since a newer one was there before its reader had taken the "
    "last",
    registry=_REGISTRY,
)
STREAMS_STALLED: Final = Counter(
    "scoreboard_streams_stalled_total",
    "Streams closed since their readers took nothing",
    registry=_REGISTRY,
)

# Boards: live/publisher.py and board/.
BOARD_READ_TIMESTAMP: Final = Gauge(
    "scoreboard_board_read_timestamp_seconds",
    "Unix time at which the process that is furthest behind last read the board for its streams, "
    "which is done when it has changed: a quiet board is old and right",
    ["board"],
    registry=_REGISTRY,
    multiprocess_mode="livemin",
)
BOARD_READS_FAILED: Final = Counter(
    "scoreboard_board_reads_failed_total",
    "Reads of a board for the streams that failed: they show what was before, and are behind",
    ["board"],
    registry=_REGISTRY,
)
BOARD_LOADS: Final = Counter(
    "scoreboard_board_loads_total",
    "Times that a board was loaded whole from the score rows",
    ["board"],
    registry=_REGISTRY,
)
DRIFT_FOUND: Final = Counter(
    "scoreboard_drift_found_total",
    "Places on a board that differed from their score rows",
    registry=_REGISTRY,
)
DRIFT_REPAIRED: Final = Counter(
    "scoreboard_drift_repaired_total",
    "Places on a board that were put right after their score rows",
    registry=_REGISTRY,
)

# What the service stands on. Up until found away, so that what is not configured is never down.
REDIS_UP: Final = Gauge(
    "scoreboard_redis_up",
    "0 while any process finds Redis away",
    registry=_REGISTRY,
    multiprocess_mode="livemin",
)
DATABASE_UP: Final = Gauge(
    "scoreboard_database_up",
    "0 while any process finds the database away",
    registry=_REGISTRY,
    multiprocess_mode="livemin",
)
DATABASE_READS_ACTIVE: Final = Gauge(
    "scoreboard_database_reads_active",
    "Reads of the database under way",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)
DATABASE_WRITES_WAITING: Final = Gauge(
    "scoreboard_database_writes_waiting",
    "Changes that wait for the database's writer",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)
DATABASE_SCANS_WAITING: Final = Gauge(
    "scoreboard_database_scans_waiting",
    "Reads through many rows that wait for their turn",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)

# A rate needs the zero that it began from: what is known beforehand is there from the start.
for _outcome in ("recorded", "replayed", "repeated", "refused", "unavailable"):
    COMPLETIONS.labels(_outcome)
for _board in BOARDS:
    STREAMS_OPEN.labels(_board)
    BOARD_READS_FAILED.labels(_board)
    BOARD_LOADS.labels(_board)
REDIS_UP.set(1)
DATABASE_UP.set(1)


def exposition() -> bytes:
    """All of it as text for Prometheus, of every process that shares the folder."""
    if not (folder := os.environ.get(FOLDER)):
        return generate_latest(_REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)
    with _locked(Path(folder), fcntl.LOCK_SH):
        return generate_latest(registry)


def retire(folder: Path, pid: int) -> None:
    """A process of this folder has died: its gauges go, and what it counted is added to one account
    of all that are gone. So the folder does not grow with every process that there ever was.
    """
    mark_process_dead(pid, folder)
    with _locked(folder, fcntl.LOCK_EX):
        for kind in _KINDS:
            own, retired = folder / f"{kind}_{pid}.db", folder / f"{kind}_{_RETIRED}.db"
            if own.exists():
                _add(own, retired)
                own.unlink()


def _add(own: Path, retired: Path) -> None:
    """Add the values of one file to those of another, which readers see whole or not at all."""
    sums: defaultdict[str, float] = defaultdict(float)
    for path in (retired, own):
        if path.exists():
            for key, value, _, _ in MmapedDict.read_all_values_from_file(path):
                sums[key] += value
    unfinished = retired.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    written = MmapedDict(unfinished)
    for key, value in sums.items():
        written.write_value(key, value, 0.0)
    written.close()
    unfinished.replace(retired)


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Keep a scrape from seeing what a dead process counted twice, or not at all."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)
