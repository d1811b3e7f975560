"""Usernames: what they may hold, and how one is found in a token's claims (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from scoreboard.ledger.accounts import MAX_USERNAME, SHAPING

CLAIMS: Final = ("username", "preferred_username", "name")

# Format characters (Cf) beside those of `SHAPING`, among them the ones that turn the direction of
# text, only serve to disguise a name.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What shows nothing though its category is that of a letter, a mark or a symbol: Unicode's
# Default_Ignorable_Code_Point (DerivedCoreProperties.txt), the empty Braille cell, and a null note.
_BLANK: Final = frozenset(
    map(
        chr,
        (
            0x034F,
            *(0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F),
            *(0x2800, 0x3164, 0xFFA0, 0x1D159),
            *range(0xFE00, 0xFE10),
            *range(0xE0000, 0xE1000),
        ),
    )
) - frozenset(SHAPING)
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
    if not can_be_seen(username):
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
    return username if can_be_seen(username) else ""


def can_be_seen(text: str) -> bool:
    """Whether there is anything to see in it."""
    return any(
        unicodedata.category(character)[0] in _VISIBLE and not _is_refused(character)
        for character in text
    )


def _is_refused(character: str) -> bool:
    if character in SHAPING:
        return False
    return unicodedata.category(character) in _REFUSED or character in _BLANK
