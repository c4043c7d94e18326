from collections.abc import Callable
from typing import Any

import pytest

from loadtest.player import Misbehaved, Player, Refused
from loadtest.ws_client import Closed, WebSocket
from tests.fakes.scripted_socket import ScriptedSocket

TAP, ACTION = 2, 3


def state(xp: int = 0, energy: int = 1000, level: int | None = None, tokens: int | None = None) -> dict[str, Any]:
    return {
        "tokens": xp * 1000 if tokens is None else tokens,
        "xp": xp,
        "level": {0: 1, 100: 2}.get(xp - xp % 100, 1) if level is None else level,
        "rank": "Novice",
        "energy": energy,
        "energy_cap": 1000,
        "energy_regen_mps": 1000,
        "combo": 0,
        "generation": 1,
        "tap_level": 1,
        "multiplier_bp": 10_000,
        "streak": 0,
        "energy_cap_level": 1,
        "energy_regen_level": 1,
        "offline_level": 0,
        "double_until_ms": 0,
    }


def welcome(applied: int = 0, durable: int = 0, **values: Any) -> list[Any]:
    body = {
        "session": "s",
        "player": "p",
        "applied_seq": applied,
        "durable_seq": durable,
        "channels": {},
        "now_ms": 1,
        "ping_s": 25,
        "limits": {"frame_bytes": 4096, "taps_per_frame": 100, "taps_per_s": 15, "burst": 40},
        "state": state(**values),
    }
    return [64, 0, body]


def tapped(seq: int, accepted: int, xp: int, durable: int = 0, energy: int = 900) -> list[int]:
    return [65, seq, accepted, xp * 1000, xp, 1 + (xp // 100 >= 1), energy, 0, durable]


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedSocket]:
    """Every socket the player opened, in order; a test puts the frames of the next one into `upcoming`."""
    opened: list[ScriptedSocket] = []

    def open_socket(url: str, *, subprotocol: str, timeout_s: float) -> ScriptedSocket:
        assert (url, subprotocol) == ("ws://game/ws", "ppj.v1.msgpack")
        assert timeout_s > 0
        opened.append(ScriptedSocket())
        return opened[-1]

    monkeypatch.setattr(WebSocket, "open", open_socket)
    return opened


@pytest.fixture
def live(sockets: list[ScriptedSocket]) -> tuple[Player, ScriptedSocket]:
    """A player that came in with 50 XP."""
    player = Player("ws://game/ws", "token")
    come_in(player, sockets, welcome(xp=50))
    return player, sockets[0]


def come_in(player: Player, sockets: list[ScriptedSocket], answer: list[Any]) -> ScriptedSocket:
    player.connect()
    sockets[-1].then(answer)
    player.hello()
    return sockets[-1]


def test_hello_names_the_player_and_a_lineage(live: tuple[Player, ScriptedSocket]) -> None:
    ((op, seq, body),) = live[1].sent
    assert (op, seq) == (1, 0)
    assert body["token"] == "token"
    assert len(body["lineage"]) == 16
    assert live[0].energy == 1000


def test_taps_are_numbered_and_judged(live: tuple[Player, ScriptedSocket]) -> None:
    player, socket = live
    socket.then(tapped(1, 7, 57), tapped(2, 5, 62, durable=1, energy=888))
    player.tap(7, 800)
    assert player.unfinished == 1
    player.tap(5, 700)
    assert socket.sent[1:] == [[TAP, 1, 7, 800], [TAP, 2, 5, 700]]
    assert player.energy == 888
    assert player.unfinished == 1  # the second is not durable yet


def test_what_comes_unasked_is_taken(live: tuple[Player, ScriptedSocket]) -> None:
    player, socket = live
    socket.then(tapped(1, 7, 57), [70, 1], [69, "player", 1, "level.up", {"level": 2}], tapped(2, 1, 58, durable=1))
    player.tap(7, 800)
    player.tap(1, 100)
    assert player.unfinished == 1


def test_state_and_ping(live: tuple[Player, ScriptedSocket]) -> None:
    player, socket = live
    socket.then([66, 1, state(xp=50, energy=400), 1], [70, 1], [68, 9, 1234, 5678])
    player.get_state()
    player.ping(9, 1234)
    assert socket.sent[1:] == [[ACTION, 1, "state.get", {}], [4, 9, 1234]]
    assert player.energy == 400
    assert player.unfinished == 0


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (tapped(1, 6, 56), "6 of 7 taps accepted"),
        (tapped(1, 0, 50), "0 of 7 taps accepted"),
        (tapped(1, 7, 64), "xp is 64, not 57"),
        (tapped(1, 7, 56), "xp is 56, not 57"),
        (tapped(2, 7, 57), "answers 2 where 1 is due"),
        (tapped(1, 7, 57, durable=2), "durable_seq 2"),
        ([65, 1, 7, 0, 57, 1, 900, 0, 0], "tokens fell"),
        ([65, 1, 7, 99_000, 57, 2, 900, 0, 0], "level is 2"),
        ([66, 1, {}, 0], "Result where nothing"),
        ([64, 0, {}], "not a frame of the server"),
        (welcome(), "Welcome where nothing"),
        ([68, 1, 1, 1], "Pong where nothing"),
        ([70, 1], "durable_seq 1 after 0"),
    ],
)
def test_a_wrong_answer_to_a_tap_is_found(live: tuple[Player, ScriptedSocket], answer: list[Any], why: str) -> None:
    player, socket = live
    socket.then(answer)
    with pytest.raises(Misbehaved, match=why):
        player.tap(7, 800)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([66, 1, state(xp=51), 0], "xp is 51, not 50"),
        ([66, 1, {}, 0], "no state"),
        ([66, 1, None, 0], "no state"),
        ([66, 2, state(xp=50), 0], "Result where nothing"),
        (tapped(1, 0, 50), "answers 1"),
    ],
)
def test_a_wrong_answer_to_an_action_is_found(live: tuple[Player, ScriptedSocket], answer: list[Any], why: str) -> None:
    player, socket = live
    socket.then(answer)
    with pytest.raises(Misbehaved, match=why):
        player.get_state()


def test_a_wrong_pong_is_found(live: tuple[Player, ScriptedSocket]) -> None:
    live[1].then([68, 9, 4321, 5678])
    with pytest.raises(Misbehaved, match="PONG"):
        live[0].ping(9, 1234)


def test_an_error_is_a_refusal(live: tuple[Player, ScriptedSocket]) -> None:
    live[1].then([67, 1, 10, "unavailable", "The database is away.", 500])
    with pytest.raises(Refused, match="ERROR 10 unavailable: The database is away"):
        live[0].tap(7, 800)


@pytest.mark.parametrize("act", [lambda player: player.tap(1, 1), lambda player: player.hello()])
def test_goodbye_is_a_close(live: tuple[Player, ScriptedSocket], act: Callable[[Player], None]) -> None:
    live[1].then([71, 4000, "draining", 100, None])
    with pytest.raises(Closed) as caught:
        act(live[0])
    assert (caught.value.code, caught.value.reason) == (4000, "draining")


def lose_an_answer(player: Player, socket: ScriptedSocket) -> None:
    """Taps 1 and 2 are answered, 1 is durable; 3 is on its way when the socket is lost."""
    socket.then(tapped(1, 7, 57), tapped(2, 5, 62, durable=1))
    player.tap(7, 800)
    player.tap(5, 700)
    player.send_tap(4, 600)
    player.drop()
    assert socket.ended == "dropped"
    assert not player.connected


def test_resuming_sends_again_what_is_not_settled(
    live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket]
) -> None:
    player, first = live
    lose_an_answer(player, first)
    second = come_in(player, sockets, welcome(applied=2, durable=2, xp=62))  # the third never arrived
    second.then(tapped(3, 4, 66, durable=2))
    assert player.resume() == 1
    assert second.sent[0][2]["lineage"] == first.sent[0][2]["lineage"]
    assert second.sent[1:] == [[TAP, 3, 4, 600]]


def test_repeats_count_nothing(live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket]) -> None:
    player, first = live
    lose_an_answer(player, first)
    second = come_in(player, sockets, welcome(applied=3, durable=1, xp=66))  # it did arrive
    second.then(tapped(2, 0, 66, durable=1), tapped(3, 0, 66, durable=1))
    assert player.resume() == 2
    assert second.sent[1:] == [[TAP, 2, 5, 700], [TAP, 3, 4, 600]]
    second.then(tapped(4, 1, 67, durable=3))
    player.tap(1, 100)
    assert player.unfinished == 1


def test_a_repeated_action_brings_its_old_answer(
    live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket]
) -> None:
    player, first = live
    first.then([66, 1, state(xp=50), 0], tapped(2, 5, 55))
    player.get_state()
    player.tap(5, 700)
    player.drop()
    second = come_in(player, sockets, welcome(applied=2, xp=55))
    second.then([66, 1, state(xp=50), 0], tapped(2, 0, 55))
    assert player.resume() == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (welcome(applied=1, durable=1, xp=57), "applied_seq 1, after an answer to 2"),
        (welcome(applied=4, durable=1, xp=66), "applied_seq 4, .* of 3 sent"),
        (welcome(applied=3, durable=1, xp=62), "xp is 62, not 66"),
        (welcome(applied=2, durable=1, xp=66), "xp is 66, not 62"),
        (welcome(applied=3, durable=0, xp=66), "durable_seq 0 after 1"),
        (tapped(3, 4, 66), "HELLO was answered with Tapped"),
    ],
)
def test_a_wrong_welcome_is_found(
    live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket], answer: list[Any], why: str
) -> None:
    player, first = live
    lose_an_answer(player, first)
    with pytest.raises(Misbehaved, match=why):
        come_in(player, sockets, answer)


def test_a_tap_counted_twice_is_found(live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket]) -> None:
    player, first = live
    lose_an_answer(player, first)
    second = come_in(player, sockets, welcome(applied=3, durable=1, xp=66))
    second.then(tapped(2, 5, 71, durable=1))
    with pytest.raises(Misbehaved, match="5 of 5 taps accepted, not 0"):
        player.resume()


def test_starting_over_is_a_new_lineage_and_new_expectations(
    live: tuple[Player, ScriptedSocket], sockets: list[ScriptedSocket]
) -> None:
    player, first = live
    lose_an_answer(player, first)
    player.start_over()
    second = come_in(player, sockets, welcome(xp=99))
    assert second.sent[0][2]["lineage"] != first.sent[0][2]["lineage"]
    assert player.unfinished == 0
    second.then(tapped(1, 1, 100))
    player.tap(1, 100)
    player.leave()
    assert second.ended == "closed"


def test_nothing_is_sent_without_a_socket() -> None:
    with pytest.raises(RuntimeError, match="connect comes first"):
        Player("ws://game/ws", "token").hello()
