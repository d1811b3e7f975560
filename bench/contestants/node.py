"""Fastify: the quickest of the frameworks that people choose on Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench import machine
from bench.contestants.running import Running, new_folder, shown, started
from bench.load import Missing

HERE = Path(__file__).resolve().parent
PACKAGES = ("fastify", "@fastify/jwt", "pg", "ioredis")
OLDEST = 20  # the first that Fastify 5 runs on
INSTALL = (
    "npm",
    "install",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",  # one would record the address of a registry
    "--ignore-scripts",
    "--loglevel=error",
)
PATIENCE = 300  # seconds for the packages to be there


@contextmanager
def fastify(script: str, **environment: str) -> Iterator[Running]:
    """A script of the folder `fastify`. Raises `Missing` without Node, npm or the packages."""
    _install()
    with (
        new_folder("fastify") as folder,
        started(
            [_node(), HERE / "fastify" / script],
            folder=folder,
            environment={"NODE_ENV": "production", **environment},
        ) as running,
    ):
        yield running


def command(script: str, **environment: str) -> str:
    """How it is started."""
    return shown(
        ["node", HERE / "fastify" / script], {"NODE_ENV": "production", **environment, "PORT": "…"}
    )


def version() -> str:
    """Of Node and of the packages that are pinned."""
    pinned = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    packages = ", ".join(f"{name} {pinned[name]}" for name in PACKAGES)
    return f"Node {machine.first_line('node', '--version').removeprefix('v')}, {packages}"


def _node() -> str:
    return shutil.which("node") or "node"


@cache
def _install() -> None:
    said = machine.first_line("node", "--version")
    found = re.match(r"v(\d+)", said)
    if not found or int(found[1]) < OLDEST:
        have = f", here is {said}" if found else ""
        raise Missing(f"Node {OLDEST} or newer{have} (apt-get install nodejs npm)")
    wanted = (HERE / "package.json").read_text("utf-8")
    mark = HERE / "node_modules" / ".installed"  # the package.json that is installed
    if mark.exists() and mark.read_text("utf-8") == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm (apt-get install npm)")
    done = subprocess.run(
        [npm, *INSTALL[1:]],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise Missing(f"Fastify's packages ({shown(INSTALL)}: {done.stderr.strip()[-300:]})")
    mark.write_text(wanted, "utf-8")
