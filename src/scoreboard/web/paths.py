"""What stands in a path."""

from __future__ import annotations

from starlette.convertors import Convertor


class AccountId(Convertor[str]):
    """An account's id, which is opaque: any characters, a slash and a line break among them, which
    Starlette's own `path` ends at.
    """

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        """As it stands."""
        return value

    def to_string(self, value: str) -> str:
        """As it stands."""
        return value
