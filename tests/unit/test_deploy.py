"""What a platform reads: Procfile, app.json, Dockerfile, compose.yaml, and the page about them."""

from __future__ import annotations

import fnmatch
import importlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scoreboard.addresses import PostgresServer
from scoreboard.board.redis import link
from scoreboard.cli import parser, serve, workers
from scoreboard.live import broadcast
from scoreboard.settings import POOL, STATEMENT_TIMEOUT_MS, VARIABLES, Settings

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("SCOREBOARD_JWT_SECRET", "SCOREBOARD_JWT_PREVIOUS_SECRETS", "POSTGRES_PASSWORD")
SMALL_PLAN = 20  # connections of heroku-postgresql:essential-0
GENERATIONS = 2  # a release starts before the one before it has gone
GONE_WITHIN = 5.0  # seconds after SIGTERM (tests/service/test_shutdown.py)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def check_command(words: list[str]) -> None:
    """Fails unless it is a command of ours."""
    assert words[0] == "scoreboard"
    assert parser().parse_args(words[1:])


# Procfile and app.json


def test_the_procfile_has_commands_that_exist() -> None:
    lines = dict(line.split(": ", 1) for line in text_of("Procfile").splitlines())
    assert lines.keys() == {"release", "web"}
    check_command(lines["release"].split())
    address, takes_its_place, *words = lines["web"].split()
    assert address == "HOST=0.0.0.0"
    assert takes_its_place == "exec", "a signal to the shell alone must reach the server"
    check_command(words)


@pytest.fixture
def app() -> Any:
    return json.loads(text_of("app.json"))


def test_the_app_has_what_the_schema_knows(app: Any) -> None:
    """devcenter.heroku.com/articles/app-json-schema, which has no health check."""
    about = {"name", "description", "keywords"}
    assert app.keys() == about | {"stack", "buildpacks", "addons", "formation", "env"}
    assert app["formation"].keys() == {"web"}
    assert [one["plan"] for one in app["addons"]] == [
        "heroku-postgresql:essential-0",
        "heroku-redis:mini",
    ]


def test_what_the_app_sets_makes_a_start_and_fits_the_plan(app: Any) -> None:
    assert app["env"].keys() <= set(VARIABLES)
    assert app["env"]["SCOREBOARD_JWT_SECRET"]["generator"] == "secret"
    assert all(not SECRETS.count(name) or "value" not in one for name, one in app["env"].items())
    settings = Settings.from_env(
        {name: one.get("value", "0123456789abcdef" * 4) for name, one in app["env"].items()}
        | {
            "PORT": "4711",
            "DATABASE_URL": "postgres://user:password@database.example:5432/name",
            "REDIS_URL": "rediss://:password@redis.example:6380",
        }
    )
    assert isinstance(settings.database, PostgresServer)
    assert settings.database.ssl_mode == "prefer"
    assert settings.redis
    assert not settings.redis.checks_certificate
    assert settings.trusted_proxy_hops == 1
    assert settings.database_pool * settings.workers * GENERATIONS < SMALL_PLAN


# The image


class Instruction(NamedTuple):
    """A line of the Dockerfile, with those that continue it."""

    name: str
    rest: str


def dockerfile() -> list[Instruction]:
    lines = [line for line in text_of("Dockerfile").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(" ", 1)) for line in joined.splitlines() if line]


def rest_of(name: str) -> list[str]:
    return [instruction.rest for instruction in dockerfile() if instruction.name == name]


def copied() -> Iterator[tuple[str, str]]:
    """What is copied out of the checkout, and where to."""
    for rest in rest_of("COPY"):
        if not rest.startswith("--from="):
            *sources, target = rest.split()
            for source in sources:
                yield source, target


def is_ignored(path: str) -> bool:
    """As Docker reads .dockerignore: the last pattern that fits the path or a folder above wins."""
    ignored = False
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for line in text_of(".dockerignore").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if pattern.startswith("**/"):
                fits = pattern[3:] in parts
            else:
                fits = any(fnmatch.fnmatch(one, pattern) for one in above if "/" not in one)
            if fits:
                ignored = not line.startswith("!")
    return ignored


def check_tag(image: str) -> None:
    """Fails unless the image is named with a version."""
    assert re.fullmatch(r"[a-z]+:\d[\w.-]*", image), image


def test_the_images_are_named_with_a_version() -> None:
    froms = [rest.split(" AS ")[0] for rest in rest_of("FROM")]
    assert len(froms) == 2
    assert len(set(froms)) == 1, "the packages are for the Python that they were installed with"
    for image in froms:
        check_tag(image)


def test_the_image_is_not_roots_and_hears_the_signal() -> None:
    (user,) = rest_of("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert rest_of("STOPSIGNAL") == ["SIGTERM"]
    (command,) = rest_of("CMD")
    check_command(json.loads(command))
    (check,) = rest_of("HEALTHCHECK")
    assert "/healthz" in check
    assert json.loads(check[check.index("[") :])[0] == "python"


def test_the_image_sets_no_secret_and_nothing_unknown() -> None:
    names = [name for rest in rest_of("ENV") for name in re.findall(r"(\w+)=", rest)]
    assert set(names) - {"PATH"} - {one for one in names if one.startswith("PIP_")} <= set(
        VARIABLES
    )
    assert "HOST=0.0.0.0" in " ".join(rest_of("ENV"))
    assert not rest_of("ARG")
    assert not rest_of("ADD")
    assert not [name for name in SECRETS if name in text_of("Dockerfile")]


def test_the_packages_of_the_image_are_pinned() -> None:
    installs = [part for rest in rest_of("RUN") for part in rest.split("&&") if " install " in part]
    pip = [part.strip() for part in installs if part.strip().startswith("pip ")]
    assert len(pip) == 3
    for line in pip:
        assert "/pins.txt" in line or "/tools.txt" in line or "/wheels/" in line, line
    for line in pip[:2]:
        assert "--only-binary :all:" in line
    made = rest_of("RUN")[0]
    assert "'/^--editable/d' requirements.txt >/pins.txt" in made
    assert "'/^--editable/d' requirements-dev.txt >/tools.txt" in made
    assert re.search(r"^hatchling==", text_of("requirements-dev.txt"), re.MULTILINE)


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "scoreboard.db",
        "scoreboard.db-wal",
        "scoreboard.db.secret",
        "tests/conftest.py",
        "src/scoreboard/__pycache__/app.cpython-313.pyc",
    ],
)
def test_the_build_never_sees(path: str) -> None:
    assert is_ignored(path)


def test_what_is_copied_exists_and_is_all_that_the_wheel_needs(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for source, target in copied():
        assert not is_ignored(source)
        if (ROOT / source).is_dir():
            assert source == target
            shutil.copytree(
                ROOT / source, checkout / target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            assert target == "./"
            shutil.copy(ROOT / source, checkout)
    assert not [
        path
        for path in checkout.rglob("*")
        if path.is_file() and is_ignored(path.relative_to(checkout).as_posix())
    ]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=checkout,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    for path in (ROOT / "sql").rglob("*.sql"):
        assert f"scoreboard/sql/{path.relative_to(ROOT / 'sql').as_posix()}" in packed


# compose.yaml


def load_yaml(text: str) -> Any:
    return importlib.import_module("yaml").safe_load(text)  # it has no types


@pytest.fixture
def compose() -> Any:
    return load_yaml(text_of("compose.yaml"))


def ours(compose: Any) -> dict[str, Any]:
    return {name: one for name, one in compose["services"].items() if "build" in one}


def test_the_order_of_the_start(compose: Any) -> None:
    services = compose["services"]
    assert services.keys() == {"web", "migrate", "postgres", "redis"}
    for service in services.values():
        for name, wish in service.get("depends_on", {}).items():
            if wish["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert services["web"]["depends_on"]["migrate"] == {
        "condition": "service_completed_successfully"
    }
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert services["migrate"]["restart"] == "no", "YAML's no is a boolean without quotes"
    check_command(services["migrate"]["command"])
    for name in ("postgres", "redis"):
        check_tag(services[name]["image"])
    volume, _ = services["postgres"]["volumes"][0].split(":")
    assert volume in compose["volumes"]


def test_redis_says_when_it_is_full(compose: Any) -> None:
    words = compose["services"]["redis"]["command"]
    assert all(isinstance(word, str) for word in words)
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--maxmemory"]
    assert options["--appendonly"] == "no"


def test_it_is_given_longer_than_it_takes_to_stop(compose: Any) -> None:
    seconds = float(compose["services"]["web"]["stop_grace_period"].removesuffix("s"))
    assert seconds > GONE_WITHIN > workers.STOP_WITHIN > serve.GRACE


def test_the_secrets_are_asked_for_and_stand_nowhere(compose: Any) -> None:
    for name in ("SCOREBOARD_JWT_SECRET", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}(.*?)\}}", text_of("compose.yaml"))
        assert uses
        assert all(use.startswith(":?") for use in uses)
    for service in compose["services"].values():
        for name, value in service["environment"].items() if "environment" in service else ():
            assert name not in SECRETS or value.startswith(f"${{{name}:"), name


def test_the_settings_make_a_start(compose: Any) -> None:
    asked = set(re.findall(r"\$\{(\w+)", text_of("compose.yaml")))
    assert asked - {"POSTGRES_PASSWORD"} <= set(VARIABLES)
    given = {"POSTGRES_PASSWORD": "a1" * 32, "SCOREBOARD_JWT_SECRET": "b2" * 32}

    def filled(match: re.Match[str]) -> str:
        return given.get(match[1]) or match[2].removeprefix(":-")

    assert ours(compose).keys() == {"web", "migrate"}
    for service in ours(compose).values():
        env = service["environment"]
        assert env.keys() <= set(VARIABLES)
        settings = Settings.from_env(
            {name: re.sub(r"\$\{(\w+)([^}]*)\}", filled, value) for name, value in env.items()}
        )
        assert settings.workers == 2
        assert settings.redis


def test_only_this_machine_reaches_the_port(compose: Any) -> None:
    published = {name: one["ports"] for name, one in compose["services"].items() if "ports" in one}
    assert list(published) == ["web"]
    assert published["web"] == ["127.0.0.1:${PORT:-8000}:8000"]
    assert any("PORT=8000" in rest for rest in rest_of("ENV"))


# The page


def test_the_page_names_settings_commands_and_metrics_that_exist() -> None:
    page = text_of("docs/deploy.md")
    named = set(re.findall(r"\bSCOREBOARD_[A-Z_]+[A-Z]\b", page))
    named |= set(re.findall(r"\b(?:DATABASE_URL|REDIS_URL|HOST|PORT|WEB_CONCURRENCY)\b", page))
    assert named <= set(VARIABLES)
    metrics = text_of("src/scoreboard/telemetry/metrics.py")
    counted = set(re.findall(r"\bscoreboard_\w+", page))
    assert counted
    for name in counted:
        base = re.sub(r"_(?:bucket|count|sum)$", "", name)
        assert f'"{base}"' in metrics, name
    known = {*re.findall(r"^    (\w+)", parser().format_help(), re.MULTILINE)}
    commands = set(re.findall(r"`scoreboard (\w+)", page)) | set(
        re.findall(r"(?:run|bin/)\s?scoreboard (\w+)", page)
    )
    assert {"migrate", "serve"} <= commands <= known


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    page = text_of("docs/deploy.md")
    for figure in (
        f"{serve.KEEP_ALIVE} s",
        f"{broadcast.PING_EVERY} s",
        f"{STATEMENT_TIMEOUT_MS // 1000} s",
        f"{workers.STOP_WITHIN:g} s",
        f"{POOL} × 2 × 2 = {POOL * 2 * 2}",
        f"{link.CONNECTIONS + 1} × 2 × 2 = {(link.CONNECTIONS + 1) * 2 * 2}",
    ):
        assert figure in page, figure


def test_what_the_page_points_at_exists() -> None:
    page = text_of("docs/deploy.md")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page)
    targets += [
        f"../{path}" for path in re.findall(r"`((?:src|sql|tests|scripts)/[\w./-]+)`", page)
    ]
    assert targets
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target
