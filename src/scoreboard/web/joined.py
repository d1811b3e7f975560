"""An answer's head and the first part of its body, in one piece.

uvicorn writes them one after the other, and uvloop hands each to the kernel at once: two system
calls, two packets, and for the client two wake-ups. The ASGI specification lets a server wait with
the head for the first part of the body ("Response Start").
"""

from __future__ import annotations

import asyncio
from typing import Final

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Joined:
    """What stands for the transport of a connection while one answer is written."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # empty when it has gone

    def write(self, data: bytes) -> None:
        """Keep the head; send it with what comes next, and from then on everything at once."""
        if self._head is None and data != _CONTINUE:
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head of an answer that has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send what is left, and close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()
