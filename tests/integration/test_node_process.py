"""The server as a process: start, play, drain, kill, restart; what an operator sees and what a player keeps."""

import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psutil
import pytest
import trio

from tests.chosen_postgres import CHOSEN, embedded_only
from tests.fakes.game_client import DURABLE, GOODBYE, RESULT, TAPPED, GameClient, connect
from tests.fakes.server_http import http, log_in, metric
from tests.server_process import ServerProcess

LINEAGE = bytes(range(16))


@pytest.fixture(params=["gateway", "portable"])
def server(request: pytest.FixtureRequest, server_settings: dict[str, str]) -> Iterator[ServerProcess]:
    with ServerProcess(transport=request.param, **server_settings) as server:
        yield server


def play(server: ServerProcess, scene: Callable[[GameClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connect(server.port) as client:
            await scene(client)

    with_deadline(run)


def with_deadline(run: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(30):
            await run()

    trio.run(bounded)


def database_processes(server: ServerProcess) -> list[psutil.Process]:
    """The postmaster of this server's data folder, and its children."""
    for process in psutil.process_iter(["cmdline"]):
        if f"{server.data_dir}/postgres" in " ".join(process.info["cmdline"] or []):
            return [process, *process.children(recursive=True)]
    return []


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=15)
    assert alive == []


def test_a_stop_tells_players_and_writes_everything_and_the_next_start_finds_it(server: ServerProcess) -> None:
    token = log_in(server, "ada")
    states: list[dict[str, Any]] = []

    async def first(client: GameClient) -> None:
        await client.hello(token, LINEAGE)
        tapped = await client.tap(30)
        assert tapped[2] == 30
        os.kill(server.pid, signal.SIGTERM)
        frames, code = await client.end()
        goodbye = next(frame for frame in frames if frame[0] == GOODBYE)
        assert goodbye[1] == code == 4000
        assert goodbye[3] >= 0

    play(server, first)
    assert server.wait() == 0
    wait_until_gone(database_processes(server))

    server.start()
    token = log_in(server, "ada")

    async def second(client: GameClient) -> None:
        welcome = await client.hello(token, LINEAGE)
        assert (welcome["applied_seq"], welcome["durable_seq"]) == (1, 1)
        states.append(welcome["state"])
        repeated = await client.tap(30)  # the same seq again
        assert repeated[2] == 0
        assert repeated[4] == 30

    play(server, second)
    assert (states[0]["xp"], states[0]["tokens"]) == (30, 45_000)


def test_kill_9_ends_the_database_too_and_what_is_sent_again_counts_once(server: ServerProcess) -> None:
    token = log_in(server, "grace")
    children = database_processes(server)
    assert bool(children) == (CHOSEN is None)

    async def tap_and_die(client: GameClient) -> None:
        await client.hello(token, LINEAGE)
        await client.tap(10)
        await client.expect(DURABLE)
        await client.tap(10)
        server.kill()

    play(server, tap_and_die)
    server.start()  # at once: it waits for the database that is still ending
    wait_until_gone(children)
    token = log_in(server, "grace")

    async def resend(client: GameClient) -> None:
        welcome = await client.hello(token, LINEAGE)
        assert welcome["applied_seq"] in (1, 2)
        for seq in (1, 2):
            await client.send(2, seq, 10, 0)
            assert (await client.expect(TAPPED))[1] == seq
        await client.send(3, 3, "state.get", {})
        assert (await client.expect(RESULT))[2]["xp"] == 20

    play(server, resend)


@embedded_only
def test_a_killed_database_is_started_again_and_play_goes_on(server: ServerProcess) -> None:
    token = log_in(server, "wangari")

    async def scene(client: GameClient) -> None:
        await client.hello(token, LINEAGE)
        await client.tap(5)
        await client.expect(DURABLE)
        database_processes(server)[0].kill()
        await client.tap(5)  # answered while there is no database
        assert await client.expect(DURABLE) == [DURABLE, 2]

    play(server, scene)
    assert "the embedded PostgreSQL has ended; starting it again" in server.log
    assert http(server, "healthz") == (200, {"status": "ok"})
    assert server.stop() == 0


@embedded_only
def test_a_hanging_database_does_not_stop_the_stop(server: ServerProcess) -> None:
    server.stop()
    server.environment["GAME_DRAIN_S"] = "1"
    server.start()
    token = log_in(server, "rosa")
    frozen = database_processes(server)

    async def tap(client: GameClient) -> None:
        await client.hello(token)
        for process in frozen:
            process.suspend()
        await client.tap(5)

    play(server, tap)
    started = time.monotonic()
    assert server.stop() == 1
    assert time.monotonic() - started < 20  # the drain's second, and what stopping a frozen PostgreSQL takes
    assert "stopped before everything was written" in server.log
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()  # a frozen backend sees that its postmaster is gone once it runs again
    wait_until_gone(frozen)


def test_a_null_sink_says_durable_and_forgets(server: ServerProcess) -> None:
    server.stop()
    server.environment["GAME_FLUSH_SINK"] = "null"
    server.start()
    assert "GAME_FLUSH_SINK=null forgets what players do" in server.log
    token = log_in(server, "lethe")

    async def tap(client: GameClient) -> None:
        assert (await client.hello(token, LINEAGE))["state"]["xp"] == 0
        await client.tap(5)
        assert await client.expect(DURABLE) == [DURABLE, 1]
        assert (await state_of(client))["xp"] == 5

    play(server, tap)
    assert metric(server, "game_write_behind_rows") >= 1
    assert server.stop() == 0
    del server.environment["GAME_FLUSH_SINK"]
    server.start()
    token = log_in(server, "lethe")

    async def look(client: GameClient) -> None:
        welcome = await client.hello(token, LINEAGE)
        assert (welcome["applied_seq"], welcome["state"]["xp"]) == (0, 0)

    play(server, look)


def test_readiness_metrics_and_pages(server: ServerProcess) -> None:
    assert http(server, "healthz") == (200, {"status": "ok"})
    assert http(server, "readyz") == (200, {"status": "ok"})
    assert http(server, "config.json") == (200, {"socket_url": server.socket_url, "dev_login": True})
    status, verified = http(server, "auth/verify")
    assert (status, verified["status"]) == (401, 401)

    async def tap(client: GameClient) -> None:
        await client.hello(log_in(server, "nelson"))
        await client.tap(7)
        await client.expect(DURABLE)
        assert metric(server, "game_sessions_live") == 1

    play(server, tap)
    assert metric(server, "game_sessions_taps_claimed_total") == 7
    assert metric(server, "game_taps_accepted_total") == 7
    assert metric(server, "game_taps_refused_total") == 0
    assert metric(server, "game_players_active") == 1
    assert metric(server, "game_players_mailbox_messages") == 0
    assert metric(server, "game_write_behind_rows") >= 1
    assert metric(server, "game_write_behind_dirty_players") >= 0
    assert metric(server, "game_flush_lag_seconds_count") >= 1
    assert metric(server, "game_flush_hold_seconds_count") >= 2
    assert metric(server, "game_turn_seconds_count") >= 1


def test_tokens_are_all_that_token_prints_and_fill_the_energy_of_those_who_play(server: ServerProcess) -> None:
    [token] = server.run("token").stdout.split()

    async def spend_and_be_filled(client: GameClient) -> None:
        await client.hello(token)
        assert (await client.tap(40))[6] < 1_000
        tokens = (await trio.to_thread.run_sync(server.run, "token", "--players", "3")).stdout.split()
        assert len(tokens) == 3
        with trio.fail_after(10):
            while (await state_of(client))["energy"] < 1_000:
                pass

    play(server, spend_and_be_filled)

    hello = bytes.fromhex(server.run("token", "--hello-hex").stdout.strip())

    async def say_it(client: GameClient) -> None:
        await client.send_bytes(hello)
        assert (await client.receive())[0] == 64

    play(server, say_it)


async def state_of(client: GameClient) -> dict[str, Any]:
    client.seq += 1
    await client.send(3, client.seq, "state.get", {})
    while (frame := await client.receive())[0] != RESULT:
        pass
    state: dict[str, Any] = frame[2]
    return state
