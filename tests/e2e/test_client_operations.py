"""client.js in a real browser: what it sends, keeps and sends again."""

import pytest

from tests.fakes.client_driver import Driver, assert_each_once
from tests.fakes.scripted_game import ACTION, TAP, ScriptedGame

pytestmark = pytest.mark.browser


# ---- batches -------------------------------------------------------------------------------------------------------


def test_taps_travel_in_batches_of_at_most_fifty(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{batchMs: 1000}").tap(120)
    driver.until_safe()
    assert [frame[2] for frame in game.operations(TAP)] == [50, 50, 20]
    assert [frame[1] for frame in game.operations(TAP)] == [1, 2, 3]
    assert_each_once(game, 120)


def test_a_batch_waits_at_most_a_second_and_says_how_long_it_took(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{batchMs: 60_000}").tap(3)
    driver.until_safe()
    ((_, _, count, dt_ms),) = game.operations(TAP)
    assert count == 3
    assert 900 <= dt_ms <= 2_000


def test_the_hello_names_lineage_device_and_token(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    (hello,) = game.hellos
    assert hello["token"] == "access"
    assert len(hello["lineage"]) == 16
    assert hello["device"] == "web"
    assert hello["channels"] == {}


# ---- durable and answered ------------------------------------------------------------------------------------------


def test_an_operation_is_kept_until_it_is_durable(driver: Driver, game: ScriptedGame) -> None:
    game.durable_at_once = False
    driver.begin().tap(5)
    driver.until("events.some(({type}) => type === 'tapped')")
    assert driver.do("client.pending") == 1
    game.make_durable()
    driver.until_safe()
    assert_each_once(game, 5)


def test_operations_that_were_never_applied_are_sent_again_after_a_cut(driver: Driver, game: ScriptedGame) -> None:
    driver.begin().tap(2)
    driver.until_safe()
    game.mute = True
    driver.tap(7)
    driver.do("window.claim = client.action('mission.claim', {slot: 1}); 0")
    driver.until_heard(lambda: len(game.operations()) == 3)
    game.mute = False
    game.cut()
    driver.until_safe()
    assert driver.do("claim") == {"did": "mission.claim", "args": {"slot": 1}}
    assert [frame[1] for frame in game.operations()] == [1, 2, 3, 2, 3]
    assert_each_once(game, 9)


def test_a_crash_takes_back_what_was_answered_and_the_client_sends_it_again(driver: Driver, game: ScriptedGame) -> None:
    game.durable_at_once = False
    driver.begin().tap(4)
    driver.until("client.confirmed.xp === 4")
    game.make_durable()
    driver.until_safe()
    driver.tap(6)
    assert driver.do("client.action('habit.do')") == {"did": "habit.do", "args": {}}
    driver.until("client.confirmed.xp === 10")
    game.crash()
    assert game.xp == 4
    driver.until_heard(lambda: game.xp == 10)
    assert driver.do("client.view().xp") == 10
    game.make_durable()
    driver.until_safe()
    assert [frame[1] for frame in game.operations()] == [1, 2, 3, 2, 3]
    assert_each_once(game, 10)


def test_below_the_cursor_only_unanswered_actions_are_sent_again(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.answers_lost = True
    driver.tap(3)
    driver.do("window.claim = client.action('mission.claim'); 0")
    driver.until_heard(lambda: len(game.operations()) == 2)
    game.answers_lost = False
    game.cut()
    assert driver.do("claim") == {"did": "mission.claim", "args": {}}
    driver.until_safe()
    assert [frame[0] for frame in game.operations()] == [TAP, ACTION, ACTION]
    assert_each_once(game, 3)


def test_taps_made_while_away_arrive_in_order(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{random: () => 0.9}")
    game.cut()
    driver.until_state("offline")
    assert driver.tap(30) == 30
    driver.until_safe()
    assert_each_once(game, 30)


def test_many_cuts_in_the_middle_of_tapping_lose_and_repeat_nothing(driver: Driver, game: ScriptedGame) -> None:
    game.durable_at_once = False
    driver.begin()
    for round_number in range(6):
        driver.tap(5)
        if round_number % 2:
            driver.until_heard(lambda: bool(game.operations()))
            game.crash()
            driver.until_state("live")
        else:
            game.make_durable()
    driver.until_heard(lambda: game.xp == 30)
    game.make_durable()
    driver.until_safe()
    assert_each_once(game, 30)


# ---- errors --------------------------------------------------------------------------------------------------------


def test_a_retryable_error_goes_back_to_its_operation(driver: Driver, game: ScriptedGame) -> None:
    game.error_for = {2: [(9, "busy", 40), (10, "unavailable", 40)]}
    driver.begin()
    driver.do("taps(50); taps(50); taps(50)")
    driver.until_safe()
    assert [frame[1] for frame in game.operations()] == [1, 2, 3, 2, 3, 2, 3]
    assert_each_once(game, 150)


def test_a_final_error_rejects_the_promise_and_uses_the_number_up(driver: Driver, game: ScriptedGame) -> None:
    game.error_for = {1: [(7, "insufficient", 0)]}
    driver.begin()
    refused = driver.do("client.action('shop.buy').catch(({code, name, message}) => ({code, name, message}))")
    assert refused == {"code": 7, "name": "insufficient", "message": "scripted"}
    driver.until_safe()
    driver.tap(1)
    driver.until_safe()
    assert [frame[1] for frame in game.operations()] == [1, 2]


def test_an_action_given_up_while_blocked_becomes_a_noop(driver: Driver, game: ScriptedGame) -> None:
    game.error_for = {1: [(9, "busy", 60_000)]}
    driver.begin()
    outcome = """(async () => {
      const giveUp = new AbortController();
      const action = client.action("shop.buy", {}, { signal: giveUp.signal }).catch((error) => error.name);
      setTimeout(() => giveUp.abort(), 200);
      return action;
    })()"""
    assert driver.do(outcome) == "AbortError"
    game.cut()
    driver.until_safe()
    assert [frame[2] for frame in game.operations(ACTION)] == ["shop.buy", "noop"]
    assert [frame[1] for frame in game.operations(ACTION)] == [1, 1]


def test_an_action_given_up_too_late_still_tells_its_result(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.answers_lost = True
    driver.do("window.giveUp = new AbortController(); 0")
    driver.do("window.buy = client.action('shop.buy', {}, {signal: giveUp.signal}); 0")
    driver.until_heard(lambda: len(game.operations()) == 1)
    driver.do("giveUp.abort()")
    game.answers_lost = False
    game.cut()
    assert driver.do("buy") == {"did": "shop.buy", "args": {}}
    assert [frame[2] for frame in game.operations(ACTION)] == ["shop.buy", "shop.buy"]


def test_a_result_that_comes_after_later_taps_does_not_take_their_tokens_back(
    driver: Driver, game: ScriptedGame
) -> None:
    driver.begin()
    game.answers_lost = True
    driver.do("window.buy = client.action('upgrade.buy', {kind: 'tap_level'}); 0")
    driver.until_heard(lambda: len(game.operations()) == 1)
    game.answers_lost = False
    driver.tap(3)
    driver.until("events.some(({type}) => type === 'tapped')")
    tokens = driver.do("client.confirmed.tokens")
    game.send([66, 1, {"level": 2, "state": {"tokens": 1, "tap_level": 2}}, 2])
    assert driver.do("buy")["level"] == 2
    assert driver.do("[client.confirmed.tokens, client.confirmed.tap_level]") == [tokens, 2]
    game.send([69, "player", 1, "grant.received", {"kind": "transfer_received", "state": {"tokens": tokens + 5_000}}])
    driver.until(f"client.confirmed.tokens === {tokens + 5_000}")
    game.send([66, 1, {"level": 2, "state": {"tokens": 1, "tap_level": 2}}, 2])
    driver.do("client.tap(); 0")
    driver.until_safe()
    assert driver.do("client.confirmed.tokens") > 1


def test_arguments_that_do_not_fit_a_frame_are_refused_before_they_get_a_number(
    driver: Driver, game: ScriptedGame
) -> None:
    driver.begin()
    assert driver.do("client.action('chat.say', {text: 'x'.repeat(5000)}).catch(({name}) => name)") == "too_large"
    assert driver.do("client.pending") == 0
    assert game.operations() == []


def test_the_server_is_right_about_what_counts(driver: Driver, game: ScriptedGame) -> None:
    game.accept_at_most = 3
    driver.begin().tap(10)
    assert driver.do("client.view().xp") == 10
    driver.until_safe()
    assert driver.do("client.view().xp") == 3
    assert driver.do("events.find(({type}) => type === 'tapped')") == {
        "type": "tapped", "seq": 1, "count": 10, "accepted": 3,
    }  # fmt: skip


# ---- limits --------------------------------------------------------------------------------------------------------


def test_without_energy_there_are_no_taps(driver: Driver, game: ScriptedGame) -> None:
    game.energy = 4
    driver.begin()
    assert driver.tap(10) == 4
    driver.until_safe()
    assert_each_once(game, 4)


def test_offline_the_queue_takes_what_the_server_will_have_room_for(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{random: () => 0.999999}")
    game.refuse_hello = [1011] * 20
    game.cut()
    driver.until_state("offline")
    assert driver.tap(60) == 40  # the burst
    driver.do("skewMs += 10_000")
    assert 110 <= driver.tap(300) < 125  # 15 a second for a little over ten seconds, less the 40 made already
    driver.do("skewMs += 3_600_000")
    driver.tap(2_000)
    waiting = "JSON.parse(sessionStorage['ppj.queue.player-1']).operations.reduce((n, {count}) => n + count, 0)"
    assert driver.do(waiting) == 900


def test_a_lineage_ends_before_its_numbers_do(driver: Driver, game: ScriptedGame) -> None:
    driver.open()
    driver.do(
        """sessionStorage["ppj.queue.player-1"] = JSON.stringify(
             {lineage: "00".repeat(16), nextSeq: 2 ** 32 - 2 ** 16 - 1, durableSeq: 0, operations: []})"""
    )
    driver.begin().tap(1)
    driver.until_heard(lambda: len(game.hellos) == 2).until_safe()
    driver.tap(2)
    driver.until_safe()
    assert [hello["lineage"] == bytes(16) for hello in game.hellos] == [True, False]
    assert [frame[1] for frame in game.operations()] == [2**32 - 2**16 - 1, 1]
    assert game.xp == 3


def test_operations_older_than_seven_days_are_given_up(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.mute = True
    driver.do("window.late = client.action('old').catch(({name}) => name); 0")
    driver.until_heard(lambda: len(game.operations()) == 1)
    driver.do("skewMs += 7 * 24 * 3600 * 1000 + 1")
    game.mute = False
    game.cut()
    assert driver.do("late") == "too_old"
    driver.until_safe()
    assert len(game.operations()) == 1
