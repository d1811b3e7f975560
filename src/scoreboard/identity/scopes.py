"""Scopes: which claims of a token name them, and what they are called here (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# RFC 8693, 4.2, and what Entra ID and Okta have instead.
CLAIMS: Final = ("scope", "scp")


class Scopes:
    """Finds the scopes of a token, as the operator has set it.

    `claim` names the one claim to read, instead of `scope` and `scp`: its name, or the path to a
    member of it, such as `realm_access.roles`. `names` are pairs of a provider's name and the scope
    that it gives here. If there are any, names that are not listed give nothing: a provider may
    have an `admin` of its own.
    """

    def __init__(self, claim: str = "", names: Sequence[tuple[str, str]] = ()) -> None:
        self._claim = claim
        self._names = names

    def of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The scopes that these claims give."""
        found = _named(_member(claims, self._claim)) if self._claim else as_written(claims)
        if not self._names:
            return found
        return frozenset(ours for theirs, ours in self._names if theirs in found)


def as_written(claims: Mapping[str, Any]) -> frozenset[str]:
    """What `scope` and `scp` name, untranslated."""
    return frozenset().union(*(_named(claims.get(claim)) for claim in CLAIMS))


def _named(value: object) -> frozenset[str]:
    """The names in a text, separated by spaces, or in a list, whose items are never separated: a
    role may have a space in its name.
    """
    found = value.split(" ") if isinstance(value, str) else value
    if not isinstance(found, list):
        return frozenset()
    return frozenset(name for name in found if isinstance(name, str) and name)


def _member(value: object, path: str) -> object:
    """The member of an object that a path leads to, or None.

    Names may contain dots themselves, as URLs do, so the longest name that exists is tried first.
    """
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    end = len(path)
    while (end := path.rfind(".", 0, end)) > 0:
        found = _member(value.get(path[:end]), path[end + 1 :])
        if found is not None:
            return found
    return None
