"""The `scoreboard` command: a module a subject, with `add` (words) and `run` (work)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from scoreboard import __version__
from scoreboard.cli import (
    actions,
    audit,
    corrections,
    migrate,
    rebuild,
    serve,
    simulate,
    token,
    watch,
)
from scoreboard.cli.terminal import complain, trace
from scoreboard.cli.words import Help, Parser
from scoreboard.errors import RequestError, SettingsError

COMMANDS: Final = (
    serve,
    migrate,
    actions,
    corrections,
    audit,
    token,
    watch,
    simulate,
    rebuild,
)

EPILOG: Final = """\
start here:
  scoreboard serve --demo           a live board with three demo actions, on SQLite
  scoreboard watch                  the same top 10 in this terminal
  scoreboard simulate               let 200 made-up players play on it

Settings are environment variables; .env.example lists each with its default.
`scoreboard COMMAND --help` says more about a command; `scoreboard` alone is `scoreboard serve`.
"""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = Parser(
        prog="scoreboard",
        description="People complete actions, the server decides the points, and everyone watching "
        "sees the top 10 move.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    top.add_argument("--version", action="version", version=f"scoreboard {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status: 0 done, 1 failed, 2 asked for wrongly."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(words or ["serve"])
    try:
        status = int(options.run(options, os.environ))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our lines has had enough. What is still buffered must not fail once more at
        # exit (docs.python.org/3/library/signal.html, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SettingsError as error:
        complain(str(error))
        return 2
    except RequestError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - a bug, or a failure that no command expects
        trace(error)
        return 1
    return status
