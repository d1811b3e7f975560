"""The Lua scripts, found by name: `lua/<name>.lua`, each opened by what it is for.

They are called by their hash, many in one round trip. redis-py's own `register_script` would ask
before each pipeline whether Redis knows them: a round trip more, every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

Command = tuple[str | int, ...]
"""A command as it is sent, beginning with its name."""

_FOLDER: Final = files(__name__.rpartition(".")[0]) / "lua"


@cache
def _texts() -> dict[str, str]:
    return {
        path.name.removesuffix(".lua"): path.read_text("utf-8")
        for path in sorted(_FOLDER.iterdir(), key=lambda path: path.name)
        if path.name.endswith(".lua")
    }


# By name, the hash that Redis knows a script by: it is how Redis names them, and protects nothing.
_HASHES: Final = {
    name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    for name, text in _texts().items()
}


def script(name: str, keys: Sequence[str], *arguments: str | int) -> Command:
    """The command that runs a script. Raises `KeyError` when there is none of that name."""
    return ("EVALSHA", _HASHES[name], len(keys), *keys, *arguments)


async def send(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip; gives their answers in order.

    When Redis lost the scripts (it was restarted, or flushed) they are loaded and all commands sent
    again, hence only for commands that may run twice. Raises the first error among the answers.
    """
    answers = await _pipeline(redis, commands)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        await _pipeline(redis, [("SCRIPT", "LOAD", text) for text in _texts().values()])
        answers = await _pipeline(redis, commands)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _pipeline(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """The answers to these commands, errors among them.

    What redis-py's own pipeline does, at half of its cost: it is not a transaction, since each
    script is one already. A pooled socket that died with its server is replaced once.
    """
    try:
        return await _exchange(redis, commands)
    except RedisConnectionError:
        return await _exchange(redis, commands)


async def _exchange(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    pool = redis.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]
    try:
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [await _answer(connection) for _ in commands]
    except BaseException:
        await connection.disconnect(nowait=True)  # answers may still be on their way
        raise
    finally:
        await pool.release(connection)


async def _answer(connection: AbstractConnection) -> Any:  # noqa: ANN401 - each command has its own
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
