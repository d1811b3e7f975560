"""The servers are what the other tests take them for."""

from __future__ import annotations

import socket
import ssl

import asyncpg
import pytest

from tests.platform.conftest import ELSEWHERE, POOL, Certificates, PgBouncer, TlsRedis
from tests.support.backends import PATIENCE, Postgres, ask


async def is_encrypted(url: str, tls: object) -> bool:
    connection = await asyncpg.connect(url, ssl=tls, timeout=PATIENCE)
    try:
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        return bool(await connection.fetchval(query))
    finally:
        await connection.close()


async def test_postgresql_has_tls_and_a_certificate(
    postgres: Postgres, certificates: Certificates
) -> None:
    trusting = ssl.create_default_context(cafile=certificates.authority)
    strange = ssl.create_default_context(cafile=certificates.stranger)
    assert not await is_encrypted(postgres.url, "disable")
    assert await is_encrypted(postgres.url, "require")
    assert await is_encrypted(postgres.url, trusting)
    for url, context in (
        (postgres.url, strange),
        (postgres.url.replace("127.0.0.1", ELSEWHERE), trusting),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            await is_encrypted(url, context)


def test_postgresql_sorts_as_a_hosted_one(postgres: Postgres) -> None:
    assert postgres.fetch("SELECT 'a' < 'B' AS yes") == [{"yes": True}]


def test_redis_has_tls_and_a_certificate(redis: TlsRedis, certificates: Certificates) -> None:
    def greet(context: ssl.SSLContext) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", redis.tls_port), PATIENCE) as bare,
            context.wrap_socket(bare, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(b"PING\r\n")
            return connection.recv(100)

    assert greet(ssl.create_default_context(cafile=certificates.authority)) == b"+PONG\r\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(ssl.create_default_context())


def test_pgbouncer_shares_few_connections(pgbouncer: PgBouncer, postgres: Postgres) -> None:
    """Each of many clients in turn: they meet the same few servers."""
    url = pgbouncer.url_of("postgres")
    servers = {
        ask(url, lambda client: client.fetchval("SELECT pg_backend_pid()")) for _ in range(3 * POOL)
    }
    assert 1 <= len(servers) <= POOL
