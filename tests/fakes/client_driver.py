"""One page of a real browser with one GameClient in it, driven from a test's thread."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.fakes.scripted_game import ScriptedGame

# What a page needs to drive one client: short batches, no jitter unless asked, and a record of all that happened.
DRIVER = """
window.begin = async (socketUrl, options = {}) => {
  const { GameClient } = await import("/client.js");
  window.states = []; window.events = []; window.needs = []; window.skewMs = 0;
  window.client = new GameClient({
    socketUrl, account: "player-1", batchMs: 30, random: () => 0,
    credentials: async (need) => { needs.push(need.refresh); return { token: "access" }; },
    now: () => performance.timeOrigin + performance.now() + window.skewMs,
    ...options,
  });
  client.addEventListener("state", ({ detail }) => states.push(detail));
  for (const type of ["tapped", "result", "refused", "event", "problem", "welcome"]) {
    client.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
  }
  client.start();
};
window.within = (script) => Promise.race([
  (0, eval)(script),
  new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer: ${script}`)), 10_000)),
]);
window.taps = (n) => { let taken = 0; for (let i = 0; i < n; i++) taken += client.tap(); return taken; };
"""


class Driver:
    """One browser page with one client, and the server it talks to."""

    def __init__(self, page: Page, game: ScriptedGame) -> None:
        self.page = page
        self.game = game

    def begin(self, options: str = "{}", *, until: str = "live") -> "Driver":
        self.open()
        self.page.evaluate(f"url => begin(url, {options})", self.game.socket_url)
        return self.until_state(until)

    def open(self) -> None:
        """A new page in the same tab: what sessionStorage held is still there."""
        self.page.goto(f"{self.game.page_url}/blank")
        self.page.evaluate(DRIVER)

    def until(self, condition: str) -> "Driver":
        self.page.wait_for_function(condition)
        return self

    def until_state(self, state: str) -> "Driver":
        return self.until(f"client.state === '{state}'")

    def until_safe(self) -> "Driver":
        """Everything answered and durable."""
        return self.until("client.state === 'live' && client.pending === 0")

    def until_heard(self, condition: Callable[[], bool]) -> "Driver":
        """Waits for something on the server's side; every step is one round trip through the browser."""
        for _ in range(600):
            if condition():
                return self
            self.page.evaluate("new Promise((done) => requestAnimationFrame(done))")
        pytest.fail("the server never saw it")

    def tap(self, n: int) -> int:
        taken: int = self.page.evaluate("n => taps(n)", n)
        return taken

    def do(self, script: str) -> Any:
        """The script's value; a promise is awaited for ten seconds at most."""
        return self.page.evaluate("script => within(script)", script)


def assert_each_once(game: ScriptedGame, taps: int) -> None:
    """Every tap counted once, and no number was ever used for two different operations."""
    assert game.xp == taps
    content: dict[tuple[Any, ...], list[Any]] = {}
    for frame in game.operations():
        assert content.setdefault((frame[0], frame[1]), frame) == frame
