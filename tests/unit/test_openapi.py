"""The OpenAPI document says what the code does."""

from __future__ import annotations

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
from scoreboard.errors import RequestError, ValidationFailed
from scoreboard.identity.passwords import MAX_PASSWORD, MIN_PASSWORD
from scoreboard.identity.tokens import MAX_ACCOUNT_ID
from scoreboard.ledger import actions as ledger_actions
from scoreboard.ledger.accounts import MAX_USERNAME, Account
from scoreboard.periods import BOARDS
from scoreboard.web import accounts, leaderboard, parse
from scoreboard.web.actions import MAX_DATA
from scoreboard.web.openapi import DOCUMENT
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


def check(value: object, schema: Node) -> None:
    """The value is what the schema says, or the test fails with the reason."""
    OAS31Validator(
        {"allOf": [schema], "components": components}, format_checker=oas31_format_checker
    ).validate(value)


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


class NobodyThere:
    """Standings without anyone, and accounts that are all there."""

    async def page(self, *_: object, **__: object) -> list[object]:
        return []

    around = page

    async def get(self, account_id: str) -> Account:
        return Account(account_id, account_id)


def ask(handler: Handler, query: str) -> Awaitable[Response]:
    """What a handler of the boards answers to a query."""
    scoreboard = SimpleNamespace(
        settings=SimpleNamespace(boards=BOARDS),
        clock=FakeClock(),
        standings=NobodyThere(),
        accounts=NobodyThere(),
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
