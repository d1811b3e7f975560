"""Usernames: what they may hold, and how one is found in a token's claims (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from scoreboard.ledger.accounts import MAX_USERNAME
from scoreboard.text import can_be_seen, is_readable, readable

CLAIMS: Final = ("username", "preferred_username", "name")


def normalize(text: str) -> str:
    """The username in the form that is kept: NFKC, trimmed.

    Raises `ValueError`, which says why, when it is not 1-50 characters without control characters
    and with at least one that can be seen.
    """
    username = unicodedata.normalize("NFKC", text).strip()
    if not 1 <= len(username) <= MAX_USERNAME:
        raise ValueError(f"must have 1-{MAX_USERNAME} characters")
    if not is_readable(username):
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
    whole = unicodedata.normalize("NFKC", readable(text)).strip()
    username = readable(whole[:MAX_USERNAME]).strip()  # the cut may have split a sequence
    return username if can_be_seen(username) else ""
