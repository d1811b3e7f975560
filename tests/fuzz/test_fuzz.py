"""A short run; `make fuzz` has a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.audit import assert_sound
from tests.fuzz.rounds import drive
from tests.fuzz.target import ENGINES, open_target
from tests.support.backends import Postgres

SEED = 1
ROUNDS = 1
SECONDS = 20.0  # at most


@pytest.mark.parametrize("engine", ENGINES)
def test_random_requests_get_the_answers_that_the_document_declares(
    engine: str, tmp_path: Path, postgres: Postgres
) -> None:
    """And no other, whoever calls with whatever; and then all that was answered is in the log."""
    with open_target(engine, tmp_path, postgres) as target:
        report = drive(target, SEED, seconds=SECONDS, rounds=ROUNDS)
        assert not report.failures, "\n\n".join(report.shown())
        assert_sound(target, report.receipts)
    assert report.cases > 300
