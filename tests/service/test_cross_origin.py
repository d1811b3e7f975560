"""Other sites: those that are listed may call, and no other, whatever it calls itself."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.support.server import RawStream, Server

GOOD = "https://good.example"
COMPLETE = "/actions/join-the-game/complete"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lists two sites, and lets anyone log in twice."""
    settings = {
        "SCOREBOARD_CORS_ORIGINS": f"{GOOD}, http://localhost:3000",
        "SCOREBOARD_AUTH_RATE_LIMIT": "2/minute",
    }
    with Server(tmp_path_factory.mktemp("origins"), **settings) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of this server."""
    with server.client() as client:
        yield client


def preflight(client: httpx2.Client, origin: str, **asked: str) -> httpx2.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    headers |= {f"Access-Control-Request-{name}": value for name, value in asked.items()}
    return client.options(COMPLETE, headers=headers)


def varies(answer: httpx2.Response) -> set[str]:
    return {name.strip() for name in answer.headers["vary"].split(",")}


@pytest.mark.parametrize("origin", [GOOD, "http://localhost:3000"])
def test_a_listed_site_may_call(client: httpx2.Client, origin: str) -> None:
    asked = {"Headers": "authorization, content-type, idempotency-key"}
    allowed = preflight(client, origin, **asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "Origin" in varies(allowed)
    assert "access-control-allow-credentials" not in allowed.headers
    answer = client.get("/actions", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
    assert varies(answer) == {"Origin"}
    assert "access-control-allow-credentials" not in answer.headers


REFUSED = (
    "https://bad.example",
    "https://good.example.evil.com",
    "https://evil-good.example",
    "https://evilgood.example",
    "https://sub.good.example",
    "https://good.example:444",
    "https://good.example/",
    "https://good.exampl",
    "https://good.example@evil.com",
    "https://evil.com#https://good.example",
    "http://good.example",
    "HTTPS://GOOD.EXAMPLE",
    "https://good.example, https://evil.com",
    "https://evil.com https://good.example",
    "null",
    "*",
    "",
)


@pytest.mark.parametrize("origin", REFUSED)
def test_a_site_that_is_not_listed_is_refused(client: httpx2.Client, origin: str) -> None:
    refused = preflight(client, origin)
    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert refused.headers["content-type"] == "application/problem+json"
    assert "x-request-id" in refused.headers
    answer = client.get("/actions", headers={"Origin": origin})
    assert answer.status_code == 200
    for one in (refused, answer):
        assert "Origin" in varies(one)
        assert "access-control-allow-origin" not in one.headers
        assert "access-control-allow-methods" not in one.headers
        if origin:
            assert origin not in str(one.headers.multi_items())


@pytest.mark.parametrize(
    "asked",
    [
        {"Method": "PATCH"},
        {"Method": "CONNECT"},
        {"Headers": "x-scoreboard-signature"},
        {"Headers": "cookie"},
        {"Private-Network": "true"},
    ],
)
def test_a_listed_site_may_not_do_everything(client: httpx2.Client, asked: dict[str, str]) -> None:
    refused = preflight(client, GOOD, **asked)
    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"Method": "PATCH"}, "PATCH"),
        ({"Headers": "authorization, X-Own, x-other"}, "X-Own"),
        ({"Headers": "x-" + "y" * 5000}, "y" * 90),
        ({"Private-Network": "true"}, "Private-Network"),
    ],
)
def test_a_refused_preflight_names_what_was_refused(
    client: httpx2.Client, asked: dict[str, str], refused: str
) -> None:
    problem = preflight(client, GOOD, **asked).json()
    assert problem["field"].startswith("Access-Control-Request-")
    assert refused in problem["detail"]
    assert len(problem["detail"]) < 250
    assert preflight(client, "https://bad.example", **asked).json()["field"] == "Origin"


@pytest.mark.parametrize(
    "names",
    [
        "cache-control,last-event-id",  # polyfills of EventSource
        "cache-control,pragma,x-requested-with",
        "traceparent,tracestate,baggage",  # W3C
        "baggage,sentry-trace",
        "b3,x-b3-traceid,x-b3-spanid,x-b3-parentspanid,x-b3-sampled,x-b3-flags",
        "x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin,x-datadog-sampling-priority",
    ],
)
def test_a_listed_site_may_send_what_browsers_libraries_add(
    client: httpx2.Client, names: str
) -> None:
    assert preflight(client, GOOD, Headers=names).status_code == 200


def test_a_listed_site_can_read_what_went_wrong(client: httpx2.Client) -> None:
    """Errors too, and when to come back: a script that cannot read a 429 tries again at once."""
    answers = [
        client.get("/none", headers={"Origin": GOOD}),
        client.post("/leaderboard", headers={"Origin": GOOD}),
        client.post(COMPLETE, headers={"Origin": GOOD}),
        client.post(COMPLETE, headers={"Origin": GOOD}, content=b"x" * 20_000),
        *(client.post("/auth/login", headers={"Origin": GOOD}) for _ in range(3)),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 401, 401, 400, 400, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == GOOD
        assert varies(answer) == {"Origin"}
    assert "Retry-After" in answers[-1].headers["access-control-expose-headers"]
    refused = client.post("/auth/login", headers={"Origin": "https://bad.example"})
    assert refused.status_code == 429
    assert "access-control-allow-origin" not in refused.headers


def test_a_listed_site_can_watch(server: Server) -> None:
    for origin, is_told in ((GOOD, True), ("https://bad.example", False)):
        with RawStream(server, "all-time", f"Origin: {origin}") as stream:
            head = stream.read_until(b"\r\n\r\n").lower()
            assert (b"access-control-allow-origin: " + origin.encode() in head) == is_told
