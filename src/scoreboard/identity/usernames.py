"""Usernames: what they may hold, and how one is found in a token's claims (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from scoreboard.ledger.accounts import MAX_USERNAME

CLAIMS: Final = ("username", "preferred_username", "name")

# Zero-width joiners shape emoji and several scripts. All other format characters (Cf), among them
# the ones that turn the direction of text, only serve to disguise a name.
_JOINERS: Final = "\u200c\u200d"
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_VISIBLE: Final = frozenset("LNPS")


def normalize(text: str) -> str:
    """The username in the form that is kept: NFKC, trimmed.

    Raises `ValueError`, which says why, when it is not 1-50 characters without control characters
    and with at least one that can be seen.
    """
    username = unicodedata.normalize("NFKC", text).strip()
    if not 1 <= len(username) <= MAX_USERNAME:
        raise ValueError(f"must have 1-{MAX_USERNAME} characters")
    if any(_is_refused(character) for character in username):
        raise ValueError("must not have control or invisible formatting characters")
    if not _can_be_seen(username):
        raise ValueError("must have a character that can be seen")
    return username


def from_claims(claims: Mapping[str, Any], account_id: str) -> str:
    """The username that a token suggests: its first usable name claim, else the account's id.

    What a stranger's token holds is cleaned rather than refused: the token is valid, after all.
    """
    for text in (*(claims.get(claim) for claim in CLAIMS), account_id):
        if isinstance(text, str) and (username := _cleaned(text)):
            return username
    return "player"


def _cleaned(text: str) -> str:
    kept = "".join(character for character in text if not _is_refused(character))
    username = unicodedata.normalize("NFKC", kept).strip()[:MAX_USERNAME].strip()
    return username if _can_be_seen(username) else ""


def _is_refused(character: str) -> bool:
    return unicodedata.category(character) in _REFUSED and character not in _JOINERS


def _can_be_seen(text: str) -> bool:
    return any(unicodedata.category(character)[0] in _VISIBLE for character in text)
