"""The portable transport over real sockets: a session's whole life."""

import os

import pytest
import trio
import trio_websocket
from structlog.testing import capture_logs

from gameserver.actors.player import PlayerActor
from gameserver.actors.registry import IDLE_MS
from gameserver.edge import listener
from gameserver.edge import listener as listener_module
from gameserver.errors import ErrorCode
from hotpath.tap_path import NOTICE_TICK_MS, QUIET_MS
from tests.fakes import loopback_game as loopback_game_module
from tests.fakes.game_client import (
    ACTION,
    DURABLE,
    ERROR,
    EVENT,
    GOODBYE,
    HELLO,
    PING,
    PONG,
    RESULT,
    SUBPROTOCOL,
    TAP,
    TAPPED,
    WELCOME,
    GameClient,
    connect,
    hello_map,
)
from tests.fakes.loopback_game import LoopbackGame, loopback_game
from tests.fakes.telegram import init_data


async def live_count(game: LoopbackGame, count: int) -> None:
    """Wait until so many sessions live."""
    with trio.fail_after(5):
        while game.listener.statistics().live != count:
            await trio.lowlevel.checkpoint()


# ---- playing


async def test_hello_taps_actions_and_pings_are_answered() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        assert client.socket.subprotocol == SUBPROTOCOL
        row = game.database.add()
        body = await client.hello(game.token(row.public_id))
        assert body["player"] == str(row.public_id)
        assert body["limits"] == {"frame_bytes": 4096, "taps_per_frame": 100, "taps_per_s": 15, "burst": 40}
        assert (body["applied_seq"], body["durable_seq"], body["ping_s"]) == (0, 0, 25)
        assert body["now_ms"] == game.clock.now_ms()
        assert body["state"]["energy"] == 1_000
        assert "access" not in body
        assert await client.tap(30) == [TAPPED, 1, 30, 45_000, 30, 1, 970, 30, 0]
        await client.send(ACTION, 2, "profile.get", {})
        assert (await client.expect(RESULT))[1] == 2
        await client.send(PING, 7, 12_345)
        assert await client.expect(PONG) == [PONG, 7, 12_345, game.clock.now_ms()]


async def test_many_players_play_at_once() -> None:
    async with loopback_game() as game, trio.open_nursery() as nursery:

        async def play(number: int) -> None:
            async with connect(game.port) as client:
                await client.hello(game.token())
                for _ in range(20):
                    await client.tap()
                assert (await client.tap())[4] == 21, number

        for number in range(20):
            nursery.start_soon(play, number)
    assert sum(row.columns.taps for row in game.database.rows.values()) == 20 * 21


async def test_login_by_init_data_brings_tokens_that_work() -> None:
    async with loopback_game() as game:
        data = init_data(game.clock.now_ms() // 1_000)
        async with connect(game.port) as client:
            await client.send(HELLO, 0, hello_map(init_data=data))
            body = (await client.expect(WELCOME))[2]
            assert body["refresh"]
            player = body["player"]
        async with connect(game.port) as client:
            body = await client.hello(body["access"])
            assert body["player"] == player


async def test_a_client_comes_back_and_sends_again_what_was_not_answered() -> None:
    async with loopback_game() as game:
        token, lineage = game.token(game.database.add().public_id), os.urandom(16)
        async with connect(game.port) as client:
            await client.hello(token, lineage)
            for seq in (1, 2, 3):
                await client.send(TAP, seq, 5, 0)
            while (await client.expect(TAPPED))[1] != 3:
                pass
        async with connect(game.port) as client:
            body = await client.hello(token, lineage)
            assert (body["applied_seq"], body["durable_seq"], body["state"]["xp"]) == (3, 0, 15)
            for seq in (2, 3, 4):
                await client.send(TAP, seq, 5, 0)
            assert [(await client.expect(TAPPED))[1:3] for _ in range(3)] == [[2, 0], [3, 0], [4, 5]]


async def test_durable_is_told_by_the_next_answer_or_when_the_client_has_gone_quiet() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.hello(game.token())
        assert (await client.tap())[-1] == 0
        game.database.flush()
        assert (await client.tap())[-1] == 1
        game.database.flush()
        game.clock.advance(QUIET_MS + 2 * NOTICE_TICK_MS)
        assert await client.expect(DURABLE) == [DURABLE, 2]


async def test_missed_events_follow_welcome() -> None:
    async with loopback_game() as game:
        row = game.database.add(xp=90)
        token = game.token(row.public_id)
        async with connect(game.port) as client:
            body = await client.hello(token)
            channel = body["channels"]["player"]
            assert channel["recovered"] is False
            await client.send(TAP, 1, 20, 0)
            await client.expect(TAPPED)
            event = await client.expect(EVENT)
            assert event == [EVENT, "player", 1, "level.up", {"level": 2, "reward_mpt": 200_000}]
        async with connect(game.port) as client:
            seen = {"player": [channel["epoch"], channel["offset"]]}
            body = await client.hello(token, channels=seen)
            assert body["channels"]["player"] == {"epoch": channel["epoch"], "offset": 1, "recovered": True}
            assert await client.expect(EVENT) == event


async def test_a_session_that_came_during_the_last_flush_plays_on() -> None:
    async with loopback_game() as game:
        row = game.database.add()
        gate, flushing = trio.Event(), trio.Event()
        give_up = game.players._flush

        async def slow_flush(actor: PlayerActor) -> None:
            flushing.set()
            await gate.wait()
            await give_up(actor)

        game.players._flush = slow_flush
        async with connect(game.port) as client:
            await client.hello(game.token(row.public_id))
            await client.tap(5)
        await live_count(game, 0)
        game.clock.advance(IDLE_MS + 2_000)
        with trio.fail_after(5):
            await flushing.wait()
        async with connect(game.port) as client:
            await client.send(HELLO, 0, hello_map(token=game.token(row.public_id)))
            with trio.fail_after(5):
                while game.players.statistics().mailbox_messages == 0:
                    await trio.lowlevel.checkpoint()
            gate.set()
            await client.expect(WELCOME)
            assert (await client.tap(5))[4] == 10
            await client.tap(5)


# ---- who may not play


async def goodbye_of(client: GameClient) -> tuple[int, int, str | None]:
    """(code, reconnect_after_ms, url) of a GOODBYE that has to be the last frame, followed by its close frame."""
    frames, code = await client.end()
    op, said_code, reason, after_ms, url = frames[-1]
    assert op == GOODBYE
    assert said_code == code
    assert reason
    return code, after_ms, url


async def test_an_expired_token_is_told_apart_from_a_bad_one() -> None:
    async with loopback_game() as game:
        expired, bad = game.token(ttl_s=-1), game.token() + "x"
        for token, expected in ((expired, 4011), (bad, 4501)):
            async with connect(game.port) as client:
                await client.send(HELLO, 0, hello_map(token=token))
                assert (await goodbye_of(client))[0] == expected
        assert game.database.claims == 0, "nothing of the player is touched before the credential is good"


async def test_init_data_that_proves_nothing_is_4501() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.send(HELLO, 0, hello_map(init_data="user=x&hash=00"))
        assert (await goodbye_of(client))[0] == 4501


async def test_a_player_of_another_node_is_sent_there() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        row = game.database.add()
        game.database.moved(row, "ws://other.example/ws")
        await client.send(HELLO, 0, hello_map(token=game.token(row.public_id)))
        assert await goodbye_of(client) == (4001, 0, "ws://other.example/ws")


async def test_while_the_database_is_away_a_client_is_told_to_come_back() -> None:
    async with loopback_game() as game:
        game.database.away = True
        by_token = hello_map(token=game.token())
        by_login = hello_map(init_data=init_data(game.clock.now_ms() // 1_000))
        for hello in (by_token, by_login):
            async with connect(game.port) as client:
                await client.send(HELLO, 0, hello)
                code, after_ms, _ = await goodbye_of(client)
                assert code == 4009
                assert after_ms > 0
        game.database.away = False


async def test_a_ninth_socket_costs_the_oldest_and_a_lineage_has_one() -> None:
    async with loopback_game() as game:
        token, lineage = game.token(game.database.add().public_id), os.urandom(16)
        async with connect(game.port) as older, connect(game.port) as newer:
            await older.hello(token, lineage)
            await newer.hello(token, lineage)
            assert (await goodbye_of(older))[0] == 4510
            await newer.tap()
            await older.socket.aclose()  # late: the server has said goodbye long ago
            await live_count(game, 1)
            await newer.tap()
        async with trio.open_nursery() as nursery:
            clients: list[GameClient] = []

            async def hold(*, task_status: trio.TaskStatus[None]) -> None:
                async with connect(game.port) as client:
                    await client.hello(token)
                    clients.append(client)
                    task_status.started()
                    await trio.sleep_forever()

            await live_count(game, 0)
            for _ in range(9):
                await nursery.start(hold)
            assert (await goodbye_of(clients[0]))[0] == 4509
            for client in clients[1:]:
                await client.tap()
            nursery.cancel_scope.cancel()


# ---- deadlines


async def test_without_hello_a_socket_is_closed_after_five_seconds() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        game.clock.advance(4_900)
        await client.socket.ping()
        game.clock.advance(200)
        assert (await goodbye_of(client))[0] == 4500


async def test_a_silent_peer_is_pinged_and_lives_while_it_pongs() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.hello(game.token())
        for _ in range(3):
            heard = game.listener._shared.clock.uptime_ms()
            game.clock.advance(25_100)
            with trio.fail_after(5):
                while all(session.seat.heard_ms <= heard for session in game.listener._sessions):
                    await trio.lowlevel.checkpoint()
        await client.tap()


async def test_a_peer_that_does_not_even_pong_is_dropped() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.hello(game.token())
        await client.socket._stream_lock.acquire()  # its pongs wait for ever
        game.clock.advance(25_100)
        with trio.fail_after(5):
            while not all(session.seat.pinged for session in game.listener._sessions):
                await trio.lowlevel.checkpoint()
        assert game.listener.statistics().live == 1
        game.clock.advance(10_200)
        await live_count(game, 0)
        assert game.counters.goodbyes_total == 0
        client.socket._stream_lock.release()


# ---- the end


async def test_a_drain_sends_everyone_away_to_come_back_at_different_moments() -> None:
    async with loopback_game() as game, trio.open_nursery() as nursery:
        ends: list[tuple[int, int, str | None]] = []

        async def play(greet: bool, *, task_status: trio.TaskStatus[None]) -> None:
            async with connect(game.port) as client:
                if greet:
                    await client.hello(game.token())
                    await client.tap()
                task_status.started()
                ends.append(await goodbye_of(client))

        for number in range(12):
            await nursery.start(play, number % 4 != 0)
        with trio.fail_after(10):
            await game.listener.drain()
        with pytest.raises(OSError, match="failed"):
            await trio.open_tcp_stream("127.0.0.1", game.port)
    assert [code for code, _, _ in ends] == [4000] * 12
    table_ms = sorted(after_ms for _, after_ms, _ in ends)
    assert (table_ms[0], len(set(table_ms))) == (1_000, 7)  # one each half millisecond, as the budget has it


async def test_a_drain_goes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "DRAIN_BATCH", 2)
    monkeypatch.setattr(listener_module, "DRAIN_PAUSE_S", 0.01)
    async with loopback_game() as game, trio.open_nursery() as nursery:
        codes: list[int] = []

        async def play(*, task_status: trio.TaskStatus[None]) -> None:
            async with connect(game.port) as client:
                await client.hello(game.token())
                task_status.started()
                codes.append((await goodbye_of(client))[0])

        for _ in range(5):
            await nursery.start(play)
        with trio.fail_after(10):
            await game.listener.drain()
    assert codes == [4000] * 5


async def test_a_bug_in_one_connection_is_logged_once_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback_game() as game, connect(game.port) as good:
        await good.hello(game.token())

        def crash(*arguments: object) -> None:
            raise RuntimeError("a bug", arguments)

        with capture_logs() as logs, monkeypatch.context() as broken:
            broken.setattr(listener, "Session", crash)
            async with connect(game.port) as bad:
                await bad.end()
            with trio.fail_after(5):
                while game.counters.crashes_total == 0 or game.admission.statistics().sockets > 1:
                    await trio.lowlevel.checkpoint()
        assert [entry["event"] for entry in logs] == ["a connection crashed"]
        await good.tap()


async def test_who_was_shaking_hands_when_the_drain_began_is_sent_away_too() -> None:
    async with loopback_game() as game:
        stream = await trio.open_tcp_stream("127.0.0.1", game.port)
        with trio.fail_after(5):
            while game.admission.statistics().handshakes == 0:
                await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            async with connect(game.port) as held:  # so that the drain has someone to wait for
                game.listener._transport.stop_accepting()
                nursery.start_soon(game.listener.drain)
                await held.end()
            socket = await trio_websocket.wrap_client_stream(
                nursery, stream, "127.0.0.1", "/ws", subprotocols=[SUBPROTOCOL]
            )
            assert (await goodbye_of(GameClient(socket)))[0] == 4000
            await trio.aclose_forcefully(stream)


async def test_a_crash_in_one_session_is_1011_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback_game() as game, connect(game.port) as bad, connect(game.port) as good:
        lineage = os.urandom(16)
        await bad.hello(game.token(), lineage)
        await good.hello(game.token())
        [victim] = [session for session in game.listener._sessions if session.lineage == lineage]

        def crash(*arguments: object) -> None:
            raise RuntimeError("a bug", arguments)

        monkeypatch.setattr(type(victim), "_too_often", lambda session, _: crash() if session is victim else None)
        await bad.send(PING, 1, 1)
        frames, code = await bad.end()
        assert (frames, code) == ([], 1011)
        await good.send(PING, 1, 1)
        await good.expect(PONG)
        await good.tap()
        assert game.counters.crashes_total == 1


async def test_a_slow_reader_is_closed_and_its_memory_bounded() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.hello(game.token())
        [session] = game.listener._sessions
        queued = []
        await client.socket._recv_channel.aclose()
        # The client's reader stands still once its queue is full, and then the kernel's buffers fill.
        stream = client.socket._stream
        frame = b"\x82\x85\0\0\0\0" + b"\x94\x02\x01\x01\x00"
        reader = client.socket
        reader._reader_running = False
        with trio.move_on_after(10):
            while not session.closed or session.outbox.closing is None:
                await stream.send_all(frame * 500)
                queued.append(session.outbox.queued_bytes)
        assert session.outbox.closing is not None
        assert session.outbox.closing[0] == 4008
        assert max(queued) <= 2 * 256 * 1024 + 64 * 1024
        assert game.counters.slow_readers_total == 1
        game.clock.advance(3_100)
        await live_count(game, 0)


async def test_errors_name_what_was_wrong() -> None:
    async with loopback_game() as game, connect(game.port) as client:
        await client.hello(game.token())
        await client.send(9, 1)
        await client.send(TAP, 0, 1, 0)
        await client.send(TAP, 1, 101, 0)
        await client.send(ACTION, 2, "no.such", {})
        errors = [await client.expect(ERROR) for _ in range(4)]
        assert [(seq, code) for _, seq, code, *_ in errors] == [
            (0, ErrorCode.INVALID_ARGUMENT),
            (0, ErrorCode.INVALID_ARGUMENT),
            (1, ErrorCode.INVALID_ARGUMENT),
            (2, ErrorCode.INVALID_ARGUMENT),
        ]
        client.seq = 2
        await client.tap()


async def test_two_listening_sockets_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    async def open_two(host: str, port: int, variable: str) -> list[trio.SocketListener]:
        sockets = [*await listener.open_port(host, port, variable), *await listener.open_port(host, port, variable)]
        ports.extend(each.socket.getsockname()[1] for each in sockets)
        return sockets

    monkeypatch.setattr(loopback_game_module, "open_port", open_two)
    async with loopback_game() as game:
        for port in ports:
            async with connect(port) as client:
                await client.hello(game.token())
