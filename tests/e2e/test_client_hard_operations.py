"""Actions that are answered late: kept, shown as pending and told of, across cuts and reloads."""

import pytest

from tests.fakes.client_driver import Driver
from tests.fakes.scripted_game import ACTION, EVENT, ScriptedGame

pytestmark = pytest.mark.browser

BUY = "client.action('upgrade.buy', {kind: 'tap_level'})"
PENDING = [{"seq": 1, "name": "upgrade.buy", "args": {"kind": "tap_level"}}]


def test_an_action_is_pending_until_it_is_answered(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.mute = True
    driver.do(f"{BUY}; 0")
    driver.until_heard(lambda: len(game.operations()) == 1)
    driver.tap(1)
    assert driver.do("client.pendingActions") == PENDING
    game.mute = False
    game.cut()
    driver.until_safe()
    assert driver.do("client.pendingActions") == []
    assert {(frame[1], frame[2]) for frame in game.operations(ACTION)} == {(1, "upgrade.buy")}


@pytest.mark.parametrize("refused", [False, True])
def test_after_a_reload_it_is_still_pending_and_its_answer_is_an_event(
    driver: Driver, game: ScriptedGame, refused: bool
) -> None:
    driver.begin()
    game.mute = True
    driver.do(f"{BUY}; 0")
    driver.until_heard(lambda: len(game.operations()) == 1)
    game.mute = False
    game.refuse_hello = [1011]
    if refused:
        game.error_for = {1: [(7, "insufficient", 0)]}
    driver.begin("{random: () => 0.9}", until="offline")
    assert driver.do("client.pendingActions") == PENDING
    driver.until_safe()
    told = driver.do("events.filter(({type}) => type === 'result' || type === 'refused')")
    assert [(event["type"], event["seq"], event["name"], event["args"]) for event in told] == [
        ("refused" if refused else "result", 1, "upgrade.buy", {"kind": "tap_level"})
    ]
    assert len(game.operations()) == 2


def test_the_state_that_was_asked_for_is_taken_over(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.result_of["state.get"] = {"multiplier_bp": 15_000, "tokens": 7_000}
    driver.do("client.action('state.get')")
    assert driver.do("[client.view().multiplier_bp, client.view().tokens]") == [15_000, 7_000]


def test_what_an_event_changes_is_to_be_drawn_at_once(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    driver.do("window.drawn = []; client.addEventListener('change', () => drawn.push(client.view().tokens)); 0")
    data = {"kind": "transfer_received", "amount_mpt": 5_000, "state": {"tokens": 5_000}}
    game.send([EVENT, "player", 1, "grant.received", data])
    driver.until("drawn.includes(5_000)")
