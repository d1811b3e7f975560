"""Which of a connection's requests is being served: uvicorn knows only the newest one, and tells
that one alone when the client has gone.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class ServedProtocol(HttpToolsProtocol):
    """A connection that tells the request in service, too, when its client has gone."""

    served: RequestResponseCycle | None = None
    """The request that is being answered, or was last."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        self.served = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        if self.served is not None and not self.served.response_complete:
            self.served.disconnected = True
            self.served.message_event.set()
