"""The signing secret: given by the operator, or made once and kept beside the database file."""

from __future__ import annotations

import codecs
import os
import secrets
import tempfile
from pathlib import Path

from scoreboard.addresses import SqliteFile
from scoreboard.errors import SettingsError
from scoreboard.ledger.sqlite_files import beside, tighten
from scoreboard.settings import MIN_SECRET_BYTES, Settings


def signing_secrets(settings: Settings, *, may_make: bool = True) -> list[bytes]:
    """The secrets, the signing one first.

    Where none is set, one is kept beside the database file; a server makes it when it is missing.
    What a command signs must be valid on a server that has its secret already: without `may_make`
    a missing file is an error.

    Raises `SettingsError` when the kept file cannot be made or read, or holds too little.
    """
    own = settings.jwt_secret
    if own is None:
        # With a server there is no file to keep it beside, and `Settings` has refused it.
        assert isinstance(settings.database, SqliteFile)  # noqa: S101
        own = _kept(settings.database.path, may_make=may_make)
    return [own, *settings.jwt_previous_secrets]


def secret_file(database: Path) -> Path:
    """Where the made secret of a database file is kept: beside the file, or beside the link to it
    that is named, where earlier releases made it.
    """
    named = database.with_name(database.name + ".secret")
    return named if named.exists() else beside(database, ".secret")


def _kept(database: Path, *, may_make: bool) -> bytes:
    path = secret_file(database)
    try:
        if not path.exists():
            if not may_make:
                raise SettingsError(
                    "SCOREBOARD_JWT_SECRET",
                    f"unset, and there is no {path.absolute()}: set it to the server's, or run "
                    "this in the folder of the server's database",
                )
            _make(path)
        tighten(path)
        # Somebody may have saved it in an editor: neither its mark nor a line end is of the secret.
        secret = path.read_bytes().removeprefix(codecs.BOM_UTF8).strip()
    except OSError as error:
        raise SettingsError(
            "SCOREBOARD_JWT_SECRET", f"unset, and {path} cannot be used: {error.strerror}"
        ) from error
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(
            "SCOREBOARD_JWT_SECRET", f"unset, and {path} holds less than {MIN_SECRET_BYTES} bytes"
        )
    return secret


def _make(path: Path) -> None:
    """Write a new secret and link it into place whole: two processes at once agree on one."""
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
