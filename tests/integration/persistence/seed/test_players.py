"""Seeded players: the same from the same seed, whole books, believable shapes, and a server can go on from there."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from uuid import uuid4

import pytest

from hotpath.rules import level_of
from persistence import player_store
from persistence.embedded import Embedded
from persistence.errors import SetupFailed
from persistence.flush_sink import PostgresSink
from persistence.postgres import Database
from persistence.records import LoadedPlayer
from persistence.seed.content import load_shipped_content
from persistence.seed.players.competitions import shares
from persistence.seed.players.history import Plan
from persistence.seed.players.load import seed_players
from persistence.seed.players.population import FAKE_TELEGRAM_IDS
from persistence.seed.players.sheets import COLUMNS
from tests.fakes.database_probe import add_node, assert_reconciled, rows
from tests.fakes.flushable_player import FlushablePlayer
from tests.fakes.seeded_database import filled_database

PLAN = Plan(players=1_500, seed=11, days=20, until=date(2026, 3, 8))
DERIVED = (
    "economy_state",
    "impact_metrics",
    "player_influence",
    "leaderboards",
    "leaderboard_entries",
    "chat_channels",
)
#: a viral event takes a hundred activations on a day
MAY_BE_EMPTY = {"viral_events", "viral_event_participants"}


def ignore(_phase: str, _done: int, _total: int) -> None:
    """Nobody looks."""


@pytest.fixture(scope="module")
def seeded_dsn(postgres_server: Embedded) -> Iterator[str]:
    """A database that is seeded once, for the tests that only look."""
    with filled_database(postgres_server, "seeded", fill) as dsn:
        yield dsn


@pytest.fixture
async def seeded(asyncio_loop: None, seeded_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """The seeded database, for looking."""
    async with Database.open(seeded_dsn) as database:
        yield database


async def fill(database: Database, plan: Plan = PLAN) -> dict[str, int]:
    await load_shipped_content(database)
    return await seed_players(database, plan, emission_scale_pt=10**9, report=ignore)


async def checksums(database: Database) -> dict[str, str]:
    """Of everything in the tables that a seed fills."""
    return {
        table: (await rows(database, f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t"))[0][0]
        for table in (*COLUMNS, *DERIVED)
    }


async def test_the_same_seed_gives_the_same_rows(seeded: Database, database: Database) -> None:
    counted = await fill(database)
    assert {table for table, count in counted.items() if not count} <= MAY_BE_EMPTY
    for table, count in counted.items():
        assert await rows(database, f"SELECT count(*) FROM {table}") == [(count,)], table
    assert await checksums(database) == await checksums(seeded)


async def test_another_seed_gives_other_rows(seeded: Database, database: Database) -> None:
    await fill(database, Plan(PLAN.players, PLAN.seed + 1, PLAN.days, PLAN.until))
    one, other = await checksums(seeded), await checksums(database)
    alike = {table for table in one if one[table] == other[table]}
    assert alike.isdisjoint({"players", "token_transactions", "player_daily_stats", "referrals", "community_members"})


async def test_every_invariant_holds(seeded: Database) -> None:
    await assert_reconciled(seeded)
    assert await rows(seeded, "SELECT * FROM reconcile()") == []


async def test_every_foreign_key_and_trigger_is_back(seeded: Database, database: Database) -> None:
    guards = """
        SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated FROM pg_constraint
        WHERE conrelid <> 0 AND conparentid = 0 AND conrelid NOT IN (SELECT inhrelid FROM pg_inherits)
    """
    triggers = """
        SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger
        WHERE NOT tgisinternal AND tgrelid NOT IN (SELECT inhrelid FROM pg_inherits)
    """
    for sql in (guards, triggers):
        assert sorted(await rows(seeded, sql)) == sorted(await rows(database, sql))


async def test_players_are_numbered_in_the_order_of_joining(seeded: Database) -> None:
    found = await rows(seeded, "SELECT id, join_seq, generation, created_at FROM players ORDER BY created_at, id")
    assert [id_ for id_, *_ in found] == list(range(1, PLAN.players + 1))
    assert [generation for _, join_seq, generation, _ in found] == [1 if n <= 1_000 else 2 for n in range(1, 1_501)]
    per_day = await rows(seeded, "SELECT created_at::date, count(*) FROM players GROUP BY 1 ORDER BY 1")
    assert per_day[0][0] == date(2026, 2, 17)
    assert per_day[-1][0] == PLAN.until
    assert per_day[-1][1] > 2 * per_day[0][1]


async def test_nobody_real_has_a_seeded_telegram_id(seeded: Database) -> None:
    [(lowest, without, named)] = await rows(
        seeded,
        "SELECT min(telegram_id), count(*) FILTER (WHERE telegram_id IS NULL), count(dev_name) FROM players",
    )
    assert lowest > FAKE_TELEGRAM_IDS
    assert without == named == 1_000


async def test_days_add_up_to_the_players_totals(seeded: Database) -> None:
    wrong = """
        SELECT p.id FROM players AS p LEFT JOIN (
            SELECT player_id, sum(taps) AS taps, sum(xp) AS xp, sum(earned_mpt) AS earned, sum(spent_mpt) AS spent,
                max(reached_at) AS reached_at
            FROM player_daily_stats GROUP BY player_id
        ) AS s ON s.player_id = p.id
        WHERE (p.taps, p.xp, p.lifetime_mpt, p.balance_mpt, p.last_seen_at)
            IS DISTINCT FROM (s.taps, s.xp, s.earned, s.earned - s.spent, s.reached_at)
    """
    assert await rows(seeded, wrong) == []


async def test_every_level_was_rewarded_once(seeded: Database) -> None:
    rewards = await rows(
        seeded,
        "SELECT p.id, p.xp, count(t.*), sum(t.amount_mpt) FROM players AS p LEFT JOIN token_transactions AS t"
        " ON t.player_id = p.id AND t.kind = 'level_reward' GROUP BY p.id",
    )
    for id_, xp, count, amount_mpt in rewards:
        level = level_of(xp)
        assert (count, amount_mpt or 0) == (level - 1, sum(100_000 * passed for passed in range(2, level + 1))), id_


async def test_few_have_most(seeded: Database) -> None:
    [(taps,)] = await rows(seeded, "SELECT array_agg(taps ORDER BY taps DESC) FROM players")
    assert 0.4 < sum(taps[: len(taps) // 10]) / sum(taps) < 0.95
    [(sizes,)] = await rows(seeded, "SELECT array_agg(member_count ORDER BY member_count DESC) FROM communities")
    assert len(sizes) == PLAN.players // 120
    assert sizes[0] >= 2 * sizes[len(sizes) // 2]
    [(invited,)] = await rows(
        seeded,
        "SELECT array_agg(number ORDER BY number DESC) FROM"
        " (SELECT count(*) AS number FROM referrals GROUP BY inviter_id) AS each",
    )
    assert invited[0] >= 10 * invited[len(invited) // 2]


async def test_a_community_has_an_owner_who_was_there_first(seeded: Database) -> None:
    owners = await rows(
        seeded,
        "SELECT c.id, count(*) FILTER (WHERE m.role = 'owner'), count(*) FILTER (WHERE m.role = 'officer'),"
        " bool_and(m.joined_at >= c.created_at) FROM communities AS c"
        " JOIN community_members AS m ON m.community_id = c.id GROUP BY c.id",
    )
    assert owners
    assert [row for row in owners if row[1] != 1 or row[2] > 3 or not row[3]] == []


async def test_activations_came_within_seven_days_and_were_paid(seeded: Database) -> None:
    found = await rows(
        seeded,
        "SELECT activated_at - joined_at <= interval '169 hours', paid, (SELECT count(*) FROM ledger_keys"
        " WHERE key IN (format('referral:%s:inviter', player_id), format('referral:%s:friend', player_id)))"
        " FROM referrals WHERE activated_at IS NOT NULL",
    )
    assert found
    assert {row for row in found if not row[0] or row[2] != 2 * row[1]} == set()


async def test_competitions_were_settled_by_the_rule(seeded: Database) -> None:
    [(running, settled)] = await rows(
        seeded,
        "SELECT count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'settled') FROM competitions",
    )
    assert running == 1
    assert settled >= 2
    wrong = """
        SELECT e.competition_id, e.player_id FROM competitions AS c
        CROSS JOIN LATERAL competition_settlement(c.id) AS s
        JOIN player_competitions AS e ON e.competition_id = c.id AND e.player_id = s.player_id
        WHERE c.state = 'settled'
            AND (e.place, e.prize_mpt, e.refund_mpt) <> (s.place, s.from_fees_mpt + s.from_bonus_mpt, s.refund_mpt)
    """
    assert await rows(seeded, wrong) == []


def test_shares_sum_to_the_whole() -> None:
    assert shares(9_000_001, (5_000, 3_000, 2_000)) == [4_500_001, 2_700_000, 1_800_000]
    assert shares(100, (1, 1, 1)) == [34, 33, 33]
    assert shares(100, ()) == []


async def test_the_story_was_read_along_its_choices(seeded: Database) -> None:
    stranded = """
        SELECT p.player_id, p.chapter_id FROM player_chapter_progress AS p
        JOIN story_chapters AS c ON c.id = p.chapter_id
        WHERE p.scene_id <> c.first_scene_id AND NOT EXISTS (
            SELECT FROM player_story_choices AS made JOIN story_choices AS o ON o.id = made.choice_id
            WHERE made.player_id = p.player_id AND o.next_scene_id = p.scene_id
        )
    """
    unended = """
        SELECT p.player_id FROM player_chapter_progress AS p JOIN story_scenes AS s ON s.id = p.scene_id
        WHERE (p.completed_at IS NOT NULL) <> s.is_ending
    """
    assert await rows(seeded, stranded) == []
    assert await rows(seeded, unended) == []


async def test_a_game_with_players_is_not_seeded(database: Database) -> None:
    await player_store.create_load_test_players(database, 1, now_ms=1_767_225_600_000)
    with pytest.raises(SetupFailed, match="only into an empty game"):
        await fill(database)
    assert await rows(database, "SELECT count(*) FROM players") == [(1,)]
    assert await rows(database, "SELECT count(*) FROM communities") == [(0,)]


async def test_only_what_a_server_of_today_knows_waits_to_be_applied(seeded: Database) -> None:
    open_kinds = await rows(seeded, "SELECT DISTINCT kind::text FROM player_grants WHERE applied_at IS NULL")
    assert open_kinds == [("full_energy",)]


async def test_a_game_that_is_being_served_is_not_seeded(database: Database) -> None:
    await add_node(database, "node-1")
    with pytest.raises(SetupFailed, match="The server node-1 is using this database; stop it"):
        await fill(database)
    await add_node(database, "node-1", lease_s=-1)
    assert (await fill(database))["players"] == PLAN.players


async def test_a_game_without_content_is_not_seeded(database: Database) -> None:
    with pytest.raises(SetupFailed, match="load content first"):
        await seed_players(database, PLAN, emission_scale_pt=10**9, report=ignore)


async def test_an_interrupted_seed_leaves_nothing(database: Database) -> None:
    class Stop(Exception):
        pass

    def interrupt(phase: str, _done: int, _total: int) -> None:
        if phase == "checking":
            raise Stop

    await load_shipped_content(database)
    with pytest.raises(Stop):
        await seed_players(database, PLAN, emission_scale_pt=10**9, report=interrupt)
    for table in ("players", "ledger_keys", "leaderboards"):
        assert await rows(database, f"SELECT count(*) FROM {table}") == [(0,)]
    await fill(database)
    assert await rows(database, "SELECT * FROM reconcile()") == []


async def test_a_server_goes_on_from_there(database: Database) -> None:
    await fill(database)
    await join_the_next_newcomer(database)
    await write_like_a_server(database)
    await settle_what_was_due(database)
    assert await rows(database, "SELECT * FROM reconcile()") == []


async def write_like_a_server(seeded: Database) -> None:
    await add_node(seeded, "node-1")
    found = await rows(seeded, "SELECT public_id FROM players ORDER BY xp DESC, id LIMIT 200")
    loaded = await player_store.claim_and_load(seeded, [public_id for (public_id,) in found], node="node-1")
    players = [FlushablePlayer.of(player) for player in loaded if isinstance(player, LoadedPlayer)]
    assert len(players) == len(found)
    for player in players:
        player.tap(5_000)
        player.post(f"after_the_seed:{player.player_id}")
    writes = [taken for player in players if (taken := player.take_writes()) is not None]
    async with PostgresSink(seeded).lane("test") as lane:
        written = await lane.write(uuid4(), 1, writes, again=False)
    assert written == frozenset(range(200))


async def join_the_next_newcomer(seeded: Database) -> None:
    """The load-test players are there; one more gets the next number."""
    await player_store.create_load_test_players(seeded, 1_001, now_ms=1_790_000_000_000)
    newest = "SELECT id, join_seq, generation FROM players ORDER BY id DESC LIMIT 1"
    assert await rows(seeded, newest) == [(1_501, 1_501, 2)]


async def settle_what_was_due(seeded: Database) -> None:
    """Who reached level 5 on the last day is found by the first look of a server, nobody a second time."""
    [(activated,)] = await rows(seeded, "SELECT activate_referrals('2026-03-09 00:10+00')")
    [(again,)] = await rows(seeded, "SELECT activate_referrals('2026-03-09 00:20+00')")
    assert activated > 0
    assert again == 0
