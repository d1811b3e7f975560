"""Who gives a command, for the audit trail."""

from __future__ import annotations

import getpass
import os

from scoreboard.identity.claims import MAX_ACCOUNT_ID

PREFIX = "cli:"


def actor() -> str:
    """`cli:` and the login name, or the number of a user who has none that can be shown."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may be a mere number
        name = ""
    if not name.isprintable() or not 1 <= len(name) <= MAX_ACCOUNT_ID - len(PREFIX):
        name = f"uid-{os.getuid()}"
    return f"{PREFIX}{name}"
