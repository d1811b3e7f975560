"""Log lines: plain on a terminal, one JSON object each elsewhere, always with the request's id."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import TextIO

from scoreboard.periods import rfc3339
from scoreboard.text import visible

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being served, empty outside of one."""

trace_id: Callable[[], str] = str
"""Gives the id of the current trace, empty without one: `telemetry/traces.py` puts its own here."""


class JsonLines(logging.Formatter):
    """One JSON object a line, for whoever collects them."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: time, level, process, logger, message, and any request id, trace id
        and error.
        """
        line: dict[str, str | int] = {
            "time": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if mine := request_id.get():
            line["requestId"] = mine
        if trace := trace_id():
            line["traceId"] = trace
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII, since people read these at terminals, too


class PlainLines(logging.Formatter):
    """Short lines for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text: time of day, level when it matters, message, request."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        mine = f"  [{request_id.get()}]" if request_id.get() else ""
        lines = [f"{self.formatTime(record, '%H:%M:%S')}  {level}{record.getMessage()}{mine}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        return "\n".join(map(visible, lines))


def configure(*, access: bool, stream: TextIO = sys.stderr) -> None:
    """Send the process's log lines to `stream`; `access` adds one for each request."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if stream.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("scoreboard").setLevel(logging.INFO)
    logging.getLogger("scoreboard.access").setLevel(logging.INFO if access else logging.WARNING)
