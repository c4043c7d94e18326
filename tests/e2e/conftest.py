"""A real Chromium for the tests in this folder."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.fakes.client_driver import Driver
from tests.fakes.scripted_game import ScriptedGame, running_game

ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def plain_asyncio() -> Iterator[None]:
    """Playwright makes a loop of its own; trio-asyncio, imported by other tests, would give it one that cannot nest."""
    policy = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(policy)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium; without one the tests skip, except where CI promises to run them."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "no Chromium on the PATH (Debian: apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with ExitStack() as stack:
        with plain_asyncio():
            playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS + sandbox)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile the size of a small phone."""
    context = chromium.new_context(viewport={"width": 360, "height": 640}, has_touch=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def game() -> Iterator[ScriptedGame]:
    with running_game() as game:
        yield game


@pytest.fixture
def driver(context: BrowserContext, game: ScriptedGame) -> Driver:
    return Driver(context.new_page(), game)
