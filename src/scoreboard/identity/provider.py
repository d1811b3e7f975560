"""The keys of the identity provider: fetched, kept, and fetched again."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import httpx2

from scoreboard.errors import SettingsError, Unavailable
from scoreboard.identity import jwks
from scoreboard.identity.jwks import KeySet
from scoreboard.values import IdentityProvider, KeysUrl

REFRESH_EVERY: Final = 600.0  # seconds: a key that was withdrawn verifies for so long at most
RETRY_EVERY: Final = 10.0  # seconds after a fetch that failed: soon, and no load for a provider
# Seconds in all, from the look-up of the name to the last byte: callers with a new key wait for it.
FETCH_WAIT: Final = 3.0
# Seconds between fetches that unknown key ids cause, whose number is up to strangers.
COOL_DOWN: Final = 30.0

Fetch = Callable[[], Awaitable[bytes]]

# Reading the system's authorities takes the event loop 30 ms: once is enough.
_tls = functools.cache(httpx2.create_ssl_context)

logger = logging.getLogger(__name__)


class ProviderKeys:
    """The keys of one provider. `run` is the one task that fetches them; callers ask it to."""

    def __init__(
        self,
        provider: IdentityProvider,
        fetch: Fetch | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = provider
        self.keys: KeySet | None = None
        """The newest keys that were had; None before the first. Another object when they change."""
        self._fetch = fetch or (lambda: _fetch(provider.keys))
        self._clock = clock
        self._document = b""
        self._is_away = False
        self._asked_at: float | None = None
        self._asked = anyio.Event()
        self._fetched = anyio.Event()

    def take(self, document: bytes) -> None:
        """Have the keys of this document from now on. Raises `ValueError`, and keeps the old ones,
        when none of it can be used.
        """
        if document == self._document and self.keys:
            return
        self.keys, self._document = jwks.parse(document), document
        logger.info("%d keys of the identity provider", len(self.keys))

    async def run(self) -> None:
        """Fetch the keys now and then, and when somebody asks, until cancelled."""
        while True:
            await self._refresh()
            self._asked = anyio.Event()
            self._fetched.set()
            self._fetched = anyio.Event()
            with anyio.move_on_after(RETRY_EVERY if self._is_away else REFRESH_EVERY):
                await self._asked.wait()

    async def ask(self) -> None:
        """Have the keys fetched once more, and wait for it, whatever comes of it.

        All who ask while a fetch is under way share it. After one that was asked for there is none
        to be had for 30 s, failed or not: then this returns at once.
        """
        if not self._asked.is_set():
            now = self._clock()
            if self._asked_at is not None and now - self._asked_at < COOL_DOWN:
                return
            self._asked_at = now
            self._asked.set()
        with anyio.move_on_after(FETCH_WAIT):
            await self._fetched.wait()

    async def find(self, kid: str | None) -> None:
        """Have the keys that a token with this `kid` may need, as far as they can be had.

        Raises `Unavailable` while there never were any: the token may be right.
        """
        if self.keys is None or (kid is not None and not self.keys.knows(kid)):
            await self.ask()
        if self.keys is None:
            raise Unavailable(
                "The identity provider's keys cannot be had yet.", retry_after=RETRY_EVERY
            )

    async def _refresh(self) -> None:
        try:
            with anyio.fail_after(FETCH_WAIT):
                document = await self._fetch()
            self.take(document)
        except Exception as error:  # noqa: BLE001 - what a stranger's server sends must not end this
            if not self._is_away:
                logger.warning(
                    "the identity provider's keys cannot be had from %s: %s; %s",
                    self.provider.keys,
                    _why(error),
                    "the old ones stay" if self.keys else "its tokens are answered with 503",
                )
            self._is_away = True
        else:
            if self._is_away:
                logger.info("the identity provider's keys can be had again")
            self._is_away = False


def open_keys(provider: IdentityProvider | None) -> ProviderKeys | None:
    """The provider's keys, if there is one, yet to be `run`. Those of a file are there at once.

    Raises `SettingsError` when the file has none.
    """
    if provider is None:
        return None
    keys = ProviderKeys(provider)
    if isinstance(provider.keys, Path):
        try:
            keys.take(_read(provider.keys))
        except (OSError, ValueError) as error:
            raise SettingsError(
                "SCOREBOARD_JWKS_FILE", f"{provider.keys}: {_why(error)}"
            ) from error
    return keys


async def _fetch(keys: KeysUrl | Path) -> bytes:
    if isinstance(keys, Path):
        return await anyio.to_thread.run_sync(_read, keys, abandon_on_cancel=True)
    # Redirects are not followed: the operator said whom to trust. Nor is anything unpacked, which
    # could become as large as it likes.
    headers = {
        "Accept": "application/jwk-set+json, application/json",
        "Accept-Encoding": "identity",
    }
    async with (
        httpx2.AsyncClient(verify=_tls(), timeout=FETCH_WAIT, follow_redirects=False) as client,
        client.stream("GET", keys.url, headers=headers) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"it answered {response.status_code}")
        document = bytearray()
        async for chunk in response.aiter_raw():
            document += chunk
            if len(document) > jwks.MAX_DOCUMENT:
                break  # which `parse` refuses
        return bytes(document)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(jwks.MAX_DOCUMENT + 1)


def _why(error: Exception) -> str:
    """What went wrong, without anything that a URL or an answer may hold."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, httpx2.ConnectError | ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    return type(error).__name__
