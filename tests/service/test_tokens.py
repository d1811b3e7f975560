"""Attacks with tokens on a service that trusts its own secret and an identity provider."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import OctKey

from tests.support import keys
from tests.support.key_server import KeyServer
from tests.support.server import SECRET, Server

OWN = OctKey.import_key(SECRET)


@pytest.fixture(scope="module")
def publisher() -> Iterator[KeyServer]:
    """The identity provider."""
    with KeyServer(keys.rsa(), keys.ec(), keys.ed()) as publisher:
        yield publisher


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, publisher: KeyServer) -> Iterator[Server]:
    """A service that trusts it."""
    with Server(tmp_path_factory.mktemp("trusting"), **publisher.settings) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.logged()


def me(server: Server, token: str) -> httpx2.Response:
    with server.client() as client:
        return client.get("/me", headers={"Authorization": f"Bearer {token}"})


def code(server: Server, token: str) -> Any:
    """The code of the answer; the challenge belongs to every 401."""
    answer = me(server, token)
    if answer.status_code == 200:
        return "OK"
    assert answer.status_code == 401, answer.text
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    return answer.json()["code"]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (keys.rsa(), "RS256"),
        (keys.ec(), "ES256"),
        (keys.ed(), "Ed25519"),
        (keys.ed(), "EdDSA"),
    ],
)
def test_a_token_of_the_provider_is_taken(
    trusting: Server, key: keys.SigningKey, algorithm: str
) -> None:
    """Its `sub` becomes the account."""
    answer = me(trusting, keys.signed(key, algorithm, sub=f"by-{algorithm}"))
    assert answer.status_code == 200
    assert answer.json()["userId"] == f"by-{algorithm}"


@pytest.mark.parametrize(
    ("forger", "algorithm", "kid"),
    [
        (keys.rsa("forger"), "RS256", "rsa"),
        (keys.ec("forger"), "ES256", "ec"),
        (keys.ed("forger"), "EdDSA", "ed"),
        (keys.ed("forger"), "EdDSA", None),
    ],
)
def test_a_forged_signature(
    trusting: Server, forger: keys.SigningKey, algorithm: str, kid: str | None
) -> None:
    """A key of the attacker's under the provider's id."""
    assert code(trusting, keys.signed(forger, algorithm, {"kid": kid})) == "UNAUTHORIZED"


def test_a_changed_claim_and_a_cut_signature(trusting: Server) -> None:
    """The signature belongs to these very bytes."""
    header, _, signature = keys.signed(keys.ec(), "ES256").split(".")
    other = keys.encoded(keys.claims(sub="somebody-else"))
    assert code(trusting, f"{header}.{other}.{signature}") == "UNAUTHORIZED"
    assert code(trusting, f"{header}.{other}.") == "UNAUTHORIZED"
    # r and s of zero, which some libraries took (CVE-2022-21449).
    assert code(trusting, f"{header}.{other}.{keys.encoded(bytes(64))}") == "UNAUTHORIZED"


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", "none ", "", None, "null"])
def test_none_in_every_spelling(trusting: Server, none: str | None) -> None:
    """RFC 8725, 3.2: nothing is unsigned."""
    for kid in ("rsa", None):
        begun = f"{keys.encoded({'alg': none, 'kid': kid})}.{keys.encoded(keys.claims())}"
        for signature in ("", keys.encoded(b"signature"), keys.encoded(bytes(256))):
            assert code(trusting, f"{begun}.{signature}") == "UNAUTHORIZED"


def test_a_public_key_as_the_secret(trusting: Server) -> None:
    """Key confusion: the algorithm swapped to HS256, signed with what everybody knows."""
    for key in (keys.rsa(), keys.ec(), keys.ed()):
        pem = key.as_pem(private=False)
        document = keys.document(key)
        member = keys.document(key)[len(b'{"keys": [') : -len(b"]}")]
        number = str(keys.public(key).get("n") or keys.public(key)["x"]).encode()
        for known in (pem, pem.strip(), key.as_der(private=False), document, member, number):
            header = {"alg": "HS256", "kid": key.kid}
            begun = f"{keys.encoded(header)}.{keys.encoded(keys.claims())}".encode()
            assert code(trusting, keys.hmac_signed(begun, known)) == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "algorithm", ["HS384", "HS512", "hs256", "RS256", "RS512", "PS256", "ES256", "EdDSA", "dir"]
)
def test_the_own_secret_under_another_algorithm(trusting: Server, algorithm: str) -> None:
    """Only the header changes, and not what is signed with."""
    for kid in ("rsa", "ec", "ed", None):
        header = {"alg": algorithm, "kid": kid}
        begun = f"{keys.encoded(header)}.{keys.encoded(keys.claims())}".encode()
        assert code(trusting, keys.hmac_signed(begun, SECRET.encode())) == "UNAUTHORIZED"


def test_the_providers_key_under_another_algorithm(trusting: Server) -> None:
    """The right key, by an algorithm that is not its own."""
    for algorithm in ("RS384", "RS512", "PS256"):
        assert code(trusting, keys.signed(keys.rsa(), algorithm)) == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "kid",
    [
        "ec",
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "rsa\x00",
        "RSA",
        "http://attacker.example/key",
        "$(id)",
        "k" * 5000,
    ],
)
def test_a_kid_that_points_elsewhere(trusting: Server, kid: str) -> None:
    """It is compared with the ids of the set, and nothing else is done with it."""
    assert code(trusting, keys.signed(keys.rsa(), "RS256", {"kid": kid})) == "UNAUTHORIZED"
    assert code(trusting, keys.signed(OWN, "HS256", {"kid": kid})) == "OK"


@pytest.mark.parametrize("kid", [7, True, ["rsa"], {"kid": "rsa"}])
def test_a_kid_that_is_no_text(trusting: Server, kid: Any) -> None:
    """RFC 7515, 4.1.4."""
    assert code(trusting, keys.signed(keys.rsa(), "RS256", {"kid": kid})) == "UNAUTHORIZED"


def test_headers_that_bring_the_attackers_key(trusting: Server) -> None:
    """`jku`, `x5u`, `jwk` and `x5c` are not followed (RFC 8725, 3.10): nobody is called."""
    forger = keys.rsa("forger")
    with KeyServer(forger) as attacker:
        for kid in ("rsa", "forger", None):
            for header in (
                {"jku": attacker.url},
                {"x5u": attacker.url},
                {"jwk": keys.public(forger)},
                {"x5c": [keys.encoded(forger.as_der(private=False))]},
            ):
                token = keys.signed(forger, "RS256", {"kid": kid, **header})
                assert code(trusting, token) == "UNAUTHORIZED"
        assert attacker.fetches == 0


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": ["alg"]},
        {"crit": "alg"},
        {"crit": [7]},
        {"b64": False},
    ],
)
def test_critical_headers(trusting: Server, header: dict[str, Any]) -> None:
    """What a token calls critical has to be understood, and nothing is (RFC 7515, 4.1.11)."""
    assert code(trusting, keys.signed(keys.ed(), "EdDSA", header)) == "UNAUTHORIZED"
    assert code(trusting, keys.signed(OWN, "HS256", {"kid": None, **header})) == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda now: {"exp": now - 60}, "TOKEN_EXPIRED"),
        (lambda now: {"exp": None}, "UNAUTHORIZED"),
        (lambda now: {"exp": str(now + 600)}, "UNAUTHORIZED"),
        (lambda now: {"exp": True}, "UNAUTHORIZED"),
        (lambda now: {"exp": float("inf")}, "UNAUTHORIZED"),
        (lambda now: {"exp": float("nan")}, "UNAUTHORIZED"),
        (lambda now: {"nbf": now + 3600}, "UNAUTHORIZED"),
        (lambda now: {"iat": now + 3600}, "UNAUTHORIZED"),
        (lambda now: {"sub": None}, "UNAUTHORIZED"),
        (lambda now: {"sub": ""}, "UNAUTHORIZED"),
        (lambda now: {"sub": 7}, "UNAUTHORIZED"),
        (lambda now: {"sub": "x" * 256}, "UNAUTHORIZED"),
        (lambda now: {"sub": "a\x00b"}, "UNAUTHORIZED"),
    ],
)
def test_a_token_out_of_its_time_or_for_nobody(
    trusting: Server, changes: Callable[[int], dict[str, Any]], expected: str
) -> None:
    """Asked of every token, whoever signed it."""
    changed = changes(int(time.time()))
    assert code(trusting, keys.signed(keys.rsa(), "RS256", **changed)) == expected
    assert code(trusting, keys.signed(OWN, "HS256", {"kid": None}, **changed)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "https://attacker.example/"},
        {"iss": keys.ISSUER.upper()},
        {"aud": None},
        {"aud": "another-service"},
        {"aud": ["another-service"]},
        {"aud": None, "client_id": "another-service", "token_use": "access"},
        {"aud": "another-service", "client_id": keys.AUDIENCE, "token_use": "access"},
    ],
)
def test_a_token_of_another_issuer_or_for_another_audience(
    trusting: Server, changes: dict[str, Any]
) -> None:
    """Asked of the provider's tokens; the own secret speaks for itself."""
    assert code(trusting, keys.signed(keys.rsa(), "RS256", **changes)) == "UNAUTHORIZED"
    assert code(trusting, keys.signed(OWN, "HS256", {"kid": None}, **changes)) == "OK"


def test_a_huge_token(trusting: Server) -> None:
    """Over 8192 characters nothing is parsed; below, any claims may stand."""
    assert code(trusting, keys.signed(keys.rsa(), "RS256", padding="x" * 5000)) == "OK"
    assert code(trusting, keys.signed(keys.rsa(), "RS256", padding="x" * 6500)) == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("sub", "name", "expected"),
    [
        ("hostile-1", "\x00\x1b[31mMallory\r\n", "[31mMallory"),
        ("hostile-2", "\N{RIGHT-TO-LEFT OVERRIDE}yrollaM", "yrollaM"),
        ("hostile-3", "\N{ZERO WIDTH SPACE}", "hostile-3"),
        ("hostile-4", "M" * 1000, "M" * 50),
        ("hostile-5", {"a": "name"}, "hostile-5"),
    ],
)
def test_an_unknown_sub_with_a_hostile_name_becomes_an_account_with_a_clean_one(
    trusting: Server, sub: str, name: Any, expected: str
) -> None:
    """The token is valid: its name is cleaned rather than refused."""
    answer = me(trusting, keys.signed(keys.ed(), "Ed25519", sub=sub, name=name))
    assert (answer.status_code, answer.json()["username"]) == (200, expected)


def test_an_email_address_of_a_provider_is_not_on_the_public_board(trusting: Server) -> None:
    """Neither as a name nor, in part, in the name that stands for it."""
    address = "ada.lovelace@example.com"
    token = keys.signed(keys.ed(), "EdDSA", sub="by-mail", preferred_username=address, name=address)
    headers = {"Authorization": f"Bearer {token}"}
    with trusting.client() as client:
        assert client.post("/actions/join-the-game/complete", headers=headers).is_success
        users = client.get("/leaderboard").json()["users"]
    assert [user["username"] for user in users if user["userId"] == "by-mail"] == ["by-mail"]
    again = me(trusting, keys.signed(keys.ed(), "EdDSA", sub=address, username=address))
    assert again.json()["username"].startswith("Player ")
    assert "lovelace" not in again.json()["username"]


def test_a_name_that_is_taken_stays_with_its_owner(trusting: Server) -> None:
    """Whatever its case or width: the newcomer gets a suffix."""
    first = me(trusting, keys.signed(keys.ed(), "EdDSA", sub="first", name="Owner")).json()
    assert first["username"] == "Owner"
    for sub, name in (("second", "OWNER"), ("third", "Ｏwner")):
        newcomer = me(trusting, keys.signed(keys.ed(), "EdDSA", sub=sub, name=name)).json()
        assert newcomer["username"].casefold().startswith("owner-")


def test_a_token_in_the_query_or_the_body_is_not_read(trusting: Server) -> None:
    """Addresses end up in logs and histories (RFC 6750, 5.3)."""
    token = trusting.tokens.issue("ada", seconds=60)
    with trusting.client() as client:
        for name in ("access_token", "token", "authorization", "bearer"):
            assert client.get("/me", params={name: token}).status_code == 401
        body = {"access_token": token}
        answer = client.post("/actions/solve-a-puzzle/complete", data=body)
        assert answer.status_code == 401
        cookie = {"Cookie": f"access_token={token}; Authorization=Bearer {token}"}
        assert client.get("/me", headers=cookie).status_code == 401


def test_two_authorization_headers(trusting: Server) -> None:
    """Not even when they say the same."""
    good = trusting.bearer("ada")["Authorization"]
    with trusting.client() as client:
        for other in (good, "Bearer nonsense", "Basic YTpi", ""):
            for pair in ((good, other), (other, good)):
                headers = [("Authorization", value) for value in pair]
                answer = client.get("/me", headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


def test_a_token_without_the_scope(trusting: Server) -> None:
    """403, not 401: a new token of this kind would not help."""
    with trusting.client() as client:
        for scope in (None, "", "administrator", "scores:write", "Admin"):
            token = keys.signed(keys.rsa(), "RS256", scope=scope)
            headers = {"Authorization": f"Bearer {token}"}
            answer = client.get("/admin/audit", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        token = keys.signed(keys.rsa(), "RS256", scope="openid admin")
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/admin/audit", headers=headers).status_code == 200


def staff(server: Server, token: str) -> bool:
    """Whether the token may do what staff may."""
    with server.client() as client:
        answer = client.get("/admin/audit", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (200, 403), answer.text
    return answer.status_code == 200


def test_roles_of_a_provider_are_translated(tmp_path: Path, publisher: KeyServer) -> None:
    """A role of its own that is called like one of our scopes gives nothing, and nobody becomes
    staff by registering under a name that the map lists.
    """
    settings = {
        **publisher.settings,
        "SCOREBOARD_SCOPE_CLAIM": "realm_access.roles",
        "SCOREBOARD_SCOPE_MAP": "scoreboard/admin=admin, Score Admin=admin",
    }
    with Server(tmp_path, **settings) as server:
        for role, expected in (
            ("scoreboard/admin", True),
            ("Score Admin", True),
            ("admin", False),
            ("scoreboard", False),
        ):
            roles = {"roles": ["offline_access", role]}
            token = keys.signed(keys.ed(), "EdDSA", scope="admin", realm_access=roles)
            assert staff(server, token) is expected, role
        assert staff(server, server.tokens.issue("operator", seconds=60, scope="admin"))
        server.stop()
        server.settings["SCOREBOARD_SCOPE_CLAIM"] = "username"
        server.settings["SCOREBOARD_SCOPE_MAP"] = "boss=admin"
        server.start()
        with server.client() as client:
            body = {"username": "boss", "password": "correct horse"}
            login = client.post("/auth/register", json=body).json()["accessToken"]
        assert not staff(server, login)
        assert staff(server, keys.signed(keys.ed(), "EdDSA", username="boss"))


def test_the_own_secret_is_changed_without_logging_anybody_out(tmp_path: Path) -> None:
    """The old one verifies as long as it is listed, and signs nothing."""
    new = "another secret that is longer than thirty-two bytes"
    with Server(tmp_path) as server:
        old_token = server.tokens.issue("ada", seconds=600)
        assert code(server, old_token) == "OK"
        server.stop()
        server.settings["SCOREBOARD_JWT_SECRET"] = new
        server.settings["SCOREBOARD_JWT_PREVIOUS_SECRETS"] = SECRET
        server.start()
        assert code(server, old_token) == "OK"
        with server.client() as client:
            body = {"username": "Grace", "password": "correct horse"}
            new_token = client.post("/auth/register", json=body).json()["accessToken"]
        assert code(server, new_token) == "OK"
        server.stop()
        server.settings["SCOREBOARD_JWT_PREVIOUS_SECRETS"] = ""
        server.start()
        assert code(server, old_token) == "UNAUTHORIZED"
        assert code(server, new_token) == "OK"


def test_without_a_provider_no_asymmetric_token_is_taken(tmp_path: Path) -> None:
    """And nothing is waited for."""
    with Server(tmp_path) as server:
        assert code(server, keys.signed(keys.rsa(), "RS256")) == "UNAUTHORIZED"
