"""Rounds over all operations of the document, until the time is over."""

from __future__ import annotations

import math
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.fuzz import checks
from tests.fuzz.calls import KEY, TIME_LIMIT, Call, Case, Operation, call_of, curl, sent_json
from tests.fuzz.streams import STREAM, broken_stream
from tests.fuzz.target import Target
from tests.fuzz.world import World, document_of

EACH: Final = 6  # cases of an operation in a round, well formed, and as many that are not
SHAPED: Final = 3  # calls that a well-formed case makes, each by somebody else about something else
TWICE: Final = 0.15  # of the calls with a key are sent again
MOST_FAILURES: Final = 25  # different ones: whoever reads them has enough
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@dataclass
class Failure:
    """Something that does not hold, how often it was seen, and how to see it again."""

    what: str
    reproduction: str
    answer: str
    times: int = 1


@dataclass
class Report:
    """What a run has seen. `statuses` counts by operation."""

    seconds: float = 0.0
    rounds: int = 0
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    unsent: int = 0
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """How many calls were answered."""
        return sum(sum(each.values()) for each in self.statuses.values())

    @property
    def never_good(self) -> list[str]:
        """The operations of the document that never answered with a 2xx."""
        return sorted(
            name
            for name, each in self.statuses.items()
            if "/" in name and not any(200 <= status < 300 for status in each)
        )

    def by_class(self) -> str:
        """How many answers of each class, as a line."""
        classes: Counter[int] = Counter()
        for each in self.statuses.values():
            for status, times in each.items():
                classes[status // 100] += times
        return "  ".join(f"{one}xx {times:,}" for one, times in sorted(classes.items()))

    def shown(self) -> list[str]:
        """The failures, each with what to do to see it again."""
        return [
            f"{one.what}\n  {one.times} times; {one.reproduction}\n  {one.answer}"
            for one in self.failures.values()
        ]

    def fail(self, operation: str, what: str, reproduction: str, answer: str) -> None:
        """Note a failure; of those that look alike the first is kept."""
        key = (operation, re.sub(r"\d+", "0", what)[:80])
        if key in self.failures:
            self.failures[key].times += 1
        else:
            self.failures[key] = Failure(f"{operation}: {what}", reproduction, answer)


def drive(
    target: Target,
    number: int,
    *,
    seconds: float,
    rounds: float = math.inf,
    tell: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Drive a server for so long, or so many rounds, by the choices of this seed; `tell` hears of
    every round. What an answer held is chosen from, so that a run is repeated as far as the server
    answers alike.
    """
    chance = random.Random(number)
    world = World(target.server, chance)
    report = Report(receipts=world.receipts)
    began = time.monotonic()
    document = document_of(target.server)
    operations = [_Drawn(one) for one in _operations(document)]
    for operation in operations:
        report.statuses[operation.label].clear()
    with requests.Session() as session:
        session.trust_env = False
        driver = _Driver(target, world, session, report)
        end = began + seconds
        while (
            time.monotonic() < end
            and report.rounds < rounds
            and len(report.failures) < MOST_FAILURES
        ):
            world.prepare()
            for operation in chance.sample(operations, len(operations)):
                for case, mode in operation.draw(chance.getrandbits(32)):
                    if time.monotonic() < end:
                        driver.call(case, mode)
            driver.other_methods(list(document["paths"]))
            for what, shown in broken_stream(target.server, chance, report.statuses[STREAM]):
                report.fail(STREAM, what, shown, "")
            report.rounds += 1
            report.seconds = time.monotonic() - began
            tell(report)
    return report


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    """All but the stream, which does not end. Who may call is drawn here, not there."""
    for item in document["paths"].values():
        for operation in item.values():
            operation["x-security"] = operation.pop("security", [])
    document["components"].pop("securitySchemes")
    schema = schemathesis.openapi.from_dict(document).exclude(path_regex="/stream$")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), f"the document is wrong: {result.err()}"
        yield result.ok()


class _Drawn:
    """One operation, and the cases that are drawn of it."""

    def __init__(self, operation: Operation) -> None:
        self.label = str(operation.label)
        self._strategies = {
            mode: operation.as_strategy(generation_mode=mode) for mode in GenerationMode
        }
        forms = [one.definition["schema"] for one in operation.iter_parameters()]
        if all(form == {"type": "string"} for form in forms) and not operation.body:
            del self._strategies[GenerationMode.NEGATIVE]  # any text is allowed there
        self._each = EACH if GenerationMode.NEGATIVE in self._strategies else 1

    def draw(self, number: int) -> list[tuple[Case, GenerationMode]]:
        """Some cases of each mode, by this seed."""
        return [
            (shaped, mode)
            for mode, strategy in self._strategies.items()
            for case in _cases(strategy, number, self._each)
            for shaped in (_copies(case) if mode is GenerationMode.POSITIVE else [case])
        ]


def _cases(strategy: SearchStrategy[Case], number: int, each: int) -> list[Case]:
    drawn: list[Case] = []

    @seed(number)
    @settings(
        max_examples=each,
        database=None,
        phases=[Phase.generate],
        derandomize=False,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(case: Case) -> None:
        drawn.append(case)

    keep()
    return drawn


def _copies(case: Case) -> Iterator[Case]:
    """The same values anew: to draw them takes longer than to send them."""
    for _ in range(SHAPED):
        yield case.operation.Case(
            path_parameters=deepcopy(case.path_parameters),
            headers=dict(case.headers or {}),
            query=deepcopy(case.query),
            body=deepcopy(case.body) if isinstance(case.body, (dict, list)) else case.body,
            media_type=case.media_type,
        )


class _Driver:
    """Sends, checks and counts."""

    def __init__(
        self, target: Target, world: World, session: requests.Session, report: Report
    ) -> None:
        self._target = target
        self._world = world
        self._session = session
        self._report = report

    def call(self, case: Case, mode: GenerationMode) -> None:
        """Send a case, and now and then send it again."""
        try:
            call = call_of(case, mode, self._world)
        except (requests.RequestException, UnicodeError, ValueError):
            self._report.unsent += 1  # no client could send it
            return
        answer = self._send(call.operation, call.request)
        if answer is None:
            return
        for what in checks.broken(call, answer):
            self._fail(call.operation, what, answer)
        good = 200 <= answer.status_code < 300
        if good and call.operation.startswith(("GET /api", "POST /api", "PUT /api")):
            found = answer.json() if answer.content else None
            self._world.learn(case.operation.path, sent_json(call), found)
            if isinstance(found, dict) and "startToken" in found and call.caller.account_id:
                self._world.starts_of(
                    call.caller.account_id, case.path_parameters["actionId"], found["startToken"]
                )
            if KEY in call.request.headers and self._world.chance.random() < TWICE:
                self._again(call, found)

    def _again(self, call: Call, first: Any) -> None:
        """The same request with the same key gets the first receipt."""
        if not isinstance(first, dict) or "completionId" not in first:
            return
        answer = self._send(call.operation, call.request)
        if answer is None:
            return
        if answer.status_code != 200 or answer.headers.get("Idempotent-Replayed") != "true":
            self._fail(call.operation, "sent again, it is no replay", answer)
        elif {**answer.json(), "rank": None} != {**first, "rank": None}:
            self._fail(call.operation, "sent again, it has another receipt", answer)

    def other_methods(self, paths: list[str]) -> None:
        """Every path refuses a method that it does not have, and one path is unknown."""
        for path in [*paths, f"/{self._world.fresh()}"]:
            method = self._world.chance.choice(METHODS)
            request = requests.Request(method, self._target.server.url + path).prepare()
            request.method = method
            if path.endswith("/stream") and method == "GET":
                continue
            answer = self._send("another method", request)
            if answer is None:
                continue
            for what in checks.generally_broken(answer):
                self._fail("another method", what, answer)
            if method in ("PATCH", "TRACE", "PROPFIND") and answer.status_code not in (404, 405):
                self._fail("another method", f"{method} got {answer.status_code}", answer)

    def _send(self, operation: str, request: requests.PreparedRequest) -> requests.Response | None:
        try:
            answer = self._session.send(request, timeout=TIME_LIMIT, allow_redirects=False)
        except requests.RequestException as error:
            self._report.fail(operation, f"no answer: {error!r}", curl(request), "")
            return None
        self._report.statuses[operation][answer.status_code] += 1
        return answer

    def _fail(self, operation: str, what: str, answer: requests.Response) -> None:
        shown = f"{answer.status_code} {dict(answer.headers)}\n{answer.text[:1000]}"
        self._report.fail(operation, what, curl(answer.request), shown)
