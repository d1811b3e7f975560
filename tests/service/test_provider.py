"""A service and its identity provider: away, hostile, slow, and changing its keys."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from scoreboard.identity import jwks, provider
from scoreboard.identity.provider import ProviderKeys
from scoreboard.values import IdentityProvider, KeysUrl
from tests.support import keys
from tests.support.key_server import PATH, KeyServer
from tests.support.server import PATIENCE, SERVE, Server, environment, eventually

IMPATIENT = """
from scoreboard.identity import provider
provider.REFRESH_EVERY = provider.RETRY_EVERY = 0.1
"""


@pytest.fixture
def publisher() -> Iterator[KeyServer]:
    """The identity provider."""
    with KeyServer(keys.rsa("old")) as publisher:
        yield publisher


@pytest.fixture
def old() -> str:
    """A token of the key that the provider begins with."""
    return keys.signed(keys.rsa("old"), "RS256")


def me(server: Server, token: str) -> httpx2.Response:
    with server.client() as client:
        return client.get("/me", headers={"Authorization": f"Bearer {token}"})


def status(server: Server, token: str) -> int:
    return me(server, token).status_code


def test_a_storm_of_unknown_kids_is_one_fetch(
    tmp_path: Path, publisher: KeyServer, old: str
) -> None:
    """What strangers make up does not turn the service against its provider."""
    with Server(tmp_path, **publisher.settings) as server:
        assert status(server, old) == 200
        assert publisher.fetches == 1
        forger = keys.ed("forger")
        storm = [keys.signed(forger, "EdDSA", {"kid": f"made-up-{n}"}) for n in range(60)]
        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(lambda token: status(server, token), storm)) == {401}
        assert publisher.fetches == 2


def test_a_new_key_is_seen_when_a_token_names_it(
    tmp_path: Path, publisher: KeyServer, old: str
) -> None:
    """At once, and the tokens of the old one are good as long as that is published."""
    with Server(tmp_path, **publisher.settings) as server:
        assert status(server, old) == 200
        publisher.publish(keys.rsa("old"), keys.ec("new"))
        assert status(server, keys.signed(keys.ec("new"), "ES256")) == 200
        assert status(server, old) == 200


def test_a_withdrawn_key_is_gone_after_a_refresh(
    tmp_path: Path, publisher: KeyServer, old: str
) -> None:
    """For tokens that were verified, and remembered, before as well."""
    with Server(tmp_path, prelude=IMPATIENT, **publisher.settings) as server:
        assert status(server, old) == status(server, old) == 200
        publisher.publish(keys.ec("new"))
        eventually(lambda: status(server, old) == 401)
        assert status(server, keys.signed(keys.ec("new"), "ES256")) == 200


def test_a_provider_that_is_away(tmp_path: Path, publisher: KeyServer, old: str) -> None:
    """It stops neither the start nor anybody whose key is known; 503 is for before that alone."""
    settings = publisher.settings
    settings["SCOREBOARD_JWKS_URL"] = settings["SCOREBOARD_JWKS_URL"].replace(
        "http://", "http://me:S3cr3t@"
    )
    settings["SCOREBOARD_JWKS_URL"] += "?key=S3cr3t"
    publisher.stop()
    with Server(tmp_path, prelude=IMPATIENT, **settings) as server:
        answer = me(server, old)
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1
        assert status(server, server.tokens.issue("own", seconds=60)) == 200
        assert status(server, "nonsense") == 401

        publisher.start()
        eventually(lambda: status(server, old) == 200)
        assert publisher.paths[0] == f"{PATH}?key=S3cr3t"

        publisher.stop()
        eventually(lambda: server.logged().count("cannot be had from") == 2)
        assert status(server, old) == 200
        assert status(server, keys.signed(keys.rsa("old"), "RS256", sub="grace")) == 200
        assert status(server, keys.signed(keys.ec("new"), "ES256")) == 401

        publisher.publish(keys.ec("new"))
        publisher.start()
        eventually(lambda: status(server, keys.signed(keys.ec("new"), "ES256")) == 200)
        server.stop()
        assert server.logged().count("cannot be had from") == 2
        assert server.logged().count("can be had again") == 2
        assert "Traceback" not in server.logged()
        assert "S3cr3t" not in server.logged()


def test_a_provider_that_does_not_answer_delays_nobody_else(
    tmp_path: Path, publisher: KeyServer, old: str
) -> None:
    """Who needs its keys waits for a few seconds at most, and then may come again."""
    publisher.answering.clear()
    short = f"{IMPATIENT}\nprovider.FETCH_WAIT = 2"
    with Server(tmp_path, prelude=short, **publisher.settings) as server:
        own = server.tokens.issue("own", seconds=60)
        with ThreadPoolExecutor(10) as pool:
            waiting = [pool.submit(status, server, old) for _ in range(10)]
            assert status(server, own) == 200
            assert not any(answer.done() for answer in waiting)
            assert {answer.result() for answer in waiting} == {503}
        publisher.answering.set()
        eventually(lambda: status(server, old) == 200)


def test_keys_of_a_file_are_read_again(tmp_path: Path, old: str) -> None:
    """The operator replaces the file, and nothing has to be restarted."""
    path = tmp_path / "keys.json"
    path.write_bytes(keys.document(keys.rsa("old")))
    settings = {
        "SCOREBOARD_JWKS_FILE": str(path),
        "SCOREBOARD_JWT_ISSUER": keys.ISSUER,
        "SCOREBOARD_JWT_AUDIENCE": keys.AUDIENCE,
    }
    with Server(tmp_path, prelude=IMPATIENT, **settings) as server:
        assert status(server, old) == 200
        path.write_bytes(b"half-writ")
        eventually(lambda: "is not JSON" in server.logged())
        assert status(server, old) == 200
        path.write_bytes(keys.document(keys.ed("new")))
        eventually(lambda: status(server, old) == 401)
        assert status(server, keys.signed(keys.ed("new"), "EdDSA")) == 200


def test_a_file_without_a_usable_key_stops_the_start(tmp_path: Path) -> None:
    """Else every token of the provider would be refused, and nobody would know why."""
    path = tmp_path / "keys.json"
    path.write_bytes(keys.document(keys.public(keys.rsa(), use="enc")))
    settings = {
        "SCOREBOARD_JWKS_FILE": str(path),
        "SCOREBOARD_JWT_ISSUER": keys.ISSUER,
        "SCOREBOARD_JWT_AUDIENCE": keys.AUDIENCE,
    }
    ended = subprocess.run(
        [sys.executable, "-c", SERVE.format(words=["serve", "--demo"])],
        env=environment(tmp_path, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"scoreboard: SCOREBOARD_JWKS_FILE: {path}: has no key that can be used")


@asynccontextmanager
async def fetching(publisher: KeyServer) -> AsyncIterator[ProviderKeys]:
    found = ProviderKeys(
        IdentityProvider(keys=KeysUrl(publisher.url), issuer=keys.ISSUER, audience=keys.AUDIENCE)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        yield found
        tasks.cancel_scope.cancel()


async def test_a_redirect_is_not_followed(
    publisher: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator said whose keys to trust; an open redirect must not say otherwise."""
    with KeyServer(keys.rsa("attacker")) as attacker:
        for code in (301, 302, 303, 307, 308):
            publisher.status, publisher.headers = code, {"Location": attacker.url}
            async with fetching(publisher) as found:
                await found.ask()
                assert found.keys is None
        assert attacker.fetches == 0
    assert "it answered 308" in caplog.text


@pytest.mark.parametrize("code", [201, 204, 206, 400, 404, 500, 503])
async def test_only_a_200_brings_keys(publisher: KeyServer, code: int) -> None:
    """An error page may be JSON too."""
    publisher.status = code
    async with fetching(publisher) as found:
        await found.ask()
        assert found.keys is None


async def test_a_large_document_is_not_read_to_its_end(
    publisher: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is a small one unpacked to a large one."""
    document = publisher.body
    publisher.body = document + b" " * 50_000_000
    async with fetching(publisher) as found:
        await found.ask()
        assert found.keys is None
    assert f"more than {jwks.MAX_DOCUMENT} bytes" in caplog.text
    assert publisher.sent < 25_000_000  # what the kernel takes in beforehand
    assert publisher.encodings == {"identity"}
    publisher.headers = {"Content-Encoding": "gzip"}
    publisher.body = gzip.compress(document + b" " * 50_000_000)
    async with fetching(publisher) as found:
        await found.ask()
        assert found.keys is None
    assert "is not JSON" in caplog.text


async def test_a_document_that_dribbles_in_is_given_up(
    publisher: KeyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit is for all of it: each byte alone would be in time."""
    monkeypatch.setattr(provider, "FETCH_WAIT", 0.3)
    publisher.pause = 0.05
    async with fetching(publisher) as found:
        with anyio.fail_after(PATIENCE):
            while "cannot be had" not in caplog.text:
                await anyio.lowlevel.checkpoint()
        assert found.keys is None
    assert publisher.sent < len(publisher.body)
