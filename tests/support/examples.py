"""The examples of a page of the docs, as somebody would copy them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def examples(page: str, language: str) -> list[str]:
    """The code of a page in one language, in the order in which it stands there."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
