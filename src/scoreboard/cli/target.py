"""Which server a client command talks to."""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

from scoreboard.text import visible
from scoreboard.values import given


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, by default the server that these settings would start."""
    host, port = given(os.environ, "HOST") or "127.0.0.1", given(os.environ, "PORT") or "8000"
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - every address
    default = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # argparse takes a % in the text of a help for a placeholder: an IPv6 zone has one.
    shown = visible(default).replace("%", "%%")
    parser.add_argument("--url", default=default, type=_url, help=f"the server ({shown})")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_right = is_right and text.isprintable() and " " not in text
    except ValueError:  # a port that is none
        is_right = False
    if not is_right:
        raise argparse.ArgumentTypeError("must look like http://127.0.0.1:8000")
    return text.rstrip("/")
