"""Buying and sending in real browsers against the real server: what they cost and bring, once, also across kill -9."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
import trio
from playwright.sync_api import BrowserContext, Page, expect

from persistence.embedded import attach
from persistence.postgres import Connection, Database, open_loop
from tests.e2e.test_play import PATIENCE_MS, assert_books_agree, in_database, log_in, whole
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RICH_MPT = 3_500_000
LEVEL_10_XP = 8_100


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as server:
        yield server


def public_id(server: ServerProcess, name: str) -> str:
    body = json.dumps({"name": name}).encode()
    request = Request(f"{server.page_url}auth/dev", body, {"content-type": "application/json"})
    with urlopen(request) as answer:
        player: str = json.load(answer)["player"]
    return player


def enrich(server: ServerProcess, name: str) -> None:
    """Before he is loaded: the level and age at which one may send, and tokens."""

    async def change(connection: Connection) -> None:
        await connection.execute(
            "UPDATE players SET xp = $1, created_at = now() - interval '30 days' WHERE dev_name = $2", LEVEL_10_XP, name
        )
        await connection.execute(
            "INSERT INTO player_grants (player_id, key, kind, amount_mpt)"
            " SELECT id, 'rich', 'compensation', $1 FROM players WHERE dev_name = $2",
            RICH_MPT,
            name,
        )

    async def run() -> None:
        async with open_loop(), Database.open(attach(server.data_dir)) as database:
            await database.transaction(change)

    thread = threading.Thread(target=trio.run, args=(run,))  # Playwright has an event loop in this one
    thread.start()
    thread.join()


def expect_told(page: Page, text: str) -> None:
    expect(page.get_by_role("status").get_by_text(text)).to_be_visible(timeout=PATIENCE_MS)


def test_a_purchase_across_kill_9_is_made_once(context: BrowserContext, server: ServerProcess) -> None:
    public_id(server, "Ada")
    enrich(server, "Ada")
    page = log_in(context, server, "Ada")
    page.click("#open-shop")
    buy = page.locator("#upgrade-tap_level button")
    buy.click()
    expect_told(page, "Tap power is level 2 now.")
    assert whole(page, "#tokens", "data-mpt") == RICH_MPT - 1_000_000
    expect(buy).to_have_text("2,000 PT")

    expect(buy).to_be_enabled()
    os.kill(server.pid, signal.SIGSTOP)  # so that it is killed in the middle, and not after its answer
    buy.click()
    expect(buy).to_have_text("Buying …")
    server.kill()
    server.start()
    expect_told(page, "Tap power is level 3 now.")
    expect(buy).to_have_text("4,000 PT")
    expect(buy).to_be_disabled()
    expect(page.locator("#upgrade-tap_level-reason")).to_have_text("3,500 PT short")
    assert whole(page, "#tokens", "data-mpt") == RICH_MPT - 3_000_000

    page.locator("#boost-double button").click()
    expect_told(page, "Your taps pay double now!")
    server.kill()
    server.start()
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    expect(page.locator("#boost-double")).to_contain_text("2 of 3 left · runs")
    rows = in_database(server.data_dir, "SELECT tap_level, balance_mpt FROM players")
    assert rows == [(3, RICH_MPT - 3_000_000)]
    assert_books_agree(server)


def test_tokens_reach_another_player_who_is_told(context: BrowserContext, server: ServerProcess) -> None:
    for name in ("Ada", "Bob"):
        public_id(server, name)
    enrich(server, "Ada")
    bob = public_id(server, "Bob")
    assert context.browser is not None
    with context.browser.new_context() as other:
        receiver = log_in(other, server, "Bob")
        sender = log_in(context, server, "Ada")
        sender.click("#open-transfer")
        sender.fill("#transfer-to", bob)
        sender.fill("#transfer-amount", "12.345")
        sender.click("#transfer-review")
        sender.click("#transfer-send")
        expect_told(sender, "Sent 12.345 PT; the fee was 0.618 PT.")
        expect_told(receiver, "12.345 PT came in: from another player.")
        expect(receiver.locator("#tokens")).to_have_attribute("data-mpt", "12345")
        assert whole(sender, "#tokens", "data-mpt") == RICH_MPT - 12_345 - 618

        receiver.click("#open-shop")  # he has too little for anything, and may not send yet
        expect(receiver.locator("#upgrade-tap_level button")).to_be_disabled()
        expect(receiver.locator("#upgrade-tap_level-reason")).to_have_text("987.655 PT short")
        receiver.click("#shop .close")
        receiver.click("#open-transfer")
        expect(receiver.locator("#transfer-reason")).to_have_text("Sending tokens takes level 10")
    assert server.stop() == 0
    server.start()
    balances = in_database(server.data_dir, "SELECT dev_name, balance_mpt FROM players ORDER BY dev_name")
    assert balances == [("Ada", RICH_MPT - 12_345 - 618), ("Bob", 12_345)]
    assert_books_agree(server)
