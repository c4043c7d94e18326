"""A server whose database is away: who plays goes on, who comes is told when to come back, operators see it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.fakes.game_client import DURABLE, ERROR, EVENT, GOODBYE, HELLO, GameClient, connect, hello_map
from tests.fakes.postgres_proxy import proxy_to
from tests.fakes.server_http import http, log_in, metric
from tests.server_process import ServerProcess

INSUFFICIENT, UNAVAILABLE = 7, 10
OVERLOADED = 4009


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[ServerProcess]:
    """A server; this thread stays free for the proxy before its database."""
    server = ServerProcess(database_url=database_url)
    try:
        await trio.to_thread.run_sync(server.__enter__)
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.__exit__)


async def until(condition: Callable[[], bool]) -> None:
    """Ask again and again; whoever calls has a deadline."""
    while not await trio.to_thread.run_sync(condition):
        await trio.lowlevel.checkpoint()


async def expect_of(client: GameClient, op: int) -> list[Any]:
    """The next frame of `op`; what comes before it is passed over."""
    while (frame := await client.receive())[0] != op:
        assert frame[0] in (EVENT, DURABLE)
    return frame


async def test_without_a_database_play_goes_on_and_whoever_comes_is_told_when_to_come_back(
    empty_database_dsn: str,
) -> None:
    in_thread = trio.to_thread.run_sync
    async with proxy_to(empty_database_dsn) as proxy, served(proxy.dsn) as server:
        with trio.fail_after(90):
            token, late = await in_thread(log_in, server, "ada"), await in_thread(log_in, server, "late")
            async with connect(server.port) as client:
                await client.hello(token)
                await client.tap(5)
                await expect_of(client, DURABLE)

                proxy.refusing = True
                proxy.cut_all()
                await client.tap(5)  # answered from memory
                await until(lambda: http(server, "healthz") == (200, {"status": "degraded"}))
                assert await in_thread(http, server, "readyz") == (200, {"status": "degraded"})
                assert await in_thread(metric, server, "game_write_behind_database_up") == 0
                assert await in_thread(metric, server, "game_write_behind_accepting") == 1
                assert await in_thread(metric, server, "game_write_behind_dirty_bytes") > 2_000
                assert (await in_thread(http, server, "auth/dev", {"name": "new"}))[0] == 503

                client.seq += 1
                await client.send(3, client.seq, "upgrade.buy", {"kind": "tap_level"})
                refused = await expect_of(client, ERROR)
                assert (refused[1], refused[2]) == (client.seq, UNAVAILABLE)
                assert refused[5] > 0  # to be tried again

                async with connect(server.port) as newcomer:
                    await newcomer.send(HELLO, 0, hello_map(token=late))
                    frames, code = await newcomer.end()
                    assert [frame[0] for frame in frames] == [GOODBYE]
                    assert code == frames[0][1] == OVERLOADED
                    assert frames[0][3] >= 1_000
                assert await in_thread(metric, server, "game_returns_told_total") == 1
                assert await in_thread(metric, server, "game_players_loads_per_s") < 5_000

                proxy.refusing = False
                assert (await expect_of(client, DURABLE))[1] == 2
                await until(lambda: http(server, "healthz") == (200, {"status": "ok"}))
                await client.send(3, client.seq, "upgrade.buy", {"kind": "tap_level"})
                judged = await expect_of(client, ERROR)
                assert judged[1:3] == [client.seq, INSUFFICIENT]
                await client.tap(1)
            async with connect(server.port) as newcomer:
                await newcomer.hello(late)
            assert await in_thread(server.stop) == 0
