"""Whether the queries of every day find their rows by an index, and how long they take.

The SQL is the stores' own. A plan is the generic one, which a prepared statement ends with whatever its arguments are.
What the database's functions do inside has no plan to look at: they are run, and their scans are counted.
"""

import contextlib
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import trio

from persistence import account_store, economy_store, flush_transaction, player_store, registration
from persistence.flush_sink import PostgresSink
from persistence.postgres import Connection, Database
from persistence.records import LoadedPlayer
from tests.fakes.database_probe import add_node, rows
from tests.fakes.flushable_player import FlushablePlayer

NODE = "query-budget"
CLAIMED = 1_000  #: players at once

#: What a server asks all the time. The last four are asked by systems that are still to come; their SQL is what the
#: tables were made for.
FREQUENT = {
    "login by Telegram": account_store._FIND_TELEGRAM,
    "login by name": account_store._FIND_DEV,
    "registration": registration._NEXT,
    "registration, who invited": registration._INVITED,
    "cursors of players": player_store._CURSORS,
    "grants of players": player_store._GRANTS,
    "grants of a node": player_store._GRANTS_OF_NODE,
    "owners of players": player_store._OWNERS,
    "flush": flush_transaction._AT_ONCE_WITH_LEDGER,
    "flush, the fence": flush_transaction._FENCE,
    "economy of the hour": economy_store._READ,
    "unread notifications": """
        SELECT id, kind, body FROM notifications WHERE player_id = $1 AND read_at IS NULL ORDER BY id
    """,
    "best hundred of a board": """
        SELECT rank, change, name, public_id, score FROM current_standings
        WHERE board = $1::board_kind AND period = $2::board_period AND period_start = $3::date ORDER BY rank
    """,
    "own rank": "SELECT rank FROM leaderboard_entries WHERE player_id = $1 AND leaderboard_id = $2",
    "a player's ledger": """
        SELECT transaction_id, posted_at, kind, amount_mpt, balance_after_mpt FROM token_transactions
        WHERE player_id = $1 ORDER BY transaction_id DESC LIMIT 50
    """,
}
#: What is decided inside of a function: called with these arguments.
FUNCTIONS = {
    "claim": (player_store._CLAIM, "(SELECT array_agg(public_id) FROM (SELECT public_id FROM players LIMIT 10) AS p)"),
    "refresh": (account_store._ROTATE, "sha256(int8send(7::bigint))"),
    "reuse of a refresh token": (account_store._ROTATE, "sha256(int8send(-7::bigint))"),
}
#: A table with fewer rows than this may be read from one end to the other.
_BIG_ROWS = 1_000


async def furnish(database: Database) -> None:
    """What only a server leaves behind: everybody's login, queue of operations and notification; a running board."""

    async def fill(connection: Connection) -> None:
        await connection.execute(
            """
            INSERT INTO operation_cursors (player_id, lineage, applied_seq)
            SELECT id, decode(md5(id::text), 'hex'), 1 FROM players
            """
        )
        await connection.execute(
            """
            INSERT INTO player_sessions (id, player_id, refresh_hash, previous_hashes, client, created_at, expires_at)
            SELECT md5(id::text)::uuid, id, sha256(int8send(id)), ARRAY[sha256(int8send(-id))], 'test', now(),
                now() + interval '30 days'
            FROM players
            """
        )
        await connection.execute(
            """
            INSERT INTO notifications (player_id, key, kind, body, created_at, expires_at)
            SELECT id, 'welcome', 'welcome', '{}', now(), now() + interval '30 days' FROM players
            """
        )
        board = await connection.fetchval(
            """
            INSERT INTO leaderboards (board, period, period_start) VALUES ('taps', 'all', 'epoch') RETURNING id
            """
        )
        await connection.execute("SELECT snapshot_leaderboard($1, now(), 1000)", board)
        await connection.execute(
            "ANALYZE operation_cursors, player_sessions, notifications, leaderboards, leaderboard_entries"
        )

    await add_node(database, NODE)
    async with database.dedicated("furnish", patient=True) as connection:
        await connection.transaction(fill)


async def plan_of(database: Database, sql: str) -> dict[str, Any]:
    """PostgreSQL's generic plan of a statement."""

    async def explain(connection: Connection) -> str:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE looked_at AS {sql}")
        numbers = {int(number) for number in re.findall(r"\$(\d+)", sql)}
        arguments = f"({', '.join(['NULL'] * max(numbers))})" if numbers else ""
        text: str = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at {arguments}")
        await connection.execute("DEALLOCATE looked_at")
        return text

    plan: dict[str, Any] = msgspec.json.decode(await database.transaction(explain))[0]["Plan"]
    return plan


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, the root first."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


def indexes_of(plan: dict[str, Any]) -> list[str]:
    """The indexes that a plan uses."""
    return sorted({node["Index Name"] for node in nodes_of(plan) if "Index Name" in node})


async def big_tables(database: Database) -> frozenset[str]:
    """Tables and partitions with many rows, by the statistics."""
    found = await rows(
        database, "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples >= $1", float(_BIG_ROWS)
    )
    return frozenset(name for (name,) in found)


def long_scans_of(plan: dict[str, Any], big: frozenset[str]) -> list[str]:
    """Big tables that a plan reads from one end to the other."""
    return sorted(
        {node["Relation Name"] for node in nodes_of(plan) if node["Node Type"] == "Seq Scan"} & big,
    )


class _UndoneError(Exception):
    """A transaction whose work is not wanted."""


async def scans_of_function(
    database: Database, sql: str, argument: str, big: frozenset[str]
) -> dict[str, tuple[int, int]]:
    """Run a statement that calls a function, and undo it.

    Returns:
        Of every big table that it touched: scans of the whole table, scans of an index.
    """
    found: dict[str, tuple[int, int]] = {}

    async def run(connection: Connection) -> None:
        first = await connection.fetchval(f"SELECT {argument}")
        others: tuple[object, ...] = (NODE,)
        if "rotate" in sql:
            now_ms = int(await connection.fetchval("SELECT extract(epoch FROM now()) * 1000"))
            others = (uuid4().bytes * 2, now_ms, now_ms + 86_400_000)
        scans = "SELECT relname, seq_scan, coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables"
        before = {name: counts for name, *counts in await connection.fetch(scans)}
        await connection.fetch(sql, first, *others)
        for name, *after in await connection.fetch(scans):
            whole, by_index = (count - earlier for count, earlier in zip(after, before[name], strict=True))
            if name in big and whole + by_index:
                found[name] = (whole, by_index)
        raise _UndoneError

    with contextlib.suppress(_UndoneError):
        await database.transaction(run)
    return found


async def measured(times: int, work: Callable[[], Awaitable[object]]) -> list[float]:
    """How long each of several runs took, in seconds."""
    took_s = []
    for _ in range(times):
        began_s = time.perf_counter()
        await work()
        took_s.append(time.perf_counter() - began_s)
    return took_s


class Bench:
    """The measurements.

    Args:
        database: seeded and furnished.
        times: how often each is repeated.
        say: is told each figure at once.
    """

    def __init__(self, database: Database, times: int, say: Callable[[str], None]) -> None:
        self.figures_ms: dict[str, float] = {}  #: medians
        self._database = database
        self._times = times
        self._say = say
        self._batch = 0
        self._run = uuid4()

    async def all(self) -> None:
        """Measure everything."""
        await self._claims_and_flushes()
        await self._boards()
        await self._schedule()

    def _note(self, what: str, took_s: Sequence[float]) -> None:
        self.figures_ms[what] = round(1000 * statistics.median(took_s), 3)
        self._say(f"{what}: {self.figures_ms[what]:.1f} ms")

    async def _claims_and_flushes(self) -> None:
        claimed_s, flushed_s = [], []
        for turn in range(self._times):
            # from all over the table
            found = await rows(
                self._database,
                "SELECT public_id FROM players"
                " WHERE id % greatest((SELECT max(id) FROM players) / $1::bigint, 1) = $2 LIMIT $1",
                CLAIMED,
                turn,
            )
            public_ids: list[UUID] = [public_id for (public_id,) in found]
            began_s = time.perf_counter()
            loaded = await player_store.claim_and_load(self._database, public_ids, node=NODE)
            claimed_s.append(time.perf_counter() - began_s)
            players = [FlushablePlayer.of(one) for one in loaded if isinstance(one, LoadedPlayer)]
            assert len(players) == len(public_ids)
            flushed_s.append(await self._flush(sorted(players, key=lambda player: player.player_id), turn))
        self._note(f"claim and load {CLAIMED} players", claimed_s)
        self._note(f"flush {CLAIMED} players, two lanes at once", flushed_s)

    async def _flush(self, players: list[FlushablePlayer], turn: int) -> float:
        for player in players:
            player.tap(5_000, lineage=player.player_id.to_bytes(16, "big"))
            if player.player_id % 10 == 0:
                player.post(f"query_budget:{self._run}:{turn}:{player.player_id}")
        lanes = [[player for player in players if player.player_id % 2 == lane] for lane in range(2)]
        async with (
            PostgresSink(self._database).lane("lane 0") as even,
            PostgresSink(self._database).lane("lane 1") as odd,
            trio.open_nursery() as nursery,
        ):
            for lane in (even, odd):  # connected before the clock runs
                await lane._connection.run(_select_one)
            began_s = time.perf_counter()
            for lane, mine in zip((even, odd), lanes, strict=True):
                self._batch += 1
                writes = [taken for player in mine if (taken := player.take_writes()) is not None]
                nursery.start_soon(self._write, lane, self._batch, writes)
        return time.perf_counter() - began_s

    async def _write(self, lane: Any, batch: int, writes: list[Any]) -> None:
        assert len(await lane.write(self._run, batch, writes, again=False)) == len(writes)

    async def _boards(self) -> None:
        [(board, player_id)] = await rows(
            self._database,
            "SELECT l.id, e.player_id FROM leaderboards AS l JOIN leaderboard_entries AS e ON e.leaderboard_id = l.id"
            " WHERE l.board = 'taps' AND l.frozen_at IS NOT NULL ORDER BY e.rank DESC LIMIT 1",
        )
        queries: dict[str, tuple[str, tuple[object, ...]]] = {
            "best hundred of a frozen board": (
                """
                SELECT e.rank, p.display_name, e.score FROM leaderboard_entries AS e
                JOIN players AS p ON p.id = e.player_id WHERE e.leaderboard_id = $1 AND e.rank <= 100 ORDER BY e.rank
                """,
                (board,),
            ),
            "own rank on a frozen board": (FREQUENT["own rank"], (player_id, board)),
            "best hundred of a running board": (
                "SELECT * FROM current_standings WHERE board = 'taps' AND period = 'all' ORDER BY rank",
                (),
            ),
            "best hundred of all players, by sorting them": (
                "SELECT id, taps FROM players ORDER BY taps DESC LIMIT 100",
                (),
            ),
            "rank among all players, by counting them": (
                "SELECT count(*) + 1 FROM players WHERE taps > (SELECT taps FROM players WHERE id = $1)",
                (player_id,),
            ),
        }
        for what, (sql, arguments) in queries.items():

            async def ask(sql: str = sql, arguments: tuple[object, ...] = arguments) -> None:
                assert await rows(self._database, sql, *arguments)

            await ask()  # the plan and the pages are there
            self._note(what, await measured(self._times, ask))

    async def _schedule(self) -> None:
        [(last_day,)] = await rows(self._database, "SELECT max(day) FROM player_daily_stats")
        async with self._database.dedicated("schedule", patient=True) as connection:

            async def call(work: Connection, sql: str, *arguments: object) -> None:
                await work.fetchval(sql, *arguments)

            jobs: tuple[tuple[str, str, tuple[object, ...], int], ...] = (
                ("due activations", "SELECT count(*) FROM due_activations(now())", (), self._times),
                ("influence of everybody", "SELECT recompute_influence(now())", (), 3),
                ("roll-up of a day", "SELECT roll_up_day($1)", (last_day,), 3),
                ("snapshot of every running board", "SELECT snapshot_leaderboards(now())", (), 1),
            )
            for what, sql, arguments, times in jobs:

                async def once(sql: str = sql, arguments: tuple[object, ...] = arguments) -> None:
                    await connection.transaction(call, sql, *arguments)

                self._note(what, await measured(times, once))


async def _select_one(connection: Connection) -> None:
    await connection.execute("SELECT 1")
