"""The example of docs/integrate.md for browsers, run as it stands there."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.conftest import Server
from tests.support.examples import examples

*_, WATCH = examples("integrate.md", "js")


def test_an_event_source_shows_the_board(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.evaluate(
        """([code, api]) => {
            window.shown = [];
            new Function("api", "show", code)(api, (lines) => window.shown.push(lines));
        }""",
        [WATCH, "/api/v1"],
    )
    server.player("Ada", puzzles=1)
    page.wait_for_function("window.shown.some((lines) => lines.includes('1. Ada 5'))")
