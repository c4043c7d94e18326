"""The whole path: taps in a real browser become rows in a real PostgreSQL, each once, also across kill -9."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from playwright.sync_api import BrowserContext, Page, expect

from persistence.embedded import attach
from persistence.postgres import Connection, Database, open_loop
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TAP_EVERY_MS = 100
PATIENCE_MS = 20_000


@pytest.fixture(params=["gateway", "portable"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with ServerProcess(transport=request.param) as server:
        yield server


def log_in(context: BrowserContext, server: ServerProcess, name: str) -> Page:
    page = context.new_page()
    page.goto(server.page_url)
    page.fill("#name", name)
    page.press("#name", "Enter")
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    return page


def tap(page: Page, times: int) -> None:
    """Press the button `times` times, ten a second: each press is held for a tenth."""
    box = page.locator("#tap").bounding_box()
    assert box is not None
    for _ in range(times):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, delay=TAP_EVERY_MS)


def whole(page: Page, selector: str, attribute: str) -> int:
    return int(page.locator(selector).get_attribute(attribute) or "")


def expect_all_durable(page: Page, taps: int) -> None:
    expect(page.locator("#xp")).to_have_attribute("data-confirmed", str(taps), timeout=PATIENCE_MS)
    expect(page.locator("#pending")).to_have_attribute("data-pending", "0", timeout=PATIENCE_MS)


def in_database(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask the running embedded database; in a thread, since Playwright has an event loop in this one."""
    rows: list[tuple[object, ...]] = []

    async def ask(connection: Connection) -> None:
        rows.extend(tuple(row) for row in await connection.fetch(sql))

    async def run() -> None:
        async with open_loop(), Database.open(attach(data_dir)) as database:
            await database.run(ask)

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    thread.join()
    return rows


def assert_books_agree(server: ServerProcess) -> None:
    assert in_database(server.data_dir, "SELECT * FROM ledger_reconciliation") == []
    books = in_database(
        server.data_dir,
        "SELECT p.id, p.balance_mpt - p.unposted_mpt, coalesce(sum(t.amount_mpt), 0)::bigint"
        " FROM players p LEFT JOIN token_transactions t ON t.player_id = p.id AND t.account = 'player' GROUP BY p.id",
    )
    assert books
    assert all(posted == ledger for _, posted, ledger in books)


def test_taps_pay_what_the_rules_say(context: BrowserContext, server: ServerProcess) -> None:
    page = log_in(context, server, "Ada")
    assert whole(page, "#energy", "data-energy") == 1_000

    tap(page, 150)
    expect_all_durable(page, 150)

    # One combo run: W = 150·10 000 + F(150) = 1 576 500; generation 1: M = 15 000 → 236 475 mPT. Level 2 pays 200 PT.
    assert whole(page, "#tokens", "data-mpt") == 236_475 + 200_000
    expect(page.locator("#level")).to_have_text("2")
    fallen_to = whole(page, "#energy", "data-energy")
    assert 850 <= fallen_to <= 900  # 150 spent, one a second came back
    expect(page.locator("#energy")).not_to_have_text(str(fallen_to))
    assert int(page.locator("#energy").inner_text()) > fallen_to

    rows = in_database(server.data_dir, "SELECT display_name, xp, taps, balance_mpt, generation FROM players")
    assert rows == [("Ada", 150, 150, 436_475, 1)]
    assert_books_agree(server)


def test_kill_9_while_tapping_loses_nothing_and_counts_nothing_twice(
    context: BrowserContext, server: ServerProcess
) -> None:
    page = log_in(context, server, "Grace")
    tap(page, 75)
    server.kill()
    tap(page, 25)  # while there is no server
    expect(page.locator("#state")).not_to_have_attribute("data-state", "live")
    server.start()
    tap(page, 60)
    server.kill()
    server.start()
    tap(page, 60)

    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    expect_all_durable(page, 220)
    assert in_database(server.data_dir, "SELECT xp, taps FROM players") == [(220, 220)]
    assert_books_agree(server)


def test_a_reload_and_a_clean_restart_find_everything_as_it_was(context: BrowserContext, server: ServerProcess) -> None:
    page = log_in(context, server, "Rosa")
    tap(page, 20)
    expect_all_durable(page, 20)
    tokens = whole(page, "#tokens", "data-mpt")

    assert server.stop() == 0
    server.start()
    page.reload()

    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    expect_all_durable(page, 20)
    assert whole(page, "#tokens", "data-mpt") == tokens
    assert in_database(server.data_dir, "SELECT unposted_mpt FROM players WHERE owner_node IS NULL") in ([], [(0,)])
    assert_books_agree(server)


def test_the_page_loads_nothing_from_elsewhere(context: BrowserContext, server: ServerProcess) -> None:
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(server.page_url + "docs")
    expect(page.locator(".swagger-ui .info .title")).to_contain_text("People Power Journey")
    page.goto(server.page_url)
    expect(page.locator("#login-form")).to_be_visible()
    assert asked
    assert all(re.match(rf"(http|ws)://127\.0\.0\.1:({server.http_port}|{server.port})/|data:", url) for url in asked)
    assert complaints == []
