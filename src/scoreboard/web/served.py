"""What uvicorn's protocol leaves undone for the requests of a connection when the connection ends.

It knows only the newest of them, so that it tells that one alone that the client has gone; and each
request and its connection hold each other, so that only a full garbage collection would free them.
"""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class ServedProtocol(HttpToolsProtocol):
    """A connection that tells the request in service that its client has gone, and that is freed as
    soon as it has ended and that request has returned.
    """

    served: RequestResponseCycle | None = None
    """The request that is being answered, or was last."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        self.served = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it running after a reset
        if self.served is not None and not self.served.response_complete:
            self.served.disconnected = True
            self.served.message_event.set()
        if self.pipeline:
            self.pipeline.clear()
        self.served = None
        for name in ("cycle", "scope", "headers"):
            setattr(self, name, cast("Any", None))
