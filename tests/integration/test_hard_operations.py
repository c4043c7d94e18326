"""Operations that are answered once they are committed, on real servers: killed, repeated, and between two nodes."""

import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.fakes.database_probe import ask
from tests.fakes.game_client import ACTION, DURABLE, ERROR, EVENT, RESULT, TAPPED, GameClient, connect
from tests.fakes.server_http import log_in
from tests.fakes.two_nodes import two_nodes
from tests.integration.test_node_process import with_deadline
from tests.server_process import ServerProcess

LINEAGE = b"hard operations!"
RICH_MPT = 50_000_000


@pytest.fixture
def nodes(database_dsn: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two nodes on one database; only the first is started."""
    with two_nodes(database_dsn) as nodes:
        yield nodes


def enrich(dsn: str, name: str) -> str:
    """Make a player old enough, of level 10 and rich, before it is loaded; returns its public id."""
    ask(dsn, f"UPDATE players SET xp = 8100, created_at = now() - interval '8 days' WHERE dev_name = '{name}'")
    ask(
        dsn,
        "INSERT INTO player_grants (player_id, key, kind, amount_mpt)"
        f" SELECT id, 'rich:' || id, 'compensation', {RICH_MPT} FROM players WHERE dev_name = '{name}'",
    )
    [(public_id,)] = ask(dsn, f"SELECT public_id::text FROM players WHERE dev_name = '{name}'")
    return str(public_id)


def play_on(server: ServerProcess, token: str, scene: Callable[[GameClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connect(server.port) as client:
            await client.hello(token, LINEAGE)
            await scene(client)

    with_deadline(run)


async def act(client: GameClient, seq: int, name: str, args: dict[str, Any]) -> list[Any]:
    """Send an ACTION and return its answer."""
    await client.send(ACTION, seq, name, args)
    while (frame := await client.receive())[0] in (EVENT, DURABLE, TAPPED):
        pass
    return frame


def test_a_purchase_is_answered_once_however_often_the_server_is_killed(
    nodes: tuple[ServerProcess, ServerProcess], database_dsn: str
) -> None:
    server, _ = nodes
    token = log_in(server, "ada")
    enrich(database_dsn, "ada")
    answers: list[list[Any]] = []

    async def buy(client: GameClient) -> None:
        answers.append(await act(client, 1, "upgrade.buy", {"kind": "tap_level"}))
        server.stop(signal.SIGKILL)

    play_on(server, token, buy)
    server.start()

    async def again(client: GameClient) -> None:
        answers.append(await act(client, 1, "upgrade.buy", {"kind": "tap_level"}))
        assert (await act(client, 2, "upgrade.buy", {"kind": "energy_cap"}))[2]["state"]["energy_cap"] == 1_500
        for seq in range(3, 6):
            assert (await act(client, seq, "boost.use", {"kind": "double"}))[0] == RESULT
        assert (await act(client, 6, "boost.use", {"kind": "double"}))[:4] == [ERROR, 6, 6, "conflict"]

    play_on(server, token, again)
    assert answers[0][2] == answers[1][2]
    assert answers[0][2]["level"] == 2
    assert ask(database_dsn, "SELECT tap_level, energy_cap_level FROM players") == [(2, 2)]
    assert ask(database_dsn, "SELECT doubles FROM player_daily_limits") == [(3,)]
    assert server.stop() == 0
    assert ask(database_dsn, "SELECT * FROM ledger_reconciliation") == []
    assert server.run("reconcile").returncode == 0


def test_tokens_reach_a_player_on_another_node_and_one_who_is_away(
    nodes: tuple[ServerProcess, ServerProcess], database_dsn: str
) -> None:
    first, second = nodes
    second.start()
    tokens = {name: log_in(first, name) for name in ("ada", "bob", "cy")}
    enrich(database_dsn, "ada")
    bob, cy = (
        str(ask(database_dsn, f"SELECT public_id::text FROM players WHERE dev_name = '{name}'")[0][0])
        for name in ("bob", "cy")
    )

    async def run() -> None:
        async with connect(second.port) as receiver, connect(first.port) as sender:
            await receiver.hello(tokens["bob"])
            await sender.hello(tokens["ada"], LINEAGE)
            sent = await act(sender, 1, "transfer.send", {"to": bob, "amount_mpt": 12_345})
            assert (sent[0], sent[2]["fee_mpt"]) == (RESULT, 618)
            event = await receiver.expect(EVENT)
            assert event[3:] == [
                "grant.received",
                {"kind": "transfer_received", "amount_mpt": 12_345, "state": {"tokens": 12_345}},
            ]
            assert (await act(sender, 2, "transfer.send", {"to": cy, "amount_mpt": 1_000}))[0] == RESULT
            missing = await act(sender, 3, "transfer.send", {"to": "nobody", "amount_mpt": 1_000})
            assert missing[:4] == [ERROR, 3, 4, "not_found"]

    with_deadline(run)
    balances = "SELECT dev_name, balance_mpt FROM players ORDER BY dev_name"
    assert first.stop() == second.stop() == 0
    assert ask(database_dsn, balances) == [("ada", RICH_MPT - 12_345 - 618 - 1_050), ("bob", 12_345), ("cy", 0)]
    assert ask(database_dsn, "SELECT * FROM ledger_reconciliation") == []
    second.start()

    async def come_back() -> None:
        async with connect(second.port) as client:
            assert (await client.hello(tokens["cy"]))["state"]["tokens"] == 1_000

    with_deadline(come_back)
    assert second.stop() == 0
    assert ask(database_dsn, balances)[2] == ("cy", 1_000)
    assert ask(database_dsn, "SELECT * FROM ledger_reconciliation") == []
