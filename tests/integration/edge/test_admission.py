"""Who may connect, over a real socket: 503 over a limit, and nothing left of those who came and went."""

import contextlib
import os
import resource

import psutil
import pytest
import trio
import trio.lowlevel
import trio.testing

from gameserver.edge import gateway, portable
from gameserver.edge.admission import Admission
from gameserver.edge.heartbeat import Heartbeat
from tests.fakes.game_client import connect
from tests.fakes.loopback_game import LoopbackGame, loopback_game
from tests.fakes.raw_websocket import converse, request, upgraded


def admission(*, sockets: int = 100, per_address: int = 0, per_s: int = 0) -> Admission:
    """Limits that hold for loopback too."""
    return Admission(sockets, per_address, per_s, exempt_loopback=False, now_s=trio.current_time)


async def refusal(game: LoopbackGame) -> tuple[int, int]:
    """(status, Retry-After) of one more handshake."""
    async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        head = (await converse(stream, request())).partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:])
    return int(head[0].split(" ")[1]), int(fields["retry-after"])


@pytest.mark.parametrize("limits", [{"sockets": 2}, {"per_address": 2}, {"per_s": 2}])
async def test_over_a_limit_there_is_503_with_retry_after(limits: dict[str, int]) -> None:
    async with loopback_game(admission=admission(**limits)) as game, connect(game.port) as first, connect(game.port):
        status, retry_after_s = await refusal(game)
        assert (status, retry_after_s >= 1) == (503, True)
        await first.hello(game.token())
        assert game.admission.statistics().sockets == 2


async def test_a_seat_that_is_left_is_free_again() -> None:
    async with loopback_game(admission=admission(sockets=1)) as game:
        for _ in range(3):
            async with connect(game.port) as client:
                await client.hello(game.token())
                assert (await refusal(game))[0] == 503
            with trio.fail_after(5):
                while game.admission.statistics().sockets:
                    await trio.lowlevel.checkpoint()


async def test_who_is_refused_and_says_nothing_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "HANDSHAKE_DEADLINE_S", 0.05)
    monkeypatch.setattr("gameserver.edge.portable.HANDSHAKE_DEADLINE_S", 0.05)
    async with (
        loopback_game(admission=admission(sockets=0)) as game,
        await trio.open_tcp_stream("127.0.0.1", game.port) as stream,
    ):
        assert await converse(stream, b"") == b""


async def is_answered(game: LoopbackGame) -> bool:
    """Whether one more handshake gets any answer."""
    async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        with contextlib.suppress(trio.BrokenResourceError):
            return await converse(stream, request()) != b""
    return False


async def test_not_more_than_so_many_who_are_refused_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in (gateway, portable):
        monkeypatch.setattr(transport, "MAX_REFUSALS", 2)
    async with (
        loopback_game(admission=admission(sockets=0)) as game,
        await trio.open_tcp_stream("127.0.0.1", game.port),
    ):
        async with await trio.open_tcp_stream("127.0.0.1", game.port):
            with trio.fail_after(5):
                while game.admission.statistics().refused_full_total < 2:
                    await trio.lowlevel.checkpoint()
            assert not await is_answered(game)
        with trio.fail_after(5):  # one of them has gone
            while not await is_answered(game):
                pass


@pytest.mark.slow
async def test_nothing_is_left_of_ten_thousand_who_came_and_went() -> None:
    """Descriptors, tasks, sessions and memory are where they were."""
    process = psutil.Process(os.getpid())
    at_once = min(2_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2)

    async with loopback_game() as game:

        async def come_and_go(count: int) -> None:
            streams = []
            for number in range(count):
                streams.append(await trio.open_tcp_stream("127.0.0.1", game.port))
                if number % 3:  # at once: the deadline of a handshake is the machine's time, however slow it is
                    await upgraded(streams[-1])
            for stream in streams:
                await trio.aclose_forcefully(stream)
            deadlines = game.listener._shared.watch
            assert isinstance(deadlines, Heartbeat)
            with trio.fail_after(30):
                while game.admission.statistics().sockets or len(deadlines._wheel):
                    game.clock.advance(1_000)
                    await trio.lowlevel.checkpoint()

        await come_and_go(at_once)  # what the allocator keeps for good is there from now on
        await trio.testing.wait_all_tasks_blocked()
        files, tasks = process.num_fds(), trio.lowlevel.current_statistics().tasks_living
        memory_bytes = process.memory_info().rss
        came = at_once
        while came < 10_000:
            await come_and_go(at_once)
            came += at_once
        await trio.testing.wait_all_tasks_blocked()
        assert process.num_fds() == files
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert not game.listener._sessions
        assert process.memory_info().rss - memory_bytes < 10_000 * 200, "less than 200 bytes of each is left"
