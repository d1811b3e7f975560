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


@pytest.mark.parametrize("name", sorted(statements.load("sqlite")))
def test_a_statement_is_one_and_is_used(name: str) -> None:
    text = statements.load("sqlite")[name]
    assert ";" not in text
    assert "--" not in text
    assert f'"{name}"' in SOURCE


def test_every_statement_that_is_asked_for_exists() -> None:
    asked = re.findall(r'(?:fetch|fetch_one|scan|execute)\(\s*"(\w+)"', SOURCE)
    assert set(asked) == set(statements.load("sqlite"))


def test_no_statement_is_put_together_in_code() -> None:
    """SQL stands in files alone, so nothing that a client sent can become a part of it."""
    assert not re.search(r'f"[^"\n]*\b(SELECT|INSERT|UPDATE|DELETE)\b', SOURCE)


def test_migrations_are_numbered_without_a_gap() -> None:
    steps = list(statements.migrations("sqlite"))
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.statements for step in steps)
