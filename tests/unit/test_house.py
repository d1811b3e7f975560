"""The house is in order: imports run one way, a library lives in one room, docs are true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "scoreboard"

# What gives something that depends on the time, or is good for a while only.
TIMED = frozenset(
    {"time", "monotonic", "now", "now_ms", "today", "signed", "claims", "issue", "bearer"}
)

# Each room may import from those to its right of the arrow, and from itself.
FLOORS = {
    "cli": {
        "web",
        "wiring",
        "app",
        "identity",
        "scoring",
        "live",
        "board",
        "ledger",
        "telemetry",
        "startup",
    },
    "app": {"web", "wiring"},
    "web": {"wiring", "identity", "scoring", "live", "board", "ledger", "telemetry"},
    "wiring": {"startup", "identity", "scoring", "live", "board", "ledger"},
    "startup": {"board", "ledger"},
    "identity": {"board", "ledger"},
    "scoring": {"board", "ledger"},
    "live": {"board"},
    "board": {"ledger"},
    "ledger": set(),
    "telemetry": set(),
    "settings": set(),
    "values": set(),
    "addresses": set(),
    "periods": set(),
    "errors": set(),
    "text": set(),
    "batcher": set(),
}
GROUND = {"settings", "values", "addresses", "periods", "errors", "text", "batcher", "telemetry"}

LIBRARIES = {
    "databases": {"ledger/connection.py"},
    "sqlite3": {"ledger/sqlite.py"},
    "aiosqlite": {"ledger/sqlite.py"},
    "asyncpg": {"ledger/postgres_server.py", "ledger/postgres_session.py"},
    "hiredis": {"board/redis/link.py"},
    "redis": {f"board/redis/{name}.py" for name in ("link", "scripts", "subscription")},
    "prometheus_client": {"telemetry/metrics.py"},
    "opentelemetry": {"telemetry/traces.py"},
    "sse_starlette": {"live/sse.py"},
    "authlib": {"identity/tokens.py"},
    "joserfc": {f"identity/{name}.py" for name in ("tokens", "claims", "jwks", "starts")},
    "argon2": {"identity/passwords.py"},
    "limits": {"identity/windows.py"},
    "sortedcontainers": {"board/ranking.py"},
    "uvicorn": {"cli/serve.py", "web/protocol.py", "web/served.py"},
    "httptools": {"web/protocol.py"},
    "httpx2": {"cli/watch.py", "cli/simulate.py", "identity/provider.py"},
}


def imports() -> Iterator[tuple[str, str]]:
    """Each (file, imported module) of the package."""
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module == "scoreboard":
                    yield from ((name, f"scoreboard.{alias.name}") for alias in node.names)
                else:
                    yield name, node.module


def test_imports_run_one_way() -> None:
    for name, module in imports():
        if not module.startswith("scoreboard.") or name.startswith("__"):
            continue
        room, imported = name.partition("/")[0].removesuffix(".py"), module.split(".")[1]
        assert imported in FLOORS[room] | GROUND | {room, "__version__"}, f"{name} → {module}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_lives_in_one_room(library: str) -> None:
    users = {name for name, module in imports() if module.split(".")[0] == library}
    assert users == LIBRARIES[library]


def test_the_wheel_holds_all_that_it_needs(tmp_path: Path) -> None:
    """The installed package alone: no checkout beside it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = (
        "from scoreboard.ledger import statements, migrations;"
        "from scoreboard.app import create_app;"
        "from scoreboard.settings import Settings; create_app(Settings());"
        "print(statements.root(), migrations.newest('sqlite'))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert printed == [str(tmp_path / "installed" / "scoreboard" / "sql"), "2"]


def test_the_check_of_a_submission_is_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^(make \w+)", readme, re.MULTILINE)
    assert commands[:2] == ["make run", "make test"]
    assert "exec make test" in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "ARCHITECTURE.md",
        "docs/decisions.md",
        "docs/deploy.md",
        "docs/performance.md",
        "docs/scaling.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ],
)
def test_what_the_docs_point_at_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(r"`((?:src|sql|tests|docs|scripts)/[\w./-]+)`", text)
    for target in links:
        assert (ROOT / page).parent.joinpath(target).exists(), target
    for target in paths:
        assert (ROOT / target).exists(), target


def test_the_figures_of_the_readme_are_those_of_the_last_bench() -> None:
    """Each stands in a table of the report that `make bench` wrote."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## How fast it is")[2].partition("\n## ")[0]
    cells = [line.split("|")[2:] for line in section.splitlines() if line.startswith("| ")]
    figures = re.findall(
        r"(?<= )[0-9][0-9,.]*(?= |$)", "\n".join(map(" ".join, cells)), re.MULTILINE
    )
    report = (ROOT / "bench" / "results" / "README.md").read_text("utf-8")
    measured = set(re.findall(r"[0-9][0-9,.]*", report))
    assert len(figures) >= 12
    assert {figure.rstrip(",.") for figure in figures} <= measured
    assert "make bench" in section


def test_the_pins_name_no_package_index_and_pin_exactly() -> None:
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text("utf-8").splitlines():
            assert "://" not in line
            assert line.startswith(("#", "--editable .")) or re.match(r"[a-z0-9-]+==[\w.]+", line)


def test_every_public_thing_says_what_it_is() -> None:
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                holder = node.name
                public = not holder.startswith("_") or holder == "__call__"
                if public and not _is_hidden(tree, node):
                    assert ast.get_docstring(node), f"{path.name}: {holder}"


def _is_hidden(tree: ast.Module, wanted: ast.AST) -> bool:
    """Whether it stands inside a function or a private class."""
    for node in ast.walk(tree):
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (
            isinstance(node, ast.ClassDef) and node.name.startswith("_")
        )
        if inside and node is not wanted and any(child is wanted for child in ast.walk(node)):
            return True
    return False


def called_on_import(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that a module makes when it is imported: not those in the bodies of functions."""
    if isinstance(node, ast.Call):
        yield node
    skipped: list[ast.AST] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        skipped = [*node.body]
    elif isinstance(node, ast.Lambda):
        skipped = [node.body]
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from called_on_import(child)


def test_no_test_reads_the_clock_while_it_is_imported() -> None:
    """A suite may run for an hour: what was made at its start is too old by then."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for call in called_on_import(ast.parse(path.read_text("utf-8")))
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in TIMED
    ]
    assert found == []


def test_commands_print_through_the_terminal_alone() -> None:
    """There everything is made visible; a `print` of its own would be one to be forgotten."""
    for path in SOURCE.rglob("*.py"):
        if path != SOURCE / "cli" / "terminal.py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                assert name not in ("print", "sys.stdout.write", "sys.stderr.write"), path
