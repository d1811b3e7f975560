"""Text that people read on a board: which characters it may have (pure).

One rule for names of players and actions. It refuses what serves only to disguise or hide: control
characters, characters that turn the direction of text, and blanks that are no spaces. It accepts
what scripts and emoji need, and characters that are newer than the interpreter's Unicode tables.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# They shape emoji and several scripts, and show nothing by themselves: joiners, and the selectors
# that choose between a symbol and its picture.
_SHAPING: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")
# Format characters (Cf) beside those, separators of lines, private and broken ones.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# What shows nothing though its category is that of a letter, a mark, a symbol, or none so far:
# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), the empty Braille cell, and a
# null note.
_BLANK: Final = (
    frozenset(
        map(
            chr,
            (
                0x034F,
                *(0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2065),
                *(0x2800, 0x3164, 0xFFA0, 0x1D159),
                *range(0xFE00, 0xFE10),
                *range(0xFFF0, 0xFFF9),
                *range(0xE0000, 0xE1000),
            ),
        )
    )
    - _SHAPING
)
_VISIBLE: Final = frozenset("LNPS")

_IDEOGRAPH: Final = "[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_MONGOLIAN: Final = "[\u1820-\u18aa]"
# Sequences of characters that are refused alone (UTS 51, "Emoji Tag Sequence"; UTS 37, "Ideographic
# Variation Database"; The Unicode Standard, 13.5, "Mongolian").
_FLAG: Final = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_VARIANT: Final = (
    f"(?<={_IDEOGRAPH})[\U000e0100-\U000e01ef]"
    f"|(?<={_MONGOLIAN})(?:[\u180b-\u180d\u180f]|\u180e(?={_MONGOLIAN}))"
)
_SEQUENCE: Final = re.compile(f"({_FLAG}|{_VARIANT})")
_UNSEEN: Final = re.compile(f"[{''.join(_SHAPING)}]|{_VARIANT}")


def is_readable(text: str) -> bool:
    """Whether every character may stand where it stands."""
    return not any(_is_refused(character) for character in _SEQUENCE.sub("", text))


def can_be_seen(text: str) -> bool:
    """Whether there is anything to see in it."""
    return any(
        (unicodedata.category(character)[0] in _VISIBLE or _is_unassigned(character))
        and not _is_refused(character)
        for character in text
    )


def readable(text: str) -> str:
    """The text without the characters that may not stand in it."""
    pieces = _SEQUENCE.split(text)  # every second one is a sequence
    for index in range(0, len(pieces), 2):
        pieces[index] = "".join(one for one in pieces[index] if not _is_refused(one))
    return "".join(pieces)


def without_unseen(text: str) -> str:
    """The text without what nobody sees by itself: two texts that look alike are then the same."""
    return _UNSEEN.sub("", text)


def visible(text: str) -> str:
    """The text for a terminal. Unless all of it is readable, whatever a terminal would obey, hide
    or turn around is written as an escape: a name or a reason must not clear the screen, or forge a
    line. Applying it twice is the same as once.
    """
    if text.isprintable() or is_readable(text):
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _is_refused(character: str) -> bool:
    if character in _SHAPING:
        return False
    if character in _BLANK or unicodedata.category(character) in _REFUSED:
        return True
    # The last two of each plane, and 32 more, are no characters and never will be.
    number = ord(character)
    return number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF


def _is_unassigned(character: str) -> bool:
    """Whether the interpreter's tables do not have it: an emoji of the last years, as a rule."""
    return unicodedata.category(character) == "Cn"
