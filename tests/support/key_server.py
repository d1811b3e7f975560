"""An identity provider's web server: it publishes a document and counts who fetches it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from tests.support.keys import AUDIENCE, ISSUER, SigningKey, document

PATH: Final = "/.well-known/jwks.json"


class KeyServer:
    """Publishes keys on a free port of this machine, until it is stopped; a restart takes the same
    port.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.status = 200
        self.body = document(*keys)
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.encodings: set[str | None] = set()
        """What was said to be understood."""
        self.sent = 0
        """Bytes of all answers together."""
        self.pause = 0.0
        """Seconds between the bytes of an answer."""
        self.answering = threading.Event()
        """While this is clear nobody is answered."""
        self.answering.set()
        self.stopping = threading.Event()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def fetches(self) -> int:
        """How often it was asked for anything."""
        return len(self.paths)

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def settings(self) -> dict[str, str]:
        """What a service has to be told to trust this provider."""
        return {
            "SCOREBOARD_JWKS_URL": self.url,
            "SCOREBOARD_JWT_ISSUER": ISSUER,
            "SCOREBOARD_JWT_AUDIENCE": AUDIENCE,
        }

    def publish(self, *keys: SigningKey) -> None:
        """Have these keys from now on, and no other."""
        self.body = document(*keys)

    def start(self) -> Self:
        """Answer from now on."""
        outer = self
        self.stopping.clear()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                outer.encodings.add(self.headers["Accept-Encoding"])
                outer.answering.wait(10)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                size = 1 if outer.pause else 65_536
                for start in range(0, len(outer.body), size):
                    outer.sent += self.wfile.write(outer.body[start : start + size])
                    outer.stopping.wait(outer.pause)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that had enough

        self._server = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Be away: connections are refused."""
        self.answering.set()
        self.stopping.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
