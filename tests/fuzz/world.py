"""What is known of the service while it is driven: who calls, and what there is to call about.

Random ids meet nothing but 404s. So what earlier answers named is sent again.
"""

from __future__ import annotations

import json
import random
import string
from collections import deque
from typing import Any, Final, NamedTuple

import httpx2

from scoreboard.identity.tokens import Tokens
from tests.support.server import Server

KEPT: Final = 200  # of each thing: enough to meet old ones, few enough to meet each again
LIFE: Final = 24 * 3600  # seconds that a token lives: longer than any run
ADMIN: Final = "admin scores:write"

PLAYERS: Final = (
    "ada",
    "bob",
    "cy",
    "team/dee",
    "ünï ☃",
    "a?b#c%2Fd&e",
    "..",
    "x" * 255,
)
STAFF: Final = ("boss", "clerk")

# Put again in every round, since random calls change and retire them.
ACTIONS: Final[dict[str, dict[str, Any]]] = {
    "once": {"repeat": "once"},
    "daily": {"repeat": "daily"},
    "often": {"repeat": "unlimited"},
    "quiz": {"repeat": "unlimited", "minElapsedSeconds": 1},
    "rest": {"repeat": "unlimited", "cooldownSeconds": 2},
    "thrice": {"repeat": "unlimited", "dailyLimit": 3},
    "year": {"repeat": "unlimited", "cooldownSeconds": 366 * 86_400},
}
EXTRAS: Final = ("extra-1", "extra-2", "extra-3")  # made, changed and retired by random calls


class Caller(NamedTuple):
    """Who calls: what is sent as `Authorization`, and whose token it is, if it is a good one."""

    kind: str
    authorization: str | None
    account_id: str | None = None


class Start(NamedTuple):
    """A start token, and whose and for which action it is."""

    account_id: str
    action_id: str
    token: str


class World:
    """Everything that is known, drawn from with `chance`."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.server = server
        self.chance = chance
        self.receipts: dict[str, dict[str, Any]] = {}
        self.users: deque[str] = deque([*PLAYERS, *STAFF], KEPT)
        self.completions: deque[str] = deque(maxlen=KEPT)
        self.cursors: deque[str] = deque(maxlen=KEPT)
        self.keys: deque[str] = deque(maxlen=KEPT)
        self.starts: deque[Start] = deque(maxlen=KEPT)
        self.sessions: deque[str] = deque(maxlen=KEPT)
        self.passwords: deque[tuple[str, str]] = deque(maxlen=KEPT)
        self.versions: deque[str] = deque(maxlen=KEPT)
        self._number = 0

    def prepare(self) -> None:
        """See to it that every player and every action is there."""
        with self.server.client() as client:
            staff = self._bearer(STAFF[0], scope=ADMIN)
            for action_id, limits in ACTIONS.items():
                answer = client.put(
                    f"/admin/actions/{action_id}",
                    headers=staff,
                    json={"name": action_id, "points": 3, **limits},
                )
                assert answer.status_code == 200, answer.text
            for account_id in (*PLAYERS, *STAFF):
                answer = client.get("/me", headers=self._bearer(account_id))
                assert answer.status_code == 200, answer.text

    def _bearer(self, account_id: str, **claims: str) -> dict[str, str]:
        # Not the one of the server's process: its claims are drawn, and so are these.
        return self.server.bearer(account_id, seconds=LIFE, **claims)

    def fresh(self) -> str:
        """A text that was not there before."""
        self._number += 1
        return f"fuzz-{self._number}"

    def one_of(self, known: deque[Any]) -> Any:
        """One of what is known, often a new one, or None."""
        if not known:
            return None
        return known[-1] if self.chance.random() < 0.3 else self.chance.choice(known)

    def caller(self, path: str, account_id: str | None = None) -> Caller:
        """Somebody for this path: mostly one who may, and this one if it matters."""
        if account_id is not None and self.chance.random() < 0.9:
            return self._user(account_id)
        kinds = ["admin"] * 16 if "/admin/" in path or "/scores/" in path else ["user"] * 16
        kind = self.chance.choice([*kinds, "nobody", "user", "admin", "narrow", "garbage"])
        match kind:
            case "nobody":
                return Caller(kind, None)
            case "user":
                return self._user(self.chance.choice(PLAYERS))
            case "garbage":
                return Caller(kind, self._garbage())
        scope = ADMIN if kind == "admin" else self.chance.choice(ADMIN.split())
        account_id = self.chance.choice(STAFF)
        return Caller(
            kind, self._bearer(account_id, scope=scope)["Authorization"], account_id=account_id
        )

    def _user(self, account_id: str) -> Caller:
        return Caller("user", self._bearer(account_id)["Authorization"], account_id)

    def _garbage(self) -> str:
        good = self._bearer("ada", scope=ADMIN)["Authorization"]
        place = self.chance.randrange(8, len(good))
        noise = "".join(self.chance.choices(string.printable[:94], k=40))
        other = Tokens([b"a secret of somebody else, of thirty-two bytes"])
        return self.chance.choice(
            [
                good[:place],
                good[:place] + "A.B" + good[place:],
                good.replace("Bearer", "Basic"),
                f"Bearer {noise}",
                f"Bearer {other.issue('ada', scope=ADMIN, seconds=LIFE)}",
                self.server.bearer("ada", seconds=-LIFE)["Authorization"],
                noise,
                "Bearer",
            ]
        )

    def learn(self, path: str, sent: Any, answer: Any) -> None:
        """Take in what a successful answer names, to what was sent."""
        for name, value in _named(answer):
            match name:
                case "userId" if value not in self.users:
                    self.users.append(value)
                case "completionId":
                    self.completions.append(value)
                case "nextCursor" if value:
                    self.cursors.append(value)
                case "refreshToken":
                    self.sessions.append(value)
                case "version":
                    self.versions.append(value)
        if isinstance(answer, dict) and answer.get("success") is True:
            # All but the rank is the log's, for ever.
            self.receipts[answer["completionId"]] = {**answer, "rank": None}
        if path.endswith("/register") and isinstance(sent, dict):
            self.passwords.append((sent["username"], sent["password"]))

    def starts_of(self, account_id: str, action_id: str, token: str) -> None:
        """Keep a start token, with whose it is."""
        self.starts.append(Start(account_id, action_id, token))


def _named(answer: Any) -> list[tuple[str, Any]]:
    """Every name in an answer with its value, however deep."""
    if isinstance(answer, list):
        return [pair for one in answer for pair in _named(one)]
    if not isinstance(answer, dict):
        return []
    return [*answer.items(), *(pair for value in answer.values() for pair in _named(value))]


def parsed(body: bytes | str | None) -> Any:
    """A body as JSON, None when it is none."""
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


def document_of(server: Server) -> dict[str, Any]:
    """The OpenAPI document that the server serves."""
    document: dict[str, Any] = httpx2.get(f"{server.url}/openapi.json", timeout=10).json()
    return document
