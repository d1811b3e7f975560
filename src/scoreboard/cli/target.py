"""Which server a client command talks to."""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, by default the server that these settings would start."""
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    default = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
    parser.add_argument("--url", default=default, type=_url, help=f"the server ({default})")


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise argparse.ArgumentTypeError("must look like http://127.0.0.1:8000")
    return text.rstrip("/")
