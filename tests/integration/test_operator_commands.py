"""`gameserver report`, `reconcile` and `account` as an operator runs them, beside a server that is playing."""

import csv
import io
import time
from collections.abc import Iterator

import pytest
import trio

from persistence.schedule_store import JOBS
from tests.fakes.database_probe import ask
from tests.fakes.game_client import GameClient, connect, hello_map
from tests.server_process import ServerProcess

LINEAGE = bytes(range(16))
SUSPECT = "SELECT suspect(id, 7000, '{\"pace\": 7000}', NULL, NULL, now()) FROM players"
TAP_MPT = 1_500  #: of a player of the first generation, before the daily cap


@pytest.fixture
def idle(database_dsn: str) -> Iterator[ServerProcess]:
    """A server that is not started, on a database with the present schema."""
    idle = ServerProcess(database_url=database_dsn)
    yield idle
    idle.__exit__()


def report(server: ServerProcess, *arguments: str) -> list[dict[str, str]]:
    done = server.run("report", *arguments, "--csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_reports_are_listed_shown_and_refused_by_name(idle: ServerProcess) -> None:
    listed = idle.run("report").stdout
    assert "economy" in listed
    assert "Where tokens come from and go to" in listed
    assert idle.run("report", "players").stdout == "nothing to show\n"
    assert [row["source"] for row in report(idle, "economy")] == ["(not yet posted)", "(all)"]
    unknown = idle.run("report", "weather")
    assert unknown.returncode != 0
    assert unknown.stderr.startswith("gameserver: there is no report weather; choose from players, standings,")
    not_by_player = idle.run("report", "economy", "--player", "00000000-0000-0000-0000-000000000000")
    assert "is not by player" in not_by_player.stderr


def test_reconcile_says_what_does_not_agree(idle: ServerProcess, database_dsn: str) -> None:
    assert idle.run("token").returncode == 0
    good = idle.run("reconcile")
    assert (good.returncode, good.stdout) == (0, "everything agrees\n")
    ask(database_dsn, "UPDATE players SET balance_mpt = 7")
    bad = idle.run("reconcile")
    assert bad.returncode == 1
    assert "player 1" in bad.stdout


def test_what_is_granted_is_paid_and_an_erased_player_is_sent_away(idle: ServerProcess, database_dsn: str) -> None:
    idle.start()
    [token] = idle.run("token").stdout.split()

    async def scene() -> None:
        with trio.fail_after(60):
            async with connect(idle.port) as client:
                welcome = await client.hello(token, LINEAGE)
                assert welcome["state"]["tokens"] == 0
                await trio.to_thread.run_sync(grant)
                await paid(client)
                player = welcome["player"]
                done = await trio.to_thread.run_sync(idle.run, "account", "erase", player)
                assert "add --yes" in done.stderr
                done = await trio.to_thread.run_sync(idle.run, "account", "erase", player, "--yes")
                assert done.stdout == f"erased: {player}\n"
                await client.tap(1)
                _, code = await client.end()
                assert code == 4010  # what it tapped since belongs to nobody
            async with connect(idle.port) as client:
                await client.send(1, 0, hello_map(token=token, lineage=LINEAGE))
                _, code = await client.end()
                assert code >= 4500

    def grant() -> None:
        ask(
            database_dsn,
            "INSERT INTO player_grants (player_id, key, kind, amount_mpt) SELECT id, 'sorry:1', 'compensation', 5000"
            " FROM players",
        )

    async def paid(client: GameClient) -> None:
        while True:
            tapped = await client.tap(1)
            if tapped[3] - TAP_MPT * tapped[4] == 5_000:  # tokens beyond what its xp taps have earned
                return

    trio.run(scene)
    assert ask(database_dsn, "SELECT key FROM ledger_keys WHERE key LIKE 'sorry:%'") == [("sorry:1",)]
    assert idle.stop() == 0
    assert idle.run("reconcile").stdout == "everything agrees\n"
    assert report(idle, "players")[0]["display_name"] == "erased player"


def test_an_account_is_recovered_with_a_code(idle: ServerProcess, database_dsn: str) -> None:
    idle.run("token")
    [player] = report(idle, "players")
    issued = idle.run("account", "recovery-code", player["public_id"])
    code = issued.stdout.strip()
    assert len(code) == 20
    moved = idle.run("account", "redeem", code, "777")
    assert moved.stdout == f"moved: {player['public_id']} now belongs to Telegram account 777\n"
    again = idle.run("account", "redeem", code, "778")
    assert (again.returncode, again.stdout) == (1, "")
    assert "unknown, used or expired" in again.stderr
    assert ask(database_dsn, "SELECT telegram_id, dev_name FROM players") == [(777, None)]
    actions = ask(database_dsn, "SELECT action FROM admin_audit_log ORDER BY id")
    assert actions == [("account.issue_code",), ("account.migrate",)]


def test_a_suspicion_is_judged_while_the_player_plays(idle: ServerProcess, database_dsn: str) -> None:
    idle.start()
    [token] = idle.run("token").stdout.split()

    async def scene() -> None:
        with trio.fail_after(90):
            async with connect(idle.port) as client:
                player = (await client.hello(token, LINEAGE))["player"]
                await trio.to_thread.run_sync(ask, database_dsn, SUSPECT)
                assert await trio.to_thread.run_sync(shown) == ("open", "pace 7000", True)
                done = await trio.to_thread.run_sync(idle.run, "account", "lift", player)
                assert done.stdout == f"lifted: others see {player} on boards, from their next snapshot on\n"
                assert await trio.to_thread.run_sync(shown) == ("cleared", "pace 7000", False)
                done = await trio.to_thread.run_sync(idle.run, "account", "shadow-limit", player)
                assert done.stdout == f"limited: others do not see {player} on boards\n"
                assert await trio.to_thread.run_sync(shown) == ("confirmed", "pace 7000", True)
                await client.tap(1)  # goes on as if nothing was

    def shown() -> tuple[str, str, bool]:
        [row] = report(idle, "suspicious")
        return row["state"], row["signs"], bool(row["shadow_limited_at"])

    trio.run(scene)
    actions = ask(database_dsn, "SELECT action FROM admin_audit_log ORDER BY id")
    assert actions == [("account.lift",), ("account.shadow_limit",)]
    unknown = idle.run("account", "lift", "00000000-0000-0000-0000-000000000000")
    assert unknown.returncode == 1
    assert "There is no player" in unknown.stderr
    assert idle.stop() == 0


def test_the_calendar_runs_from_the_start_on(idle: ServerProcess, database_dsn: str) -> None:
    idle.start()
    deadline = time.monotonic() + 30
    while ask(database_dsn, "SELECT count(DISTINCT job) FROM schedules") != [(len(JOBS),)]:
        assert time.monotonic() < deadline, ask(database_dsn, "SELECT job FROM schedules")
    assert idle.stop() == 0
    assert ask(database_dsn, "SELECT count(*) FROM leaderboards WHERE period = 'day' AND frozen_at IS NOT NULL") == [
        (7,)
    ]
