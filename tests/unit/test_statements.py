"""The SQL files: each with a sentence of intent, one statement, binds alone, and in use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoreboard.ledger import statements

FILES = sorted(statements.root().rglob("*.sql"))
SOURCE = "\n".join(
    path.read_text("utf-8") for path in (Path(__file__).resolve().parents[2] / "src").rglob("*.py")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_opens_with_its_intent(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert re.fullmatch(r"-- [A-Z].+", first)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_comment_has_no_colon_before_a_word(path: Path) -> None:
    """The driver would take it for a bind if the comment were not stripped."""
    for comment in re.findall(r"--[^\n]*", path.read_text("utf-8")):
        assert not re.search(r":\w", comment)


DIALECTS = ("sqlite", "postgresql")
NAMES = [(dialect, name) for dialect in DIALECTS for name in sorted(statements.load(dialect))]


@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_a_statement_is_one_and_is_used(dialect: str, name: str) -> None:
    text = statements.load(dialect)[name]
    assert ";" not in text
    assert "--" not in text
    assert f'"{name}"' in SOURCE


def test_every_statement_that_is_asked_for_exists() -> None:
    asked = re.findall(r'(?:fetch|fetch_one|scan|sweep|append|execute)\(\s*"(\w+)"', SOURCE)
    assert set(asked) - {"BEGIN", "COMMIT", "ROLLBACK"} == {name for _, name in NAMES}


def test_the_dialects_differ_only_in_how_a_batch_is_recorded_and_a_session_begins() -> None:
    sqlite, postgresql = (set(statements.load(dialect)) for dialect in DIALECTS)
    sessions = {"session_prepare", "alone_lock", "alone_take_over"}
    assert postgresql - sqlite == {"batch_record", "instant"} | sessions
    assert sqlite - postgresql == {
        "changes_lookup",
        "completions_lookup",
        "hidden_delete",
        "hidden_insert",
        "log_insert",
        "receipts",
        "scores_add",
        "scores_touch",
        "uses_put",
    }


def test_no_statement_is_put_together_in_code() -> None:
    """SQL stands in files alone, so nothing that a client sent can become a part of it."""
    assert not re.search(r'f"[^"\n]*\b(SELECT|INSERT|UPDATE|DELETE)\b', SOURCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_migrations_are_numbered_without_a_gap(dialect: str) -> None:
    steps = list(statements.migrations(dialect))
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.text.strip() for step in steps)
