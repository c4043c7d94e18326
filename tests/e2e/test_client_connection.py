"""client.js in a real browser: reloads and copied tabs, close codes, backoff, dead sockets, the server's clock."""

import pytest
from playwright.sync_api import BrowserContext

from tests.fakes.client_driver import Driver, assert_each_once
from tests.fakes.scripted_game import PING, ScriptedGame, running_game

pytestmark = pytest.mark.browser


# ---- reload, copies ------------------------------------------------------------------------------------------------


def test_a_reload_keeps_the_queue_even_the_batch_being_made(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.mute = True
    driver.tap(50)
    driver.until_heard(lambda: len(game.operations()) == 1)
    driver.do("client.action('habit.do', {n: 1}); taps(3)")
    driver.open()
    game.mute = False
    driver.begin().until_safe()
    assert_each_once(game, 53)
    assert len({hello["lineage"] for hello in game.hellos}) == 1
    assert driver.do("events.find(({type}) => type === 'result').args") == {"n": 1}


def test_a_duplicated_tab_draws_its_own_lineage(driver: Driver, game: ScriptedGame, context: BrowserContext) -> None:
    driver.begin()
    game.mute = True
    driver.tap(5)
    driver.until_heard(lambda: len(game.operations()) == 1)
    stored = driver.do("({...sessionStorage})")
    copy = Driver(context.new_page(), game)
    copy.open()
    copy.page.evaluate("stored => Object.assign(sessionStorage, stored)", stored)
    game.mute = False
    game.cut()
    copy.begin().tap(2)
    copy.until_safe()
    driver.until_safe()
    assert game.hellos[-1]["lineage"] != game.hellos[0]["lineage"]
    assert game.xp == 7
    assert not any(state.get("code") == 4510 for state in driver.do("states") + copy.do("states"))


def test_without_locks_the_older_tab_leaves_the_lineage_to_the_newer(
    driver: Driver, game: ScriptedGame, context: BrowserContext
) -> None:
    driver.begin("{locks: undefined}")
    game.mute = True
    driver.tap(5)
    driver.until_heard(lambda: len(game.operations()) == 1)
    copy = Driver(context.new_page(), game)
    copy.open()
    copy.page.evaluate("stored => Object.assign(sessionStorage, stored)", driver.do("({...sessionStorage})"))
    game.mute = False
    copy.begin("{locks: undefined}").until_safe()
    driver.until_heard(lambda: len(game.hellos) == 3).until_safe()
    driver.tap(1)
    driver.until_safe()
    assert len({hello["lineage"] for hello in game.hellos}) == 2
    assert game.xp == 6


def test_storage_older_than_the_servers_cursor_numbers_nothing_twice(driver: Driver, game: ScriptedGame) -> None:
    driver.begin().tap(1)
    driver.until_safe()
    old = driver.do("({...sessionStorage})")
    driver.tap(2)
    driver.until_safe()
    driver.tap(3)
    driver.until_safe()
    driver.open()
    driver.page.evaluate("stored => Object.assign(sessionStorage, stored)", old)
    driver.begin("{credentials: () => new Promise((give) => { window.give = give; })}", until="connecting")
    driver.tap(4)
    driver.until("window.give !== undefined").do("give({token: 'access'})")
    driver.until_safe()
    assert_each_once(game, 10)


# ---- closing and coming back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [4500, 4501, 4503, 4509, 4526, 4999])
def test_codes_from_4500_stop_the_client(driver: Driver, game: ScriptedGame, code: int) -> None:
    driver.begin()
    game.close(code, "enough")
    driver.until_state("stopped")
    driver.do("window.dispatchEvent(new Event('online'))")
    assert driver.do("states.at(-1)") == {"state": "stopped", "code": code, "reason": "enough"}
    assert driver.tap(1) == 0
    assert game.sockets_opened == 1
    driver.do("client.start()")
    driver.until_state("live")
    assert game.sockets_opened == 2


def test_the_clients_own_faults_are_forgiven_three_times(driver: Driver, game: ScriptedGame) -> None:
    game.refuse_hello = [1002, 1007, 1009, 1002]
    driver.begin(until="stopped")
    assert game.sockets_opened == 4


def test_the_backoff_doubles_up_to_its_cap_and_is_all_jitter(driver: Driver, game: ScriptedGame) -> None:
    game.refuse_hello = [1011] * 8
    driver.begin("{random: () => 1 / 4096}")
    delays = driver.do("states.filter(({state}) => state === 'offline').map(({delayMs}) => delayMs * 4096)")
    assert delays == [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]


def test_a_wait_the_server_asked_for_is_kept(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{random: () => 0.5}")
    game.goodbye(4000, 700)
    driver.until_state("offline")
    assert driver.do("states.at(-1)") == {"state": "offline", "code": 4000, "reason": "scripted", "delayMs": 950}
    driver.do("window.dispatchEvent(new Event('online'))")
    assert driver.do("client.state") == "offline"
    driver.do("skewMs += 701; window.dispatchEvent(new Event('online'))")
    driver.until_state("live")


def test_the_network_coming_back_ends_the_wait_at_once(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{random: () => 0.999}")
    for _ in range(3):
        game.refuse_hello.append(1011)
    game.cut()
    driver.until("states.some(({delayMs}) => delayMs > 3_000)")
    driver.do("window.dispatchEvent(new Event('online'))")
    driver.until_state("live")
    assert game.sockets_opened == 5


def test_moved_leads_to_the_other_node(driver: Driver, game: ScriptedGame) -> None:
    with running_game() as other:
        driver.begin()
        game.goodbye(4001, 0, other.socket_url)
        driver.until("states.filter(({state}) => state === 'live').length === 2")
        assert other.sockets_opened == 1
        assert other.hellos[0]["lineage"] == game.hellos[0]["lineage"]
        other.refuse_hello = [1011]
        other.cut()  # that node answers no more: back to the public door
        driver.until("states.filter(({state}) => state === 'live').length === 3")
        assert game.sockets_opened == 2


def test_an_expired_token_is_renewed_before_the_next_socket(driver: Driver, game: ScriptedGame) -> None:
    game.refuse_hello = [4011]
    driver.begin()
    assert driver.do("needs") == [False, True]


def test_a_login_that_only_the_player_can_renew_stops_the_client(driver: Driver, game: ScriptedGame) -> None:
    credentials = "async () => { throw new (await import('/client.js')).LoginRequired('please log in'); }"
    driver.begin(f"{{credentials: {credentials}}}", until="stopped")
    assert driver.do("states.at(-1)") == {"state": "stopped", "code": 4501, "reason": "please log in"}
    assert game.sockets_opened == 0


def test_a_silent_socket_is_taken_for_dead(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    driver.until_heard(lambda: any(frame[0] == PING for frame in game.frames))
    game.mute = True
    driver.do("skewMs += 26_000")
    driver.until_heard(lambda: sum(frame[0] == PING for frame in game.frames) == 2)
    driver.do("skewMs += 10_000")
    driver.until("states.some(({reason}) => reason === 'the server went silent')")
    driver.until_heard(lambda: game.sockets_opened == 2)


# ---- the server's clock, events ------------------------------------------------------------------------------------


def test_the_servers_clock_is_known(driver: Driver, game: ScriptedGame) -> None:
    driver.begin("{now: () => 5_000}")
    assert driver.do("client.serverNow()") == game.clock_ms


def test_the_sample_with_the_shortest_round_trip_is_believed(driver: Driver) -> None:
    driver.open()
    offset = driver.do(
        """(async () => {
          const { ServerClock } = await import("/client/server_clock.js");
          const clock = new ServerClock();
          clock.addSample(1_000, 1_400, 51_300);
          clock.addSample(2_000, 2_020, 52_010);
          clock.addSample(3_000, 3_300, 53_000);
          return clock.offsetMs;
        })()"""
    )
    assert offset == 50_000


def test_events_and_problems_reach_the_application(driver: Driver, game: ScriptedGame) -> None:
    driver.begin()
    game.send([71 - 2, "me", 3, "level.up", {"level": 2}])
    game.send([67, 0, 1, "malformed", "not an array", 0])
    game.send([200, "an op of the future"])
    driver.until("events.filter(({type}) => type === 'event' || type === 'problem').length === 2")
    assert driver.do("events.filter(({type}) => type !== 'welcome')") == [
        {"type": "event", "channel": "me", "offset": 3, "name": "level.up", "data": {"level": 2}},
        {"type": "problem", "where": "protocol", "message": "malformed: not an array"},
    ]


def test_the_estimate_follows_the_games_rules(driver: Driver) -> None:
    driver.open()
    shown = driver.do(
        """(async () => {
          const { levelOf, rankOf, comboBonusBp, estimateTaps } = await import("/client/prediction.js");
          const of = (combo, taps, tap_level = 1, multiplier_bp = 10_000, xp = 0) =>
            estimateTaps({ combo, tap_level, multiplier_bp, xp }, taps);
          return {
            levels: [0, 99, 100, 399, 400, 8_100, 980_100].map(levelOf),
            ranks: [1, 5, 99, 100].map(rankOf),
            bonuses: [0, 49, 50, 499, 500, 900].map(comboBonusBp),
            sums: [50, 100, 120, 500, 600].map((n) => of(0, n).incomeMpt - n * 1_000),
            example: of(0, 120, 3, 10_700).incomeMpt,
            rewards: of(0, 310, 1, 10_000, 99).rewardsMpt,
          };
        })()"""
    )
    assert shown == {
        "levels": [1, 1, 2, 2, 3, 10, 100],
        "ranks": ["Novice", "Apprentice", "Legend", "Mythic"],
        "bonuses": [0, 0, 500, 4500, 5000, 5000],
        "sums": [50, 2_600, 4_600, 113_000, 163_000],
        "example": 399_966,
        "rewards": 500_000,
    }
