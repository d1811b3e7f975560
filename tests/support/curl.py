"""The part of `curl` that the README uses, since not every machine has one."""

from __future__ import annotations

import argparse
import sys

import httpx2

SECONDS = 2.0  # for a stream, which the README watches until somebody interrupts it


def main() -> int:
    """Send one request, and print what comes back."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-N", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    options = parser.parse_args()
    headers = dict(line.split(": ", 1) for line in options.headers)
    if options.body is not None:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    method = options.method or ("GET" if options.body is None else "POST")
    timeout = httpx2.Timeout(20, read=SECONDS if options.N else 20)
    try:
        with httpx2.stream(
            method, options.url, headers=headers, content=options.body, timeout=timeout
        ) as answer:
            for chunk in answer.iter_text():
                sys.stdout.write(chunk)
                sys.stdout.flush()
    except httpx2.ReadTimeout:
        return 0 if options.N else 28  # which is curl's for a time that is over
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
