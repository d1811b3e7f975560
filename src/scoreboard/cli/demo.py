"""What `serve --demo` needs: a schema and the demo actions. Never players."""

from __future__ import annotations

import json
from importlib.resources import files

from scoreboard.errors import SettingsError, Unavailable
from scoreboard.ledger import actions, migrations
from scoreboard.ledger.database import open_database
from scoreboard.periods import now_ms
from scoreboard.settings import Settings
from scoreboard.startup import unreachable


async def prepare(settings: Settings) -> None:
    """Bring the schema up to date, and load the demo actions that were never there: what somebody
    changed or retired stays so. Raises `SettingsError`.
    """
    document = json.loads((files("scoreboard") / "demo.json").read_text("utf-8"))
    try:
        wanted = actions.parse(document, settings.max_points)
    except ValueError as error:
        raise SettingsError(
            "SCOREBOARD_MAX_POINTS", f"too low for the demo actions: {error}"
        ) from error
    try:
        async with open_database(settings, patient=True) as database:
            await migrations.migrate(database)
            await actions.load_missing(database, wanted, actor_id="serve --demo", clock=now_ms)
    except Unavailable as error:
        raise unreachable(settings, error) from error
