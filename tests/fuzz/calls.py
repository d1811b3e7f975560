"""From a drawn case to a request on the wire: who sends it, about what, and how it is signed."""

from __future__ import annotations

import json
import random
import shlex
import time
from collections import deque
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import requests
from schemathesis import APIOperation, GenerationMode
from schemathesis import Case as CaseOf

from scoreboard.identity import signatures
from scoreboard.web.parse import MAX_BODY
from tests.fuzz.target import SIGNING
from tests.fuzz.world import ACTIONS, EXTRAS, Caller, Start, World

Operation = APIOperation[Any, Any, Any, Any]
Case = CaseOf[Operation]

KNOWN: Final = 0.85  # of the well-formed cases are about something that is there
TIME_LIMIT: Final = 10.0  # seconds for an answer: the service's own waits are shorter
KEY: Final = "Idempotency-Key"

# Where a client or a proxy writes rubbish into a body that was well formed.
GARBLED: Final = 0.1
_RUBBISH: Final = (b"\x00", b"\xff\xfe", b"{", b"[" * 100_000, b",", b'"', b"NaN", b"\xed\xa0\x80")


class Call(NamedTuple):
    """A request as it is sent. `is_garbled` when its body is not the case's any more."""

    case: Case
    caller: Caller
    request: requests.PreparedRequest
    is_garbled: bool = False

    @property
    def operation(self) -> str:
        """Which operation of the document it calls."""
        return str(self.case.operation.label)

    @property
    def is_negative(self) -> bool:
        """Whether something in it is what the document does not allow."""
        meta = self.case.meta
        return bool(meta and meta.generation.mode.is_negative)


def call_of(case: Case, mode: GenerationMode, world: World) -> Call:
    """The call that a case makes in this world. Raises what `requests` refuses to send."""
    path, chance = case.operation.path, world.chance
    start = None
    if mode is GenerationMode.POSITIVE and chance.random() < KNOWN:
        start = _about_known(case, world)
    elif chance.random() < KNOWN:
        for name in case.path_parameters or {}:
            if _is_well_formed_path(case):
                _set_in_path(case, name, world)
    caller = world.caller(path, start.account_id if start else None)
    if path.endswith("/increment") and KEY not in case.headers and chance.random() < KNOWN:
        case.headers[KEY] = world.fresh()
    request = _prepared(case, world.server.url)
    if caller.authorization is not None:
        request.headers["Authorization"] = caller.authorization
    is_garbled = bool(request.body) and chance.random() < GARBLED
    if is_garbled:
        request.body = _garbled(_bytes(request.body), chance)
        request.headers["Content-Length"] = str(len(request.body))
    if path.endswith("/increment") and chance.random() < 0.9:
        _sign(request)
    return Call(case, caller, request, is_garbled)


def _about_known(case: Case, world: World) -> Start | None:
    """Let a well-formed case be about what is there; gives the start that it ends, if any."""
    chance, path = world.chance, case.operation.path
    for name in case.path_parameters or {}:
        _set_in_path(case, name, world)
    if path.endswith("/start") and chance.random() < 0.5:
        case.path_parameters["actionId"] = "quiz"
    if "cursor" in (case.query or {}):
        case.query["cursor"] = world.one_of(world.cursors) or case.query["cursor"]
    if path.endswith("/leaderboard") and world.versions and chance.random() < 0.3:
        case.headers["If-None-Match"] = f'W/"{world.one_of(world.versions)}"'
    if isinstance(case.body, dict):
        _fill(case.body, path, world)
    if path.endswith(("/complete", "/increment", "/adjustments", "/void", "hide")):
        case.headers[KEY] = world.fresh()
        if world.keys and chance.random() < 0.15:
            case.headers[KEY] = chance.choice(world.keys)
        world.keys.append(case.headers[KEY])
    return _complete(case, world) if path.endswith("/complete") else None


def _complete(case: Case, world: World) -> Start | None:
    """An action that is there, and now and then a start that the call ends."""
    case.path_parameters["actionId"] = world.chance.choice(list(ACTIONS))
    body = dict(case.body) if isinstance(case.body, dict) else {}
    body.pop("startToken", None)
    start: Start | None = world.one_of(world.starts) if world.chance.random() < 0.3 else None
    if start is not None:
        case.path_parameters["actionId"] = start.action_id
        body["startToken"] = start.token
    if body:
        case.body, case.media_type = body, "application/json"
    return start


def _set_in_path(case: Case, name: str, world: World) -> None:
    known = {"userId": world.users, "id": world.completions, "completionId": world.completions}
    if name == "actionId":
        # What is completed is seldom retired, or nothing could be.
        is_changed = "/admin/" in case.operation.path and world.chance.random() < 0.9
        value = world.chance.choice(EXTRAS if is_changed else [*ACTIONS, *EXTRAS])
    else:
        value = world.one_of(known.get(name, deque()))
    if value is not None:  # dots too, else clients would take `..` out of the path
        case.path_parameters[name] = quote(value, safe="").replace(".", "%2E")


def _fill(body: dict[str, Any], path: str, world: World) -> None:
    if "points" in body:
        # More is up to a setting; and 5.0, which the document allows, is no whole number here.
        low = -100 if path.endswith("/adjustments") else 1
        body["points"] = world.chance.randint(low, 100) or 1
    if "name" in body:
        body["name"] = world.fresh()
    if "userId" in body:
        body["userId"] = world.one_of(world.users)
    if "refreshToken" in body and world.sessions:
        body["refreshToken"] = world.one_of(world.sessions)
    if path.endswith("/register"):
        body["username"] = f"{world.fresh()} ä"
    if path.endswith("/login") and world.passwords:
        body["username"], body["password"] = world.one_of(world.passwords)


def _is_well_formed_path(case: Case) -> bool:
    """Whether what the document does not allow in a case stands elsewhere than in its path."""
    for location, component in (case.meta.components if case.meta else {}).items():
        if location.container_name == "path_parameters":
            return bool(component.mode.is_positive)
    return True


def _prepared(case: Case, url: str) -> requests.PreparedRequest:
    words = case.as_transport_kwargs(base_url=url)
    words.pop("cookies", None)
    request = requests.Request(**words).prepare()
    # As it was drawn: the library would take `..` and its like out of the path.
    path = urlsplit(words["url"]).path
    request.url = urlsplit(request.url or "")._replace(path=path).geturl()
    return request


def _garbled(body: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.05:
        return body + b" " * (MAX_BODY + 1)
    place = chance.randrange(len(body) + 1)
    if chance.random() < 0.3:
        return body[:place]
    return body[:place] + chance.choice(_RUBBISH) + body[place + chance.randrange(2) :]


def _sign(request: requests.PreparedRequest) -> None:
    timestamp = str(int(time.time()))
    request.headers[signatures.TIMESTAMP_HEADER] = timestamp
    key = request.headers.get(KEY, "")
    request.headers[signatures.SIGNATURE_HEADER] = signatures.sign(
        SIGNING.encode(),
        timestamp=timestamp,
        method=str(request.method),
        path=urlsplit(request.url or "").path,
        key=key if isinstance(key, str) else key.decode("latin-1"),
        body=_bytes(request.body),
    )


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return body or b""


def curl(request: requests.PreparedRequest) -> str:
    """A command that sends the same request."""
    words = ["curl", "--path-as-is", "-i", "-X", str(request.method), str(request.url)]
    for name, value in request.headers.items():
        shown = value if isinstance(value, str) else value.decode("latin-1")
        if name.lower() != "content-length":
            words += ["-H", f"{name}: {shown}"]
    line = " ".join(shlex.quote(word) for word in words)
    if body := _bytes(request.body):
        # In $'…' every byte can be written.
        shown = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
            for byte in body[:2000]
        )
        line += f" --data-binary $'{shown}'" + (" # and more" if len(body) > 2000 else "")
    return line


def sent_json(call: Call) -> Any:
    """The body that was sent, None when it is no JSON."""
    try:
        return json.loads(_bytes(call.request.body) or b"null")
    except (ValueError, RecursionError):
        return None
