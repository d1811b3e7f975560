"""What the examples tell of: Ada, who leads with 130 points, and Grace.

They are made by the classes that make the answers.
"""

from __future__ import annotations

from typing import Final

from scoreboard import periods
from scoreboard.board import Entry
from scoreboard.identity.limits import Allowance
from scoreboard.identity.sessions import Session
from scoreboard.ledger.accounts import Account
from scoreboard.ledger.actions import Action
from scoreboard.live.snapshot import Snapshot
from scoreboard.scoring.completion import Answer, Receipt
from scoreboard.settings import TEN_A_MINUTE

AT: Final = 1_795_227_185_123  # 2026-11-21T02:13:05.123Z
ADA: Final = Account("0b6ff2dd2b0a4f3c8a52a4c9d1c7f3e1", "Ada")
GRACE: Final = Account("auth0|5f7c8ec7", "Grace")
PUZZLE: Final = Action("solve-a-puzzle", "Solve a puzzle", "As often as you can.", 5, "unlimited")
RECEIPT: Final = Receipt(4217, PUZZLE.action_id, PUZZLE.points, 130, AT)
ANSWER: Final = Answer(RECEIPT, 1).to_json()
TOP_TWO: Final = Snapshot(
    periods.current(periods.ALL_TIME, AT), (Entry(1, *ADA, 130), Entry(2, *GRACE, 125)), AT
)
REFRESH_TOKEN: Final = "an-example-of-a-refresh-token_43-characters"  # noqa: S105 - made up
SESSION: Final = Session(ADA, "header.payload.signature", REFRESH_TOKEN, 900)
ALLOWANCE: Final = Allowance(TEN_A_MINUTE, 9, 60)

ACTIONS: Final = {"actions": [PUZZLE.to_json()]}
HISTORY: Final = {"items": [RECEIPT.to_json()], "nextCursor": None}
_SELF: Final = {"userId": ADA.account_id, "username": ADA.username, "score": 130, "rank": 1}
PLAYER: Final = {
    **_SELF,
    "board": periods.ALL_TIME,
    "period": None,
    "around": [entry.to_json() for entry in TOP_TWO.entries],
}
ME: Final = {
    **_SELF,
    "boards": [
        {"board": board, "period": periods.current(board, AT).name or None, "score": 130, "rank": 1}
        for board in periods.BOARDS
    ],
}
