"""Usernames: what they may hold, and how one is found in a token's claims (pure)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from scoreboard.ledger.accounts import MAX_USERNAME
from scoreboard.text import can_be_seen, is_readable, readable

CLAIMS: Final = ("username", "preferred_username", "name")

# Names are public and addresses are not. RFC 5322 allows almost any character around the @, and an
# address can be a part of the name, as in "Ada <ada@example.com>".
_EMAIL: Final = re.compile(r"[^\s@]@[^\s@]")


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
    """The username that a token suggests: its first usable name claim, else the account's id, else
    a name that is derived from the id. It never contains an e-mail address.

    Names in tokens are cleaned rather than refused, because the token itself is valid.
    """
    for text in (*(claims.get(claim) for claim in CLAIMS), account_id):
        if isinstance(text, str) and (username := _cleaned(text)):
            return username
    return f"Player {hashlib.sha256(account_id.encode()).hexdigest()[:8]}"


def _cleaned(text: str) -> str:
    whole = unicodedata.normalize("NFKC", readable(text)).strip()
    if _EMAIL.search(whole):  # before the cut, which could leave the first half of an address
        return ""
    username = readable(whole[:MAX_USERNAME]).strip()  # the cut may have split a sequence
    return username if can_be_seen(username) else ""
