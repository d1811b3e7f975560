"""What was written down stays: nothing changes or removes a row of the log or of the trail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoreboard import app
from scoreboard.ledger import statements

CHANGING = r"(?:UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|REPLACE\s+INTO|MERGE\s+INTO)"
KEPT = r"(?:action_log|audit)"


@pytest.mark.parametrize(
    "path", sorted(statements.root().rglob("*.sql")), ids=lambda path: path.name
)
def test_no_statement_changes_or_removes_what_is_kept(path: Path) -> None:
    """Nor does a function of the database, nor a step of the schema."""
    text = re.sub(r"--[^\n]*", "", path.read_text("utf-8"))
    assert not re.search(rf"\b{CHANGING}\s+{KEPT}\b", text, re.IGNORECASE)


def test_the_trail_can_be_read_and_nothing_else() -> None:
    """Whoever asks: there is no route that could change it."""
    (route,) = (one for one in app.ROUTES if "audit" in one.path)
    assert route.methods == {"GET", "HEAD"}
