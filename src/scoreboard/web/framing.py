"""Where a request ends, when there is one way only to read that.

Two servers in a row that differ about it can be made to take a part of one client's request for the
next client's (request smuggling). The parser refuses most of what is ambiguous; here is the rest,
which it lets through. Pure; `tests/service/test_smuggling.py` tries both over sockets.
"""

from __future__ import annotations

from typing import Final

LOOKED_AT: Final = frozenset((b"host", b"transfer-encoding", b"content-length"))
"""The names of the headers that `mark` wants to see, in lower case."""

BODILESS: Final = 1
"""The marks of a head with one Host and no body, which most requests have."""

_HOST: Final = BODILESS
_CHUNKED: Final = 2
_LENGTH: Final = 4
_AMBIGUOUS: Final = 8


def mark(marks: int, name: bytes, value: bytes) -> int:
    """The marks of a head, which begin with 0, after one more header of `LOOKED_AT`."""
    if name == b"host":
        return marks | (_AMBIGUOUS if marks & _HOST else _HOST)
    if name == b"content-length":
        return marks | (_LENGTH if value.strip(b"0") else 0)
    # With another coding before `chunked` servers differ in what they make of it.
    return marks | (_CHUNKED if value.lower() == b"chunked" else _AMBIGUOUS)


def is_clear(marks: int, version: str, method: bytes, target: bytes, *, upgrades: bool) -> bool:
    """Whether a head can be read in one way only. `upgrades` says that the parser takes what
    follows for another protocol.
    """
    if marks & _AMBIGUOUS or b"#" in target:  # a fragment is never sent: some servers cut it off
        return False
    if upgrades and (marks & (_CHUNKED | _LENGTH) or method == b"CONNECT"):
        return False  # the body would be taken for the other protocol
    if version == "1.1":
        return bool(marks & _HOST)  # RFC 9112, 3.2
    # A server that knows only 1.0 has never heard of chunks, and would read on behind the head.
    return version == "1.0" and not marks & _CHUNKED
