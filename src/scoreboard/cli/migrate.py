"""`scoreboard migrate`: the schema, brought up to date."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from scoreboard.cli.terminal import show
from scoreboard.errors import Unavailable
from scoreboard.ledger import migrations
from scoreboard.ledger.database import open_database
from scoreboard.settings import Settings
from scoreboard.startup import check_schema, unreachable


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "migrate",
        help="bring the database's schema up to date",
        description="Bring the schema of DATABASE_URL up to date. Takes only the steps that are "
        "missing, each in a transaction of its own; twice, or twice at once, is harmless.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Migrate and say which steps were taken."""
    return asyncio.run(_migrate(Settings.from_env(env)))


async def _migrate(settings: Settings) -> int:
    try:
        async with open_database(settings, patient=True) as database:
            taken = await migrations.migrate(database)
            await check_schema(database)  # a newer one: then an older release must not be run
    except Unavailable as error:
        raise unreachable(settings, error) from error
    for step in taken:
        show(f"took step {step}")
    show(f"{settings.database} is at step {migrations.newest(database.dialect)}")
    return 0
