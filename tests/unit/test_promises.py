"""Each promise of the docs names a test, each of these tests exists, and each figure is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scoreboard.cli import serve
from scoreboard.identity import limits, provider, signatures, starts
from scoreboard.ledger import database
from scoreboard.live import broadcast
from scoreboard.settings import MIN_SECRET_BYTES, Settings
from scoreboard.web import protocol, requests

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGES = ("docs/promises.md", "SECURITY.md")
PROMISED = 8  # promises at the top of SECURITY.md
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def promises(page: str) -> Iterator[tuple[str, str]]:
    """Each promise of a page with what holds it: rows of its tables, and points of its lists."""
    text = (ROOT / page).read_text("utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = table.splitlines()
        assert head.endswith("| held by |"), head
        for row in rows:
            promise, *_, held = row.strip("| ").split(" | ")
            yield promise, held
    for point in re.findall(r"^\d+\. .*(?:\n   .*)*", text, re.MULTILINE):
        yield point.split("**")[1], point


@cache
def names_in(path: Path) -> frozenset[str]:
    """The functions at the top of a file; it need not be importable here."""
    nodes = ast.parse(path.read_text("utf-8")).body
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in nodes if isinstance(node, functions))


NAMED = [(page, *one) for page in PAGES for one in promises(page)]


@pytest.mark.parametrize(("page", "promise", "held"), NAMED, ids=[one[1] for one in NAMED])
def test_a_promise_is_held_by_tests_that_exist(page: str, promise: str, held: str) -> None:
    found = TEST.findall(held)
    assert found, f"{page}: nothing holds “{promise}”"
    for file, name in found:
        assert name.startswith("test_")
        assert (TESTS / file).exists(), file
        assert name in names_in(TESTS / file), f"{file} has no {name}"


def test_no_promise_is_made_twice_and_none_got_lost() -> None:
    made = [promise for _, promise, _ in NAMED]
    assert len(set(made)) == len(made)
    points = re.findall(r"^\d+\. ", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    assert len(points) == PROMISED


@pytest.mark.parametrize("page", PAGES)
def test_what_these_pages_point_at_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert targets
    for target in targets:
        assert (ROOT / page).parent.joinpath(target).exists(), target
    for target in re.findall(r"`((?:src|sql|tests|docs|scripts)/[\w./-]+)`", text):
        assert (ROOT / target).exists(), target


DEFAULTS = Settings()


@pytest.mark.parametrize(
    "figure",
    [
        f"key and body; {signatures.SKEW} s; a signature counts once",
        f"ends after {starts.LIFE_MS // 3_600_000} hours",
        f"{limits.LOGINS_PER_NAME.amount} tries a minute for an address and name",
        f"for an address and name, {DEFAULTS.auth_rate_limit.amount} for an address",
        f"{protocol.ARRIVAL:g} s for a request to arrive",
        f"{2 * serve.SEND_BUFFER // 1024} KiB are kept for it; after {broadcast.STUCK_AFTER:g} s",
        f"unknown keys cause one fetch in {provider.COOL_DOWN:g} s",
        f"{database.MAX_SCANS} scans at once, {database.READ_WAIT:g} s each",
        f"{MIN_SECRET_BYTES} random bytes or more",
        f"It lives for {DEFAULTS.access_token_minutes} minutes",
        f"`{requests._SANE.pattern}`",
    ],
)
def test_the_figures_of_the_page_are_those_of_the_code(figure: str) -> None:
    assert figure in re.sub(r"\s+", " ", (ROOT / "SECURITY.md").read_text("utf-8"))


def test_a_stuck_reader_is_dropped_by_whoever_notices_first() -> None:
    """The kernel and the stream have one bound."""
    assert serve.UNACKNOWLEDGED_MS == broadcast.STUCK_AFTER * 1000
    assert DEFAULTS.rate_limit.amount == 10
