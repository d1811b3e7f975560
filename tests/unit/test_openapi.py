"""The OpenAPI document says what the code does."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import Response

from scoreboard import __version__, app
from scoreboard.board.standings import Kept
from scoreboard.errors import (
    Forbidden,
    RequestError,
    SettingsError,
    ValidationFailed,
)
from scoreboard.identity import signatures, starts
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.identity.passwords import MAX_PASSWORD, MIN_PASSWORD
from scoreboard.ledger import actions as ledger_actions
from scoreboard.ledger import audit
from scoreboard.ledger.accounts import MAX_USERNAME, Account
from scoreboard.live.publisher import Publisher
from scoreboard.periods import BOARDS
from scoreboard.settings import Settings
from scoreboard.web import accounts, actions, admin, headers, increments, leaderboard, parse
from scoreboard.web.actions import MAX_DATA
from scoreboard.web.openapi import DOCUMENT
from scoreboard.web.openapi.security import with_scope
from scoreboard.web.parse import MAX_BODY
from tests.support.clock import FakeClock

Node = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]

document = cast("Node", DOCUMENT)
components: dict[str, Node] = document["components"]
schemas: dict[str, Node] = components["schemas"]


def nodes(node: object, where: str = "#") -> Iterator[tuple[str, Node]]:
    """Every object of the document with its place."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            yield from nodes(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{where}/{index}")


def resolve(ref: str) -> Node:
    """What a reference points at."""
    assert ref.startswith("#/")
    found: Any = document
    for step in ref[2:].split("/"):
        found = found[step]
    return cast("Node", found)


def operations() -> Iterator[tuple[str, str, Node]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def parameters(operation: Node) -> dict[str, Node]:
    """The parameters of an operation by their names."""
    found = [resolve(parameter["$ref"]) for parameter in operation["parameters"]]
    return {parameter["name"]: parameter for parameter in found}


def kinds(error: type[RequestError] = RequestError) -> Iterator[type[RequestError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def validator(schema: Node) -> OAS31Validator:
    """What looks whether a value is what a schema of the document says."""
    return OAS31Validator(
        {"allOf": [schema], "components": components}, format_checker=oas31_format_checker
    )


def check(value: object, schema: Node) -> None:
    """The value is what the schema says, or the test fails with the reason."""
    validator(schema).validate(value)


def examples(node: Node) -> list[object]:
    """The examples that stand beside a schema, in the two forms of OpenAPI."""
    single = [node["example"]] if "example" in node else []
    return single + [example["value"] for example in node.get("examples", {}).values()]


def test_it_is_an_openapi_document_that_json_can_carry() -> None:
    assert json.loads(json.dumps(document)) == document
    validate(document)
    assert document["info"]["version"] == __version__


def test_it_has_every_route_and_no_other() -> None:
    served = {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in app.ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(method, path) for method, path, _ in operations()} == served


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = {node["$ref"] for _, node in nodes(document) if isinstance(node.get("$ref"), str)}
    for ref in used:
        assert resolve(ref)
    for kind, named in components.items():
        if kind != "securitySchemes":
            assert {f"#/components/{kind}/{name}" for name in named} <= used
    schemes = {
        name for *_, operation in operations() for one in operation["security"] for name in one
    }
    assert schemes == set(components["securitySchemes"])


# What generators of clients and linters need: each of these was once a client with a part missing
# (openapi-typescript, openapi-python-client) or a warning (redocly, spectral).


def test_an_object_says_what_it_holds() -> None:
    """If it does not, a TypeScript client takes it for an object that must be empty."""
    found = 0
    for where, node in nodes(document):
        kind = node.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            found += 1
            assert "properties" in node or "additionalProperties" in node, where
            assert {*node.get("required", ())} <= {*node.get("properties", ())}, where
    assert found > 30
    assert schemas["Completion"]["properties"]["data"]["additionalProperties"] is True


def test_no_schema_has_to_be_merged_with_another() -> None:
    """A generator that cannot merge the parts of an `allOf` drops the answer that has it."""
    assert not [where for where, node in nodes(document) if "allOf" in node]


def test_every_error_is_the_same_class_and_its_answer_only_narrows_it() -> None:
    """A generator may ignore what stands beside a reference, so nothing there can be new."""
    problem = schemas["Problem"]
    found = [each["schema"] for *_, one in operations() for _, each in problems(one)]
    assert found
    for schema in found:
        assert schema["$ref"] == "#/components/schemas/Problem"
        assert {*schema} == {"$ref", "properties", "required"}
        assert {*schema["properties"], *schema["required"]} <= {*problem["properties"]}
        assert {*schema["properties"]["code"]["enum"]} <= {*problem["properties"]["code"]["enum"]}
    narrowed = {str(schema) for schema in found}
    for where, node in nodes(document):
        if "$ref" in node and str(node) not in narrowed:
            assert {*node} <= {"$ref", "default", "description"}, where


def test_an_answer_with_another_status_or_code_is_not_the_declared_one() -> None:
    declared = components["responses"]["AlreadyCompleted"]["content"]["application/problem+json"]
    problem = declared["examples"]["ALREADY_COMPLETED"]["value"]
    check(problem, declared["schema"])
    without = {name: value for name, value in problem.items() if name != "completion"}
    for other in ({**problem, "code": "USERNAME_TAKEN"}, {**problem, "status": 404}, without):
        assert not validator(declared["schema"]).is_valid(other)


def test_operations_have_names_tags_and_answers_as_linters_ask_of_them() -> None:
    names = [operation["operationId"] for *_, operation in operations()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert tags == {tag for *_, operation in operations() for tag in operation["tags"]}
    for *_, operation in operations():
        assert re.fullmatch("[a-z][A-Za-z]+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert len(operation["tags"]) == 1
        classes = {status[0] for status in operation["responses"]}
        assert {"2", "4", "5"} <= classes, operation["operationId"]
        # Scopes are those of OAuth flows: other schemes have none to list.
        assert all(scopes == [] for one in operation["security"] for scopes in one.values())
    assert document["info"]["contact"]["name"]
    assert document["info"]["license"]["name"]
    assert document["servers"]


def test_the_codes_are_those_of_the_errors() -> None:
    codes = schemas["Problem"]["properties"]["code"]["enum"]
    assert len(codes) == len(set(codes))
    assert set(codes) == {kind.code for kind in kinds()}


def test_every_refusal_has_the_status_of_its_codes() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in kinds():
        statuses.setdefault(kind.code, set()).add(kind.status)
    for *_, operation in operations():
        for status, answer in operation["responses"].items():
            found = resolve(answer["$ref"]) if "$ref" in answer else answer
            problem = found.get("content", {}).get("application/problem+json")
            for code in problem["examples"] if problem else ():
                assert statuses[code] == {int(status)}


CORRECTING = {"VALIDATION_ERROR", "FORBIDDEN", "NOT_FOUND", "IDEMPOTENCY_KEY_REUSED"}
# What each call that changes something can be refused with, beside `ALWAYS`.
REFUSALS = {
    "startAction": {"VALIDATION_ERROR", "INVALID_ACTION", "NOT_FOUND"},
    "completeAction": {
        "VALIDATION_ERROR",
        "IDEMPOTENCY_KEY_REQUIRED",
        "INVALID_ACTION",
        "NOT_FOUND",
        "ALREADY_COMPLETED",
        "IDEMPOTENCY_KEY_REUSED",
        "START_TOKEN_INVALID",
        "TOO_SOON",
        "RATE_LIMIT_EXCEEDED",
    },
    "incrementScore": {
        "VALIDATION_ERROR",
        "IDEMPOTENCY_KEY_REQUIRED",
        "FORBIDDEN",
        "SIGNATURE_INVALID",
        "NOT_FOUND",
        "IDEMPOTENCY_KEY_REUSED",
    },
    "putAction": {"VALIDATION_ERROR", "FORBIDDEN", "NOT_FOUND"},
    "retireAction": {"VALIDATION_ERROR", "FORBIDDEN", "INVALID_ACTION", "NOT_FOUND"},
    "adjustScore": CORRECTING,
    "voidCompletion": CORRECTING,
    "hidePlayer": CORRECTING,
    "unhidePlayer": CORRECTING,
}
ALWAYS = {
    "UNAUTHORIZED",
    "TOKEN_EXPIRED",
    "REQUEST_TIMEOUT",
    "PAYLOAD_TOO_LARGE",
    "URI_TOO_LONG",
    "HEADERS_TOO_LARGE",
    "INTERNAL_SERVER_ERROR",
    "SERVICE_UNAVAILABLE",
}


def problems(operation: Node) -> Iterator[tuple[Node, Node]]:
    """Every refusal of an operation: the answer, and its problem."""
    for answer in operation["responses"].values():
        found = resolve(answer["$ref"]) if "$ref" in answer else answer
        if problem := found.get("content", {}).get("application/problem+json"):
            yield found, problem


def test_what_changes_something_lists_each_code_that_refuses_it() -> None:
    found = {
        operation["operationId"]: {
            code for _, each in problems(operation) for code in each["examples"]
        }
        for *_, operation in operations()
    }
    for name, codes in REFUSALS.items():
        assert found[name] == codes | ALWAYS, name


def test_every_code_is_listed_somewhere_or_told_of_in_the_introduction() -> None:
    listed = {
        code for *_, each in operations() for _, one in problems(each) for code in one["examples"]
    }
    for kind in kinds():
        assert kind.code in listed or f"`{kind.code}`" in document["info"]["description"]


def test_who_is_asked_to_wait_is_told_how_long_in_both_places() -> None:
    for *_, operation in operations():
        for answer, problem in problems(operation):
            values = [example["value"] for example in problem["examples"].values()]
            waits = ["retryAfter" in value for value in values]
            assert ("Retry-After" in answer["headers"]) == any(waits)
            if any(waits):
                header = resolve(answer["headers"]["Retry-After"]["$ref"])
                assert header["required"] == all(waits)


def test_every_answer_has_the_headers_that_every_answer_has() -> None:
    sent = {name.decode(): value.decode() for name, value in headers.SECURITY}
    for *_, operation in operations():
        for answer in operation["responses"].values():
            found = resolve(answer["$ref"]) if "$ref" in answer else answer
            told = {name.lower(): resolve(node["$ref"]) for name, node in found["headers"].items()}
            assert "x-request-id" in told
            for name, value in sent.items():
                assert told[name]["schema"]["const"] == value


@pytest.mark.parametrize(
    ("prefix", "scope", "tag"),
    [("/admin/", admin.SCOPE, "administration"), ("/scores/", increments.SCOPE, "backends")],
)
def test_what_needs_a_scope_says_which(prefix: str, scope: str, tag: str) -> None:
    guarded = [each for _, path, each in operations() if path.startswith(app.V1 + prefix)]
    assert guarded
    security = with_scope(scope)
    ((scheme, roles),) = security[0].items()
    assert len(security) == 1
    assert roles == []
    assert f"`{scope}`" in components["securitySchemes"][scheme]["description"]
    for operation in guarded:
        assert operation["security"] == security
        assert operation["tags"] == [tag]
        assert f"`{scope}`" in operation["description"]
        assert Forbidden.code in str([*problems(operation)])
    others = [each for _, path, each in operations() if each not in guarded]
    assert not any(scheme in one for each in others for one in each["security"])


def test_every_example_is_what_its_schema_says() -> None:
    beside = [
        (where, example, node["schema"])
        for where, node in nodes(document)
        if "schema" in node
        for example in examples(node)
    ]
    inside = [
        (where, example, node)
        for where, node in nodes(document)
        if isinstance(node.get("examples"), list)
        for example in node["examples"]
    ]
    assert len(beside) > 30
    assert len(inside) > 5
    for where, example, schema in beside + inside:
        try:
            check(example, schema)
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error


def test_every_answer_of_json_has_an_example() -> None:
    for where, node in nodes(document["paths"]):
        if where.endswith("/content/application/json") and "/openapi.json/" not in where:
            assert examples(node), where


def test_the_events_of_the_stream_carry_snapshots() -> None:
    stream = document["paths"][f"{app.V1}/leaderboard/stream"]["get"]["responses"]["200"]
    update = stream["content"]["text/event-stream"]["examples"]["update"]["value"]
    check(json.loads(update.split("\ndata: ")[1]), schemas["Snapshot"])


def test_no_body_takes_fields_that_it_does_not_name() -> None:
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for *_, operation in operations()
        if "requestBody" in operation
    ]
    assert bodies
    for body in bodies:
        assert resolve(body["$ref"])["additionalProperties"] is False


def test_an_optional_field_of_a_body_may_be_null_and_no_other_may() -> None:
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for *_, operation in operations()
        if "requestBody" in operation
    }
    for body in map(resolve, bodies):
        for name, field in body["properties"].items():
            assert validator(field).is_valid(None) == (name not in body["required"]), name


def test_texts_are_bounded_as_in_the_code() -> None:
    account, credentials = schemas["NewAccount"], schemas["Credentials"]
    password = account["properties"]["password"]
    assert (password["minLength"], password["maxLength"]) == (MIN_PASSWORD, MAX_PASSWORD)
    for field in (
        account["properties"]["username"],
        *credentials["properties"].values(),
        *schemas["RefreshToken"]["properties"].values(),
    ):
        assert (field["minLength"], field["maxLength"]) == (1, accounts._LONGEST)
    assert f"1-{MAX_USERNAME} characters" in account["properties"]["username"]["description"]
    assert (schemas["Username"]["minLength"], schemas["Username"]["maxLength"]) == (1, MAX_USERNAME)
    assert (schemas["UserId"]["minLength"], schemas["UserId"]["maxLength"]) == (1, MAX_ACCOUNT_ID)


def test_patterns_and_choices_are_those_of_the_code() -> None:
    key = components["parameters"]["IdempotencyKey"]["schema"]["pattern"]
    assert key == f"^{parse._KEY.pattern}$"
    assert schemas["ActionId"]["pattern"] == f"^{ledger_actions._ID.pattern}$"
    assert schemas["Board"]["enum"] == list(BOARDS)
    assert schemas["Action"]["properties"]["repeat"]["enum"] == list(ledger_actions.REPEATS)


def test_sizes_are_those_of_the_code() -> None:
    completion = schemas["Completion"]["properties"]
    assert f"At most {MAX_DATA} bytes" in completion["data"]["description"]
    assert completion["startToken"]["maxLength"] == MAX_DATA
    assert schemas["History"]["properties"]["items"]["maxItems"] == accounts.PAGE
    for *_, operation in operations():
        if "requestBody" in operation:
            assert f"At most {MAX_BODY} bytes" in operation["requestBody"]["description"]
            assert "413" in operation["responses"]


def test_points_are_bounded_as_in_the_code() -> None:
    def bounds(field: Node) -> tuple[int, int]:
        return field["minimum"], field["maximum"]

    adjusted = schemas["Adjustment"]["properties"]["points"]
    assert bounds(adjusted) == (-admin.MAX_ADJUSTMENT, admin.MAX_ADJUSTMENT)
    assert OAS31Validator(adjusted).is_valid(1)
    assert not OAS31Validator(adjusted).is_valid(0)
    for name in ("Action", "ActionChange", "Increment"):
        low, high = bounds(schemas[name]["properties"]["points"])
        assert low == 1
        assert Settings.from_env({"SCOREBOARD_MAX_POINTS": str(high)}).max_points == high
        with pytest.raises(SettingsError):
            Settings.from_env({"SCOREBOARD_MAX_POINTS": str(high + 1)})
    for name in ("Logged", "Receipt"):
        low, high = bounds(schemas[name]["properties"]["pointsEarned"])
        most = bounds(schemas["Action"]["properties"]["points"])[1]
        assert low <= -max(most, admin.MAX_ADJUSTMENT), "a void takes back whatever it was"
        assert high >= max(most, admin.MAX_ADJUSTMENT)
        check(-5, schemas[name]["properties"]["newScore"])
        check(None, schemas[name]["properties"]["actionId"])


@pytest.mark.parametrize("name", ["Action", "ActionChange"])
def test_the_limits_of_an_action_are_those_of_the_code(name: str) -> None:
    fields = schemas[name]["properties"]
    for field, most in ledger_actions._LIMITS.items():
        assert (fields[field]["minimum"], fields[field]["maximum"]) == (1, most)
        assert fields[field]["type"] == ["integer", "null"]
    for field, low, most in (
        ("name", 1, ledger_actions.MAX_NAME),
        ("description", 0, ledger_actions.MAX_DESCRIPTION),
    ):
        assert (fields[field]["minLength"], fields[field]["maxLength"]) == (low, most)
    assert {*fields} - {"reason"} | {"actionId"} == ledger_actions.FIELDS
    if name == "Action":
        assert set(schemas[name]["required"]) == ledger_actions.FIELDS


@pytest.mark.parametrize(
    ("name", "is_needed"),
    [
        ("Adjustment", True),
        ("Correction", True),
        ("ActionChange", False),
        ("Retirement", False),
        ("Increment", False),
    ],
)
def test_a_reason_is_asked_for_as_in_the_code(name: str, is_needed: bool) -> None:
    reason = schemas[name]["properties"]["reason"]
    assert (reason["minLength"], reason["maxLength"]) == (1, audit.MAX_REASON)
    assert ("reason" in schemas[name]["required"]) == is_needed
    assert ("null" in reason["type"]) == (not is_needed)


def test_a_signature_is_described_as_it_is_verified() -> None:
    """The example is put together here by hand, as a reader of the description would do it."""
    operation = document["paths"][f"{app.V1}/scores/increment"]["post"]
    given = parameters(operation)
    told = operation["description"]
    stamp, sign = given[signatures.TIMESTAMP_HEADER], given[signatures.SIGNATURE_HEADER]
    assert stamp["schema"]["pattern"] == f"^{signatures._TIMESTAMP.pattern}$"
    assert sign["schema"]["pattern"] == "^v1=[0-9a-f]{64}$"
    assert signatures._SIGNATURE.pattern == "v1=([0-9a-f]{64})"
    assert all(given[name]["required"] for name in (stamp["name"], sign["name"], "Idempotency-Key"))
    assert f"at most {signatures.SKEW} from" in told
    secret = re.findall(r"with the secret `(.+)`", told)[0]
    example = told.partition(secret)[2]
    key = re.findall(r"Idempotency-Key: (\S+)", example)[0]
    timestamp, signature = stamp["schema"]["examples"][0], sign["schema"]["examples"][0]
    assert f"{stamp['name']}: {timestamp}" in example
    assert f"{sign['name']}: {signature}" in example
    sent = example.strip().splitlines()[-1].strip()
    assert json.loads(sent) == operation["requestBody"]["content"]["application/json"]["example"]
    text = f"{timestamp}.POST.{app.V1}/scores/increment.{key}.{sent}"
    assert signature == "v1=" + hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


def test_a_start_token_is_described_as_it_is_verified() -> None:
    hours = starts.LIFE_MS / 3_600_000
    token = schemas["Completion"]["properties"]["startToken"]
    start = document["paths"][f"{app.V1}/actions/{{actionId}}/start"]["post"]
    for told in (token["description"], start["description"]):
        assert f"{hours:g} hours" in told
        assert "after your last completion" in told
    assert schemas["Start"]["properties"]["startToken"]["maxLength"] == actions.MAX_DATA


def test_the_trail_is_described_as_it_is_written() -> None:
    changes = set(schemas["Noted"]["properties"]["change"]["enum"])
    written = {"action_created", "action_changed", "action_retired"}
    assert changes == written | {"adjustment", "void", "hide", "unhide"}
    assert schemas["Trail"]["properties"]["items"]["maxItems"] == admin.PAGE
    assert {*schemas["Noted"]["properties"]} == {*audit.Noted(1, 0, "", "", "", None, {}).to_json()}


class NobodyThere:
    """Standings without anyone, and accounts that are all there."""

    async def page(self, *_: object, **__: object) -> list[Any]:
        return []

    around = page

    async def kept(self, *_: object) -> Kept:
        return Kept(0, is_hidden=False)

    async def get(self, account_id: str) -> Account:
        return Account(account_id, account_id)


def ask(handler: Handler, query: str) -> Awaitable[Response]:
    """What a handler of the boards answers to a query."""
    scoreboard = SimpleNamespace(
        settings=SimpleNamespace(boards=BOARDS),
        clock=FakeClock(),
        standings=NobodyThere(),
        accounts=NobodyThere(),
        publisher=Publisher(NobodyThere(), boards=BOARDS, clock=FakeClock(), interval=1),
    )
    scope = {
        "type": "http",
        "headers": [],
        "query_string": query.encode(),
        "path_params": {"userId": "ada"},
        "app": SimpleNamespace(state=SimpleNamespace(scoreboard=scoreboard)),
    }
    return handler(Request(scope))


@pytest.mark.parametrize(
    ("handler", "path", "name", "bounds"),
    [
        (leaderboard.page, "/leaderboard", "limit", (1, 100)),
        (leaderboard.page, "/leaderboard", "offset", (0, 10_000)),
        (leaderboard.player, "/players/{userId}", "around", (0, 10)),
    ],
)
async def test_numbers_are_bounded_as_in_the_code(
    handler: Handler, path: str, name: str, bounds: tuple[int, int]
) -> None:
    schema = parameters(document["paths"][app.V1 + path]["get"])[name]["schema"]
    low, high = schema["minimum"], schema["maximum"]
    assert (low, high) == bounds
    for accepted in (low, high, schema["default"]):
        assert (await ask(handler, f"{name}={accepted}")).status_code == 200
    for refused in (low - 1, high + 1):
        with pytest.raises(ValidationFailed):
            await ask(handler, f"{name}={refused}")
