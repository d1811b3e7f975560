"""How a command explains itself, and how it reads what it is told."""

from __future__ import annotations

import argparse
from typing import NoReturn

from scoreboard.errors import ValidationFailed
from scoreboard.text import visible
from scoreboard.web import parse


class Help(argparse.HelpFormatter):
    """Wraps what is written in one piece, and leaves what has lines of its own as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are made visible: they quote words of the command line, which may
    have been copied from anywhere.
    """

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and exit with status 2."""
        super().error(visible(message))


def text_of(given: str, field: str, longest: int) -> str:
    """A word of the command line, by the rules of a request's body. Raises `ValidationFailed`."""
    return parse.text({field: _readable(given, field)}, field, longest=longest)


def reason_of(given: str) -> str:
    """The reason for a change, by the rules of a request's body. Raises `ValidationFailed`."""
    why = parse.reason({"reason": _readable(given, "reason")}, required=True)
    assert why is not None  # noqa: S101 - it is required
    return why


def _readable(given: str, field: str) -> str:
    try:
        given.encode()
    except UnicodeEncodeError:  # bytes that are no text come as halves of surrogate pairs
        raise ValidationFailed(field, "is not UTF-8 text") from None
    return given
