"""SQL stands in files with binds; what little is in code is whole, and nothing is added to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
WORDS = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|VALUES|PRAGMA|ORDER BY)\b")


def put_together(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a text that is made of others: by f"", by + and %, by format and join."""
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        yield from (node.left, node.right)
    elif isinstance(node, ast.Call):
        of = node.func
        if isinstance(of, ast.Attribute) and of.attr in ("format", "format_map", "join", "replace"):
            yield from (of.value, *node.args)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.name)
def test_no_statement_is_put_together_of_parts(path: Path) -> None:
    """So nothing that a client has sent can become a part of one."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    for part in (part for node in nodes for part in put_together(node)):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            assert not WORDS.search(part.value), f"line {part.lineno}: {part.value}"
