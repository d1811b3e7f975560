"""A server that answers as a test says, down to the pieces in which its bytes arrive."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets a request's head and says what goes back."""

KERNEL_KEEPS = 65_536  # bytes for a reader that does not read; the rest waits in the server
LONGEST_HEAD = 1 << 24  # bytes: longer than any that a test sends
PATIENCE = 10.0  # seconds for anything that should take a moment


class Scripted:
    """Serves in a thread of its own, as long as the block lasts. `heads` are those it received."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._writers: list[asyncio.StreamWriter] = []
        self.heads: list[bytes] = []
        self.address = ("127.0.0.1", 0)

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send to everyone that is connected, in the order they came, piece by piece."""

        async def sent() -> None:
            for writer in self._writers:
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(pause)

        self._run(sent())

    def hang_up(self, count: int) -> None:
        """Close the connections of those that came first."""

        async def closed() -> None:
            for writer in self._writers[:count]:
                writer.close()

        self._run(closed())

    def _run(self, what: Awaitable[None]) -> None:
        async def awaited() -> None:
            await what

        asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self._answer(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def __enter__(self) -> Self:
        self._thread.start()

        async def started() -> None:
            listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_KEEPS)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # pieces go out at once
            self._server = await asyncio.start_server(
                self._serve, sock=listener, limit=LONGEST_HEAD
            )
            self.address = listener.getsockname()

        self._run(started())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async def stopped() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0)  # in which the transports close

        self._run(stopped())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
