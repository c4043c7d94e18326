"""The shop and the sending of tokens on the page: what is offered, refused, waited for and told."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.test_miniapp_page import log_in
from tests.fakes.scripted_game import ACTION, EVENT, ScriptedGame

pytestmark = pytest.mark.browser

FRIEND = "7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d"
TOMORROW_MS = 1_750_032_000_000  #: after the scripted clock
KINDS = ("tap_level", "energy_cap", "energy_regen", "offline")


def offers(level: int = 1, price_mpt: int = 1_000_000, left: int = 3) -> dict[str, Any]:
    """What `shop.list` answers: all upgrades at one level."""
    return {
        "upgrades": [{"kind": kind, "level": level, "top_level": 20, "price_mpt": price_mpt} for kind in KINDS],
        "boosts": [{"kind": kind, "left_today": left, "free_per_day": 3} for kind in ("double", "full_energy")],
        "resets_ms": TOMORROW_MS,
    }


def terms(**more: int) -> dict[str, int]:
    return {
        "fee_bp": 500, "min_mpt": 1_000, "left_today_mpt": 10_000_000, "resets_ms": TOMORROW_MS,
        "min_level": 1, "from_ms": 0, **more,
    }  # fmt: skip


@pytest.fixture
def game(game: ScriptedGame) -> ScriptedGame:
    game.granted_mpt = 1_500_000
    game.result_of = {"shop.list": offers(), "transfer.terms": terms()}
    return game


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose scripts may not fail and whose policy is not broken."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "Failed to load" not in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


def acts(game: ScriptedGame, name: str) -> list[Any]:
    return [frame[3] for frame in game.operations(ACTION) if frame[2] == name]


def button(page: Page, offer: str) -> Locator:
    return page.locator(f"#{offer} button")


def test_an_upgrade_is_bought_by_keyboard_and_the_next_price_is_the_servers(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.focus("#open-shop")
    page.keyboard.press("Enter")
    buy = page.get_by_role("button", name="1,000 PT, Tap power to level 2")
    expect(buy).to_have_accessible_description("")
    expect(page.get_by_role("dialog", name="Shop")).to_contain_text("You have 1,500 PT")
    game.result_of["upgrade.buy"] = {
        "kind": "tap_level", "level": 2, "price_mpt": 1_000_000, "state": {"tokens": 500_000, "tap_level": 2},
    }  # fmt: skip
    game.result_of["shop.list"] = offers(level=2, price_mpt=2_000_000)
    buy.press("Enter")
    expect(page.get_by_role("status").get_by_text("Tap power is level 2 now.")).to_be_visible()
    after = page.get_by_role("button", name="2,000 PT, Tap power to level 3")
    expect(after).to_be_disabled()
    expect(after).to_have_accessible_description("1,500 PT short")
    expect(after).to_be_focused()
    expect(page.locator("#upgrade-tap_level")).to_contain_text("Level 2 of 20")
    expect(page.locator("#tokens")).to_have_attribute("data-mpt", "500000")
    assert acts(game, "upgrade.buy") == [{"kind": "tap_level"}]
    page.keyboard.press("Escape")
    expect(page.locator("#open-shop")).to_be_focused()


def test_what_waits_says_so_also_after_a_reload_and_is_bought_once(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.click("#open-shop")
    expect(button(page, "upgrade-energy_cap")).to_be_enabled()
    game.mute = True
    button(page, "upgrade-energy_cap").click()
    expect(button(page, "upgrade-energy_cap")).to_have_text("Buying …")
    expect(button(page, "upgrade-energy_cap")).to_be_disabled()
    expect(button(page, "upgrade-tap_level")).to_be_enabled()
    page.reload()
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    game.result_of["upgrade.buy"] = {"kind": "energy_cap", "level": 2, "price_mpt": 1_000_000, "state": {}}
    game.mute = False
    game.cut()
    expect(page.get_by_role("status").get_by_text("Energy store is level 2 now.")).to_be_visible()
    assert len({frame[1] for frame in game.operations(ACTION) if frame[2] == "upgrade.buy"}) == 1


def test_what_the_server_refuses_is_said_in_words(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.click("#open-shop")
    expect(button(page, "upgrade-offline")).to_be_enabled()
    game.error_for = {2: [(7, "insufficient", 0)], 4: [(6, "conflict", 0)]}
    button(page, "upgrade-offline").click()
    expect(page.get_by_role("status").get_by_text("You do not have enough tokens for that.")).to_be_visible()
    button(page, "boost-double").click()
    expect(page.get_by_role("status").get_by_text("No free boost of this kind is left today.")).to_be_visible()


def test_what_cannot_be_had_says_why(page: Page, game: ScriptedGame) -> None:
    game.result_of["shop.list"] = offers(level=20, price_mpt=0, left=0)
    log_in(page, game)
    page.click("#open-shop")
    expect(button(page, "upgrade-tap_level")).to_be_disabled()
    expect(button(page, "upgrade-tap_level")).to_have_accessible_description("There is no higher level")
    expect(button(page, "boost-double")).to_be_disabled()
    expect(page.locator("#boost-double")).to_contain_text("0 of 3 left today")
    expect(page.locator("#boost-double-reason")).to_contain_text("More from")
    button(page, "boost-double").dispatch_event("click")
    page.click("#shop .close")
    expect(page.locator("#shop")).to_be_hidden()
    assert acts(game, "boost.use") == []


def test_while_the_server_says_nothing_the_panels_say_so(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    game.mute = True
    page.click("#open-shop")
    expect(page.locator("#shop .waiting")).to_have_text("Asking the server …")
    page.click("#shop .close")
    page.click("#open-transfer")
    expect(page.locator("#transfer-review")).to_be_disabled()
    expect(page.locator("#transfer-reason")).to_have_text("Asking the server …")
    page.click("#transfer .close")
    page.click("#open-shop")
    game.mute = False
    game.cut()
    expect(button(page, "upgrade-tap_level")).to_be_enabled()
    expect(page.locator("#shop .waiting")).to_be_hidden()
    assert len({frame[1] for frame in game.operations(ACTION) if frame[2] == "shop.list"}) <= 3


def test_the_double_counts_down_and_its_end_is_asked_for(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.click("#open-shop")
    game.result_of["state.get"] = {"multiplier_bp": 10_000, "double_until_ms": 0}
    state = {"multiplier_bp": 20_000, "double_until_ms": game.clock_ms + 4_000}
    game.result_of["boost.use"] = {"kind": "double", "left_today": 2, "state": state}
    expect(button(page, "boost-full_energy")).to_have_accessible_description("Your energy is full")
    button(page, "boost-double").click()
    expect(page.locator("#double")).to_contain_text("×2 · 0:0")
    expect(page.locator("#boost-double")).to_contain_text("runs")
    expect(page.locator("#multiplier")).to_have_text("× 2.00")
    expect(page.locator("#multiplier")).to_be_hidden()  # it was ×1 all the time but for the ×2
    expect(page.locator("#double")).to_be_hidden()
    assert acts(game, "state.get") == [{}]


def test_what_comes_in_is_told(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    data = {"kind": "transfer_received", "amount_mpt": 25_500, "state": {"tokens": 1_525_500}}
    game.send([EVENT, "player", 1, "grant.received", data])
    expect(page.get_by_role("status").get_by_text("25.5 PT came in: from another player.")).to_be_visible()
    expect(page.locator("#tokens")).to_have_text("1,525.5")


def test_tokens_are_sent_after_a_look_at_the_fee(page: Page, game: ScriptedGame) -> None:
    log_in(page, game)
    page.click("#open-transfer")
    expect(page.get_by_label("Your own id")).to_have_value("player-1")
    page.get_by_label("To: the other player's id").fill(f" {FRIEND.upper()} ")
    page.get_by_label("Amount in PT").fill("12.345")
    expect(page.locator("#transfer-cost")).to_have_text("Fee 0.618 PT · 12.963 PT in all")
    page.keyboard.press("Enter")
    expect(page.locator("#transfer-question")).to_be_focused()
    expect(page.locator("#transfer-question")).to_contain_text(f"Send 12.345 PT to {FRIEND}?")
    page.get_by_role("button", name="Change it").click()
    assert acts(game, "transfer.send") == []
    page.keyboard.press("Enter")
    game.mute = True
    page.get_by_role("button", name="Send now").click()
    expect(page.locator("#transfer-review")).to_have_text("Sending …")
    expect(page.locator("#transfer-review")).to_be_disabled()
    game.mute = False
    game.result_of["transfer.send"] = {"to": FRIEND, "amount_mpt": 12_345, "fee_mpt": 618, "state": {"tokens": 1}}
    game.cut()
    expect(page.get_by_role("status").get_by_text("Sent 12.345 PT; the fee was 0.618 PT.")).to_be_visible()
    expect(page.locator("#transfer-to")).to_have_value("")
    assert acts(game, "transfer.send")[-1] == {"to": FRIEND, "amount_mpt": 12_345}


@pytest.mark.parametrize(
    ("to", "amount", "fault"),
    [
        ("nobody", "5", "An id looks like"),
        (FRIEND, "1,000", "Write an amount like 12.5."),
        (FRIEND, "0.999", "At least 1 PT."),
        (FRIEND, "10000.001", "At most 10,000 PT more today."),
        (FRIEND, "1500", "With its fee that is more than you have."),
    ],
)
def test_what_is_written_wrongly_is_not_sent(page: Page, game: ScriptedGame, to: str, amount: str, fault: str) -> None:
    log_in(page, game)
    page.click("#open-transfer")
    page.fill("#transfer-to", to)
    page.fill("#transfer-amount", amount)
    page.click("#transfer-review")
    wrong = page.locator("#transfer-form [aria-invalid=true]")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_accessible_description(re.compile(re.escape(fault).replace(r"\ ", r"\s")))
    assert acts(game, "transfer.send") == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"min_level": 10}, "Sending tokens takes level 10"),
        ({"from_ms": TOMORROW_MS}, "Your account may send tokens from"),
        ({"left_today_mpt": 999}, "You may send more from"),
    ],
)
def test_who_may_not_send_is_told_why(page: Page, game: ScriptedGame, given: dict[str, int], why: str) -> None:
    game.result_of["transfer.terms"] = terms(**given)
    log_in(page, game)
    page.click("#open-transfer")
    expect(page.locator("#transfer-review")).to_be_disabled()
    expect(page.locator("#transfer-reason")).to_contain_text(why)


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (360, "dark")])
def test_the_panels_fit_a_small_phone(chromium: Browser, game: ScriptedGame, width: int, scheme: Any) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 568}, has_touch=True, color_scheme=scheme)
    page = context.new_page()
    log_in(page, game)
    for name in ("shop", "transfer"):
        page.tap(f"#open-{name}")
        expect(page.locator(f"#{name} .deed").first).to_be_visible()
        inside = f"(({{scrollWidth, clientWidth}}) => scrollWidth <= clientWidth)(document.querySelector('#{name}'))"
        assert page.evaluate(inside), name
        small = f"[...document.querySelectorAll('#{name} button')].filter((b) => b.offsetHeight && b.offsetHeight < 44)"
        assert page.evaluate(f"{small}.length") == 0, name
        page.tap(f"#{name} .close")
    page.tap("#open-shop")
    page.touchscreen.tap(width / 2, 5)  # beside it
    expect(page.locator("#shop")).to_be_hidden()
    context.close()
