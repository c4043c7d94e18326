"""The Mini App page under its real content security policy: what fingers, keys and eyes get."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.fakes.scripted_game import TAP, ScriptedGame

pytestmark = pytest.mark.browser


@pytest.fixture
def page(context: BrowserContext, game: ScriptedGame) -> Iterator[Page]:
    """A page that may say nothing on the console and load nothing from elsewhere."""
    page = context.new_page()
    said: list[str] = []
    foreign: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "Failed to load" not in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith((game.page_url, "data:")) else None)
    yield page
    assert said == []
    assert foreign == []


def log_in(page: Page, game: ScriptedGame, name: str = "Ada") -> None:
    page.goto(game.page_url)
    page.fill("#name", name)
    page.click("#login-form button")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")


def test_a_player_logs_in_taps_and_sees_the_numbers(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    expect(page.locator("html")).to_have_attribute("data-ready", "true")
    assert game.http_posts == [("/auth/dev", {"name": "Ada"})]
    for _ in range(5):
        page.click("#tap")
    expect(page.locator("#tokens")).to_have_text("5")
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "5")
    expect(page.locator("#tokens")).to_have_attribute("data-mpt", "5000")
    expect(page.locator("#energy")).to_have_attribute("data-energy", "995")
    expect(page.locator("#pending")).to_have_attribute("data-pending", "0")
    expect(page.locator("#level-progress")).to_have_attribute("aria-valuenow", "5")
    expect(page.locator("#combo")).to_have_text("Combo 5")
    assert game.xp == 5


def test_the_screen_answers_before_the_server_does(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    game.mute = True
    page.click("#tap")
    expect(page.locator("#tokens")).to_have_text("1")
    expect(page.locator("#tokens")).to_have_attribute("data-mpt", "0")
    expect(page.locator("#pending")).to_have_attribute("data-pending", "1")


def test_every_finger_counts_and_a_held_key_counts_once(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    for finger in (1, 2, 3):
        page.dispatch_event("#tap", "pointerdown", {"pointerId": finger, "pointerType": "touch", "button": 0})
    page.focus("#tap")
    page.keyboard.down("Space")
    page.keyboard.down("Space")  # the operating system repeats a held key
    page.keyboard.up("Space")
    page.keyboard.press("Enter")
    page.dispatch_event("#tap", "pointerdown", {"pointerId": 9, "pointerType": "mouse", "button": 2})
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "5")
    expect(page.locator("#pending")).to_have_attribute("data-pending", "0")
    assert game.xp == 5


def test_the_page_says_when_it_is_offline_and_comes_back(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    game.goodbye(4000, 1_500)
    expect(page.locator("#state")).to_have_attribute("data-state", "offline")
    page.click("#tap")
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=10_000)
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "1")


def test_a_reload_logs_in_again_and_loses_no_tap(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.click("#tap")
    page.click("#tap")
    page.reload()
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "2")
    expect(page.locator("#pending")).to_have_attribute("data-pending", "0")
    assert game.xp == 2


@pytest.mark.parametrize(("status", "then"), [(429, "/auth/refresh"), (503, "/auth/refresh"), (401, "/auth/dev")])
def test_a_refresh_token_is_given_up_only_when_it_was_judged(
    page: Page, game: ScriptedGame, status: int, then: str
) -> None:
    log_in(page, game)
    game.refuse_refresh = [status]
    game.goodbye(4011)
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=10_000)
    page.click("#tap")
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "1")
    assert [path for path, _ in game.http_posts] == ["/auth/dev", "/auth/refresh", then]


def test_an_end_for_good_is_explained(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    game.close(4509)
    expect(page.locator("#state")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#message")).to_have_text("The game is open in too many places.")
    page.click("#resume")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    expect(page.locator("#message")).to_be_hidden()


def test_a_server_without_dev_login_sends_the_player_to_telegram(page: Page, game: ScriptedGame) -> None:
    game.dev_login = False
    page.goto(game.page_url)
    page.fill("#name", "Ada")
    page.press("#name", "Enter")
    expect(page.locator("#message")).to_have_text("This server takes players from Telegram only. Open the game there.")
    expect(page.locator("#login-form")).to_be_visible()


def test_a_server_that_is_still_starting_is_waited_for(page: Page, game: ScriptedGame) -> None:
    page.goto(game.page_url)
    game.http_down = True
    page.fill("#name", "Ada")
    page.press("#name", "Enter")
    expect(page.locator("#message")).to_have_text("The server cannot be reached. Trying again …")
    game.http_down = False
    expect(page.locator("#state")).to_have_attribute("data-state", "live")


def test_inside_telegram_init_data_logs_in_and_the_theme_is_taken(page: Page, game: ScriptedGame) -> None:
    init_data = "user=%7B%22id%22%3A7%2C%22first_name%22%3A%22A+B%22%7D&auth_date=1&hash=abc"
    theme = json.dumps({"bg_color": "#101820", "text_color": "#fefefe"})
    page.goto(f"{game.page_url}/#tgWebAppData={quote(init_data, safe='')}&tgWebAppThemeParams={quote(theme)}")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    assert game.http_posts == [("/auth/login", {"init_data": init_data})]
    expect(page.locator("html")).to_have_attribute("data-scheme", "dark")
    expect(page.locator("#switch-player")).to_be_hidden()
    page.click("#tap")
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "1")


def test_a_bad_telegram_login_says_what_to_do(page: Page, game: ScriptedGame) -> None:
    page.goto(f"{game.page_url}/#tgWebAppData=user%3D1")
    expect(page.locator("#message")).to_have_text("Telegram's login has run out. Close the game and open it again.")
    expect(page.locator("#state")).to_have_attribute("data-state", "stopped")


@pytest.mark.parametrize(("width", "height"), [(320, 568), (360, 640), (412, 705), (1280, 720), (1280, 800)])
def test_the_page_fits(chromium: Browser, game: ScriptedGame, width: int, height: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    log_in(page, game)
    page.click("#tap")
    assert page.locator(".float").count() == 0
    box = page.evaluate(
        "({w: document.documentElement.scrollWidth, h: document.documentElement.scrollHeight, b: innerHeight})"
    )
    context.close()
    assert box["w"] == width
    assert box["h"] <= box["b"]
    assert len(game.operations(TAP)) <= 1


def test_the_api_page_needs_nothing_from_elsewhere(page: Page, game: ScriptedGame) -> None:
    page.goto(f"{game.page_url}/docs")
    page.click(".opblock-summary-control")
    expect(page.locator(".responses-wrapper")).to_be_visible()
    page.click(".try-out__btn")
    expect(page.locator(".execute")).to_be_visible()


def test_a_browser_that_denies_storage_can_still_play(page: Page, game: ScriptedGame) -> None:
    denied = "{ get() { throw new DOMException('denied', 'SecurityError'); } }"
    page.add_init_script(
        f"for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, {denied});"
    )
    log_in(page, game)
    page.click("#tap")
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", "1")
