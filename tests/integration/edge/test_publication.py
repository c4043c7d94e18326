"""One frame for many sockets: everyone who reads gets it, who does not costs the others nothing."""

import trio
import trio.lowlevel
import trio.testing

from gameserver.wire.ops import OUTBOX_MAX_FRAMES
from tests.fakes.game_client import TAPPED, connect
from tests.fakes.loopback_game import LoopbackGame, loopback_game
from tests.fakes.other_side import pack, unpack
from tests.fakes.raw_websocket import RawWebSocket, close_codes, frame, upgraded

NOTICE = [69, "world", 0, "notice", {"text": "x" * 4_000}]


def publish(game: LoopbackGame, message: object, key: str | None = None) -> None:
    """To every session."""
    game.listener._transport.publish(pack(message), list(game.listener._sessions), key)


async def narrow_stream(port: int) -> trio.SocketStream:
    """A connection of which the kernel takes little that is not read."""
    socket = trio.socket.socket()
    socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4_096)
    await socket.connect(("127.0.0.1", port))
    return trio.SocketStream(socket)


async def hello(game: LoopbackGame, stream: trio.abc.Stream) -> RawWebSocket:
    """A raw socket that has its WELCOME."""
    raw = await upgraded(stream)
    hello_frame = pack([1, 0, {"token": game.token(), "lineage": bytes(16), "device": "d", "client": "c"}])
    await raw.send(frame(2, hello_frame))
    assert await raw.frame() is not None
    return raw


async def test_everyone_gets_it_in_order_between_their_answers() -> None:
    async with loopback_game() as game, connect(game.port) as first, connect(game.port) as second:
        for client in (first, second):
            await client.hello(game.token())
        for number in range(300):  # more than one round's share
            publish(game, [69, "world", number + 1, "notice", {}])
        for client in (first, second):
            with trio.fail_after(5):
                assert [(await client.receive())[2] for _ in range(300)] == list(range(1, 301))
            assert (await client.tap())[0] == TAPPED


async def test_a_reader_that_does_not_read_is_dropped_and_the_others_get_everything() -> None:
    async with (
        loopback_game() as game,
        connect(game.port) as reader,
        await narrow_stream(game.port) as stream,
    ):
        await reader.hello(game.token())
        raw = await hello(game, stream)
        sent = 0
        with trio.fail_after(30):
            while game.counters.slow_readers_total == 0:
                publish(game, NOTICE)
                sent += 1
                assert await reader.receive() == NOTICE
                if sent % OUTBOX_MAX_FRAMES == 0:
                    game.clock.advance(100)
            assert (await reader.tap())[0] == TAPPED
            assert close_codes(await raw.frames()) == [4008]
        assert game.listener.statistics().live == 1


async def test_of_conflated_frames_a_slow_reader_gets_the_latest_and_is_not_dropped() -> None:
    async with loopback_game() as game, await narrow_stream(game.port) as stream:
        raw = await hello(game, stream)
        last = 3_000
        for number in range(1, last + 1):
            publish(game, [69, "world", 0, "standing", {"number": number, "filler": "x" * 4_000}], key="standing")
            if number % 100 == 0:
                await trio.lowlevel.checkpoint()
        numbers: list[int] = []
        with trio.fail_after(10):
            while not numbers or numbers[-1] != last:
                one = await raw.frame()
                assert one is not None
                numbers.append(unpack(one[1])[4]["number"])
        assert numbers == sorted(set(numbers))
        assert len(numbers) < last, "the kernel took everything: nothing was conflated"
        assert game.counters.slow_readers_total == 0
        assert game.listener.statistics().live == 1


async def test_sockets_that_are_closing_get_nothing() -> None:
    async with loopback_game() as game, connect(game.port) as first, connect(game.port) as second:
        for client in (first, second):
            await client.hello(game.token())
        sessions = list(game.listener._sessions)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(game.listener.drain)
            await trio.testing.wait_all_tasks_blocked()
            game.listener._transport.publish(pack(NOTICE), sessions)
            for client in (first, second):
                frames, code = await client.end()
                assert ([frame[0] for frame in frames], code) == ([71], 4000)
            nursery.cancel_scope.cancel()
