"""What the examples tell of: Ada, who leads with 130 points, and Grace.

They are made by the classes that make the answers.
"""

from __future__ import annotations

import json
from typing import Final

from scoreboard import periods
from scoreboard.board import Entry
from scoreboard.identity import signatures
from scoreboard.identity.limits import Allowance
from scoreboard.identity.sessions import Session
from scoreboard.identity.starts import LIFE_MS
from scoreboard.ledger.accounts import Account
from scoreboard.ledger.actions import Action
from scoreboard.ledger.audit import Noted
from scoreboard.live.snapshot import Snapshot
from scoreboard.scoring.completion import Answer, Receipt
from scoreboard.settings import TEN_A_MINUTE

AT: Final = 1_795_227_185_123  # 2026-11-21T02:13:05.123Z
ADA: Final = Account("0b6ff2dd2b0a4f3c8a52a4c9d1c7f3e1", "Ada")
GRACE: Final = Account("auth0|5f7c8ec7", "Grace")
PUZZLE: Final = Action("solve-a-puzzle", "Solve a puzzle", "As often as you can.", 5, "unlimited")
QUIZ: Final = Action(
    "weekly-quiz", "The quiz", "", 20, "daily", min_elapsed_seconds=60, cooldown_seconds=86_400
)
RECEIPT: Final = Receipt(4217, PUZZLE.action_id, PUZZLE.points, 130, AT)
ANSWER: Final = Answer(RECEIPT, 1).to_json()
TOP_TWO: Final = Snapshot(
    periods.current(periods.ALL_TIME, AT), (Entry(1, *ADA, 130), Entry(2, *GRACE, 125)), AT
)
# As a backend signs it: the secret, what is signed beside the body, and the bytes of the body.
SIGNING_SECRET: Final = "an example of a secret, 32 bytes or more"  # noqa: S105 - made up
TIMESTAMP: Final = str(AT // 1000)
KEY: Final = "match-4711"
INCREMENT: Final = {"userId": ADA.account_id, "points": 5}
INCREMENT_BODY: Final = json.dumps(INCREMENT, separators=(",", ":"))
SIGNATURE: Final = signatures.sign(
    SIGNING_SECRET.encode(),
    timestamp=TIMESTAMP,
    method="POST",
    path="/api/v1/scores/increment",
    key=KEY,
    body=INCREMENT_BODY.encode(),
)
_REASON: Final = "Points for a prize."
ADJUSTMENT: Final = {"userId": ADA.account_id, "points": -10, "reason": _REASON}
CORRECTION: Final = {"reason": "A bot played."}
NOTED: Final = Noted(
    12,
    AT,
    "cli:root",
    "adjustment",
    ADA.account_id,
    _REASON,
    {"completionId": "4219", "points": -10},
)
REFRESH_TOKEN: Final = "an-example-of-a-refresh-token_43-characters"  # noqa: S105 - made up
SESSION: Final = Session(ADA, "header.payload.signature", REFRESH_TOKEN, 900)
ALLOWANCE: Final = Allowance(TEN_A_MINUTE, 9, 60)

ACTIONS: Final = {"actions": [PUZZLE.to_json(), QUIZ.to_json()]}
START: Final = {
    "startToken": "header.payload.signature",
    "expiresAt": periods.rfc3339(AT + LIFE_MS),
}
QUIZ_CHANGE: Final = {
    **{name: value for name, value in QUIZ.to_json().items() if name != "actionId"},
    "reason": "A new game.",
}
INCREMENTED: Final = Answer(Receipt(4218, None, 5, 135, AT), 1).to_json()
ADJUSTED: Final = Answer(Receipt(4219, None, -10, 125, AT), 2).to_json()
VOIDED: Final = Answer(RECEIPT._replace(log_id=4220, points=-5, new_score=120), 2).to_json()
HIDDEN: Final = {
    "userId": ADA.account_id,
    "username": ADA.username,
    "hidden": True,
    "score": 130,
    "changedAt": periods.rfc3339(AT),
}
TRAIL: Final = {"items": [NOTED.to_json()], "nextCursor": None}
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
