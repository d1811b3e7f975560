"""What no wheel has, out of Debian's packages: TLS, and a pooler. `make test-platform`."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.backends import (
    Backend,
    Postgres,
    Redis,
    ask,
    free_port,
    give,
    run,
    system_postgres,
    system_redis,
)

ELSEWHERE = "127.0.0.2"  # an address where the servers listen, and of which no certificate speaks
POOL = 4  # fewer than the service has connections: each transaction may meet another of these
AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
SERVER = ("basicConstraints=critical,CA:FALSE", "subjectAltName=DNS:localhost,IP:127.0.0.1")


@dataclass(frozen=True)
class Certificates:
    """An authority that nobody trusts by itself, one that has nothing to do with it, a server."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Signed the server's."""
        return self.folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        """Signed nothing."""
        return self.folder / "stranger.pem"

    @property
    def server(self) -> Path:
        """For localhost and 127.0.0.1."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """The server's private key."""
        return self.folder / "server.key"

    def make(self, name: str, extensions: Sequence[str], *more: str | Path) -> None:
        """Make a key and its certificate."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        words = ["-subj", f"/CN=Scoreboard test {name}", "-days", "2", "-nodes"]
        for extension in extensions:
            words += ["-addext", extension]
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *(*words, *more, "-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        give(key)
        certificate.chmod(0o644)


class TlsRedis(Redis):
    """Redis with TLS; beside it stays the port without, for the tests' own commands."""

    def __init__(self, certificates: Certificates) -> None:
        self.tls_port = free_port()
        super().__init__(
            binary=system_redis(),
            options={
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(certificates.server),
                "tls-key-file": str(certificates.key),
                "tls-auth-clients": "no",
            },
        )

    @property
    def url(self) -> str:
        """Of its first database, with TLS."""
        return f"rediss://127.0.0.1:{self.tls_port}/0"


class PgBouncer(Backend):
    """A pooler in transaction mode: a client has a server's connection for one transaction."""

    name = "pgbouncer"

    def __init__(self, postgres: Postgres) -> None:
        super().__init__()
        give(self.folder)
        self._postgres = postgres

    def url_of(self, database: str) -> str:
        """Of one database, through the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _command(self) -> Sequence[str | Path]:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "no pgbouncer to test with (apt-get install pgbouncer)"
        server = f"host=127.0.0.1 port={self._postgres.port}"
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            "[databases]\n"
            f"* = {server} user=postgres password={self._postgres.password}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = any\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {POOL}\n"
        )
        give(settings)
        return [program, settings]

    def _answers(self) -> bool:
        try:
            ask(self.url_of("postgres"), lambda connection: connection.execute("SELECT 1"))
        except Exception:  # noqa: BLE001 - not yet
            return False
        return True


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """Made once for all servers; removed with everything else of the run."""
    made = Certificates(run().new_folder("certificates"))
    made.make("authority", AUTHORITY)
    made.make("stranger", AUTHORITY)
    signed = ("-CA", made.authority, "-CAkey", made.folder / "authority.key")
    made.make("server", SERVER, *signed)
    return made


@pytest.fixture(scope="session")
def postgres(certificates: Certificates) -> Iterator[Postgres]:
    """PostgreSQL with TLS, for those who ask for it, and with the collation of a hosted one."""
    with Postgres(
        binaries=system_postgres(),
        options={
            "listen_addresses": f"127.0.0.1,{ELSEWHERE}",
            "ssl": "on",
            "ssl_cert_file": str(certificates.server),
            "ssl_key_file": str(certificates.key),
        },
        initdb=("--locale-provider=icu", "--icu-locale=en-US"),
    ) as server:
        yield server


@pytest.fixture(scope="session")
def redis(certificates: Certificates) -> Iterator[TlsRedis]:
    """Redis with TLS."""
    with TlsRedis(certificates) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """A pooler in front of PostgreSQL."""
    with PgBouncer(postgres) as pooler:
        yield pooler


@pytest.fixture(scope="session")
def database_name() -> Callable[[], str]:
    """A name that no other test has, each time."""
    numbers = itertools.count(1)
    return lambda: f"platform_{next(numbers)}"


@pytest.fixture
def database(
    postgres: Postgres, redis: TlsRedis, database_name: Callable[[], str]
) -> Iterator[str]:
    """The name of an empty database; Redis is empty too."""
    name = database_name()
    postgres.create_database(name)
    redis.flush()
    yield name
    postgres.drop_database(name)
