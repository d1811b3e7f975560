"""The live page as a person meets it, in Chromium against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import Server

COMPLETE = "**/api/v1/actions/*/complete"
STREAM = "**/api/v1/leaderboard/stream*"


def look_at(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/{query}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def rows(page: Page) -> Locator:
    return page.locator("#rows > li:not(.leaving)")


def names(page: Page) -> Locator:
    return rows(page).locator(".name")


def score(page: Page, name: str) -> Locator:
    return rows(page).filter(has_text=name).locator(".plates")


def own_score(page: Page) -> Locator:
    return page.locator("#you .plates")


def join(page: Page, name: str) -> None:
    page.get_by_label("Your name on the board").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("#you-name")).to_have_text(name)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def problem(status: int, code: str, **members: object) -> Callable[[Route], None]:
    """Answer a held or intercepted request with an error of the API's form."""
    body = {"title": code, "status": status, "detail": code, "code": code, **members}
    headers = {"Retry-After": str(members["retryAfter"])} if "retryAfter" in members else {}

    def answer(route: Route) -> None:
        route.fulfill(
            status=status,
            headers=headers,
            content_type="application/problem+json",
            body=json.dumps(body),
        )

    return answer


class Held:
    """Requests that wait for the test to let them go."""

    def __init__(self, page: Page, url: str | re.Pattern[str]) -> None:
        self._page = page
        self._routes: list[Route] = []
        page.route(url, self._hold)

    def _hold(self, route: Route) -> None:
        self._routes.append(route)

    def next(self) -> Route:
        """The oldest request that is waiting."""
        while not self._routes:
            self._page.evaluate("null")  # events are heard during calls
        return self._routes.pop(0)


# --- The board ---


def test_a_completion_made_elsewhere_shows_up_by_itself(page: Page, server: Server) -> None:
    look_at(page, server)
    expect(page.get_by_text("No points yet.")).to_be_visible()
    zoe = server.player("Zoë", puzzles=1)
    expect(names(page)).to_have_text(["Zoë"])
    expect(page.get_by_text("No points yet.")).to_be_hidden()
    zoe.solve_puzzles(2)
    expect(score(page, "Zoë")).to_have_text("15")


def test_rows_change_places_come_and_go(page: Page, server: Server) -> None:
    players = [server.player(f"player {place}", puzzles=12 - place) for place in range(1, 11)]
    look_at(page, server)
    expect(names(page)).to_have_text([f"player {place}" for place in range(1, 11)])
    players[2].solve_puzzles(3)
    expect(names(page)).to_have_text(
        ["player 3", "player 1", "player 2", *[f"player {place}" for place in range(4, 11)]]
    )
    server.player("newcomer", puzzles=3)
    expect(names(page).last).to_have_text("newcomer")
    expect(names(page)).to_have_count(10)
    expect(page.get_by_text("player 10")).to_have_count(0)


@pytest.mark.parametrize(("wish", "moves"), [("no-preference", True), ("reduce", False)])
def test_rows_glide_unless_less_motion_is_wished(
    page: Page, server: Server, wish: str, moves: bool
) -> None:
    page.add_init_script("""
        window.glides = 0;
        const animate = Element.prototype.animate;
        Element.prototype.animate = function (frames, options) {
            if (JSON.stringify(frames).includes("translateY")) window.glides += 1;
            return animate.call(this, frames, options);
        };
    """)
    page.emulate_media(reduced_motion="reduce" if wish == "reduce" else "no-preference")
    server.player("Ada", puzzles=2)
    bob = server.player("Bob", puzzles=1)
    look_at(page, server)
    expect(names(page)).to_have_text(["Ada", "Bob"])
    bob.solve_puzzles(2)
    expect(names(page)).to_have_text(["Bob", "Ada"])
    assert (page.evaluate("window.glides") > 0) is moves


def test_a_name_is_never_markup(page: Page, server: Server) -> None:
    name = "<img src=x onerror=alert(1)>"
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    look_at(page, server)
    server.player(name, puzzles=1)
    expect(names(page)).to_have_text([name])
    expect(page.locator("#rows img")).to_have_count(0)
    join(page, "<b>bold</b>")
    button(page, "Join the game").click()
    expect(names(page)).to_have_text(["<b>bold</b>", name])
    assert dialogs == []


def test_the_board_is_chosen_by_keyboard_and_kept_in_the_address(
    page: Page, server: Server
) -> None:
    look_at(page, server)
    expect(page.get_by_text("since the first point")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="All time")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Today")).to_be_checked()
    expect(page.get_by_text("No points today yet.")).to_be_visible()
    expect(page.locator("#period")).to_have_text(re.compile(r"^today, \d{4}-\d\d-\d\d UTC$"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{server.url}/?board=weekly")
    expect(page.locator("#period")).to_have_text(re.compile(r"^week \d+ of \d{4}, UTC$"))
    page.reload()
    expect(page.get_by_role("radio", name="This week")).to_be_checked()
    server.player("Zoë", puzzles=1)
    expect(names(page)).to_have_text(["Zoë"])
    page.get_by_role("radio", name="This week").press("ArrowRight")
    expect(page).to_have_url(f"{server.url}/")
    expect(names(page)).to_have_text(["Zoë"])


def test_a_board_that_is_switched_off_is_not_offered(page: Page, idle_server: Server) -> None:
    idle_server.start("--demo", SCOREBOARD_BOARDS="all-time,weekly")
    look_at(page, idle_server, "?board=daily")
    expect(page.get_by_text("Today", exact=True)).to_be_hidden()
    expect(page.get_by_role("radio", name="This week")).to_be_visible()
    expect(page.get_by_role("radio", name="All time")).to_be_checked()
    expect(page).to_have_url(f"{idle_server.url}/")


def test_a_late_answer_of_the_board_before_is_ignored(page: Page, server: Server) -> None:
    server.player("Zoë", puzzles=1)
    page.route(STREAM, lambda route: route.fulfill(status=503))
    held = Held(page, re.compile(r"/leaderboard\?board=all-time$"))
    page.goto(server.url)
    late = held.next()
    page.get_by_text("Today", exact=True).click()
    expect(page.locator("#period")).to_contain_text("today")
    with page.expect_event("requestfinished", lambda request: request == late.request):
        late.continue_()
    page.evaluate("fetch('/healthz').then((answer) => answer.text())")  # the page had its turn
    expect(page.locator("#period")).to_contain_text("today")


def test_a_late_answer_does_not_undo_newer_news(page: Page, server: Server) -> None:
    page.route(STREAM, lambda route: route.fulfill(status=503), times=1)
    held = Held(page, re.compile(r"/leaderboard\?board=all-time$"))
    page.goto(server.url)
    late = held.next()
    before = late.fetch()
    server.player("Zoë", puzzles=1)
    expect(names(page)).to_have_text(["Zoë"])
    with page.expect_event("requestfinished", lambda request: request == late.request):
        late.fulfill(response=before)
    page.evaluate("fetch('/healthz').then((answer) => answer.text())")  # the page had its turn
    expect(names(page)).to_have_text(["Zoë"])


@pytest.mark.parametrize("width", [320, 360, 390])
def test_nothing_is_wider_than_a_phone(page: Page, server: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    server.player("W" * 50, puzzles=1)
    look_at(page, server)
    expect(names(page)).to_have_count(1)
    is_wide = "document.documentElement.scrollWidth > innerWidth"
    assert page.evaluate(is_wide) is False
    join(page, "M" * 50)
    button(page, "Join the game").click()
    expect(names(page)).to_have_text(["M" * 50, "W" * 50])
    assert page.evaluate(is_wide) is False


def test_nobody_can_sign_up_outside_the_demo(page: Page, idle_server: Server) -> None:
    idle_server.migrate()
    idle_server.start()
    look_at(page, idle_server)
    expect(page.get_by_text("No points yet.")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)
    expect(page.get_by_role("button")).to_have_count(0)


# --- The connection ---


def test_a_server_that_comes_back_is_found_again(page: Page, server: Server) -> None:
    look_at(page, server)
    server.stop()
    expect(page.get_by_text("Reconnecting…")).to_be_visible()
    server.start("--demo")
    server.player("Zoë", puzzles=4)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(score(page, "Zoë")).to_have_text("20")


def test_a_stream_that_was_refused_is_opened_anew(page: Page, server: Server) -> None:
    page.route(STREAM, lambda route: route.fulfill(status=503), times=1)
    page.goto(server.url)
    expect(page.get_by_text("Reconnecting…")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    server.player("Zoë", puzzles=1)
    expect(names(page)).to_have_text(["Zoë"])


def test_without_a_stream_the_board_is_polled(page: Page, server: Server) -> None:
    page.route(STREAM, lambda route: route.fulfill(status=503))
    page.goto(server.url)
    expect(page.get_by_text("No points yet.")).to_be_visible()
    with page.expect_response(lambda response: response.status == 304):
        pass
    server.player("Zoë", puzzles=1)
    expect(names(page)).to_have_text(["Zoë"])
    expect(page.get_by_text("Reconnecting…")).to_be_visible()


def test_a_full_house_is_not_called_live(page: Page, idle_server: Server) -> None:
    idle_server.start("--demo", SCOREBOARD_MAX_STREAMS="1")
    look_at(page, idle_server)
    second = page.context.new_page()
    second.goto(idle_server.url)
    expect(second.get_by_text("Reconnecting…")).to_be_visible()
    expect(second.get_by_text("No points yet.")).to_be_visible()


def test_being_offline_is_said(page: Page, server: Server) -> None:
    look_at(page, server)
    page.context.set_offline(True)
    expect(page.get_by_text("Offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


# --- Playing along ---


def test_joining_and_scoring(page: Page, server: Server, complaints: list[str]) -> None:
    server.player("Zoë", puzzles=7)
    look_at(page, server)
    join(page, "Ada")
    expect(page.locator("#you-rank")).to_have_text("\u2013")
    button(page, "Join the game").click()
    expect(own_score(page)).to_have_text("25")
    expect(page.locator("#you-rank")).to_have_text("2")
    own = rows(page).filter(has_text="Ada")
    expect(own).to_have_class(re.compile("own"))
    expect(own.get_by_text("you", exact=True)).to_be_visible()
    for _ in range(3):
        button(page, "Solve a puzzle").click()
    expect(own_score(page)).to_have_text("40")
    expect(names(page)).to_have_text(["Ada", "Zoë"])
    expect(page.locator("#you-rank")).to_have_text("1")

    page.reload()
    expect(page.locator("#you-name")).to_have_text("Ada")
    expect(own_score(page)).to_have_text("40")
    expect(button(page, "Join the game")).to_be_disabled()
    expect(button(page, "Daily check-in")).to_be_enabled()
    page.get_by_text("Today", exact=True).click()
    expect(page.locator("#you-rank")).to_have_text("1")
    assert complaints == []

    button(page, "Sign out").click()
    expect(page.get_by_label("Your name on the board")).to_be_focused()
    expect(rows(page).locator(".tag:visible")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Your name on the board")).to_be_visible()


def test_what_is_wrong_with_a_name_is_said(page: Page, server: Server) -> None:
    server.player("Zoë")
    look_at(page, server)
    field = page.get_by_label("Your name on the board")
    error = page.locator("#join-error")
    for name, words in [
        ("", "Type a name first."),
        ("zoë", "This name is taken. Try another one."),
        ("x" * 51, "A name must have 1-50 characters"),
    ]:
        field.fill(name)
        field.press("Enter")
        expect(error).to_have_text(words)
        expect(field).to_be_focused()
    page.route("**/register", problem(429, "RATE_LIMIT_EXCEEDED", retryAfter=7))
    field.press("Enter")
    expect(error).to_have_text("Too many attempts: again in 7 s.")


@pytest.mark.parametrize(
    ("action", "refuse", "words", "is_done"),
    [
        ("Join the game", problem(409, "ALREADY_COMPLETED"), "Join the game: already done.", True),
        (
            "Daily check-in",
            problem(409, "ALREADY_COMPLETED"),
            "Daily check-in: already done today.",
            True,
        ),
        (
            "Daily check-in",
            problem(429, "RATE_LIMIT_EXCEEDED", retryAfter=42),
            "Too fast: again in 42 s.",
            False,
        ),
        (
            "Solve a puzzle",
            problem(503, "SERVICE_UNAVAILABLE", retryAfter=60),
            "The server is busy: again in 60 s.",
            False,
        ),
        ("Solve a puzzle", problem(404, "INVALID_ACTION"), "INVALID_ACTION", False),
    ],
)
def test_a_refused_click_is_taken_back(
    page: Page,
    server: Server,
    action: str,
    refuse: Callable[[Route], None],
    words: str,
    is_done: bool,
) -> None:
    look_at(page, server)
    join(page, "Ada")
    button(page, "Solve a puzzle").click()
    expect(score(page, "Ada")).to_have_text("5")
    held = Held(page, COMPLETE)
    button(page, action).click()
    expect(own_score(page)).not_to_have_text("5")
    expect(score(page, "Ada")).not_to_have_text("5")
    refuse(held.next())
    expect(page.locator("#message")).to_have_text(words)
    expect(own_score(page)).to_have_text("5")
    expect(score(page, "Ada")).to_have_text("5")
    expect(button(page, action)).to_be_enabled(enabled=not is_done)


def test_points_that_arrive_before_their_answer_count_once(page: Page, server: Server) -> None:
    look_at(page, server)
    join(page, "Ada")
    held = Held(page, COMPLETE)
    button(page, "Join the game").click()
    expect(own_score(page)).to_have_text("25")
    route = held.next()
    answer = route.fetch()
    expect(score(page, "Ada")).to_have_text("25")
    with page.expect_response("**/players/*"):
        server.player("Zoë", puzzles=1)
    page.evaluate("fetch('/healthz').then((answer) => answer.text())")  # the page had its turn
    expect(own_score(page)).to_have_text("25")
    route.fulfill(response=answer)
    expect(page.locator("#message")).to_have_text("Join the game: 25 points.")
    expect(own_score(page)).to_have_text("25")


def test_a_click_is_tried_again_under_its_key_and_counts_once(page: Page, server: Server) -> None:
    keys: list[str | None] = []

    def fail_twice(route: Route) -> None:
        keys.append(route.request.header_value("Idempotency-Key"))
        if len(keys) == 1:
            route.fetch()  # it counts, but the answer is lost on its way
            route.abort()
        elif len(keys) == 2:
            problem(503, "SERVICE_UNAVAILABLE", retryAfter=1)(route)
        else:
            route.continue_()

    look_at(page, server)
    join(page, "Ada")
    page.route(COMPLETE, fail_twice)
    button(page, "Solve a puzzle").click()
    expect(page.locator("#message")).to_have_text("Solve a puzzle: 5 points.")
    expect(own_score(page)).to_have_text("5")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    button(page, "Solve a puzzle").click()
    expect(own_score(page)).to_have_text("10")
    assert len(set(keys)) == 2


def test_a_click_that_finds_no_server_is_taken_back(page: Page, server: Server) -> None:
    keys: set[str | None] = set()
    look_at(page, server)
    join(page, "Ada")
    page.on(
        "request",
        lambda it: keys.add(it.headers.get("idempotency-key")) if it.method == "POST" else None,
    )
    server.stop()
    button(page, "Join the game").click()
    expect(own_score(page)).to_have_text("25")
    expect(page.locator("#message")).to_contain_text("The server cannot be reached.")
    expect(own_score(page)).to_have_text("0")
    server.start("--demo")
    button(page, "Join the game").click()
    expect(page.locator("#message")).to_have_text("Join the game: 25 points.")
    expect(score(page, "Ada")).to_have_text("25")
    assert len(keys) == 1  # the lost click may have counted: this one asks for the same


def test_an_expired_token_is_renewed_once_for_all(page: Page, server: Server) -> None:
    look_at(page, server)
    join(page, "Ada")
    refused: list[Route] = []

    def refuse_two_together(route: Route) -> None:
        if len(refused) == 2:
            route.continue_()
            return
        refused.append(route)
        if len(refused) == 2:
            for each in refused:
                problem(401, "TOKEN_EXPIRED")(each)

    renewals: list[Request] = []
    page.on("request", lambda it: renewals.append(it) if it.url.endswith("/refresh") else None)
    page.route(COMPLETE, refuse_two_together)
    button(page, "Solve a puzzle").click()
    button(page, "Solve a puzzle").click()
    expect(page.locator("#message")).to_have_text("Solve a puzzle: 5 points.")
    expect(own_score(page)).to_have_text("10")
    expect(score(page, "Ada")).to_have_text("10")
    assert len(refused) == 2
    assert len(renewals) == 1
    page.reload()
    expect(own_score(page)).to_have_text("10")


def test_a_session_that_cannot_be_renewed_is_forgotten(page: Page, server: Server) -> None:
    look_at(page, server)
    join(page, "Ada")
    page.route(COMPLETE, problem(401, "TOKEN_EXPIRED"))
    page.route("**/refresh", problem(401, "UNAUTHORIZED"))
    button(page, "Solve a puzzle").click()
    expect(page.get_by_text("Your session has ended. Join again to go on.")).to_be_visible()
    expect(page.get_by_label("Your name on the board")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
