"""How a command explains itself."""

from __future__ import annotations

import argparse


class Help(argparse.HelpFormatter):
    """Wraps what is written in one piece, and leaves what has lines of its own as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)
