"""Suspicion in the database: what is kept, who is limited once, what operators decide, and who keeps bad company."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from gameserver.actors.messages import Attach, Taps
from gameserver.actors.player import PlayerActor
from gameserver.clock import ManualClock
from gameserver.game.suspicion import LIMIT_SCORE
from hotpath.tap_signals import COUNTER_NAMES, COUNTER_RANGES
from persistence import player_store
from persistence.account_changes import judge_suspicion
from persistence.errors import SetupFailed
from persistence.flush_transaction import write_by_steps
from persistence.operator_store import REPORTS, read_report
from persistence.postgres import Database
from persistence.records import Effect, KeptSignals, LoadedPlayer, PlayerWrites, Suspected
from tests.fakes.database_probe import assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import AT_MS, FlushablePlayer
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.recording_origin import RecordingOrigin
from tests.fakes.schema_breaker import people, script

DAY_MS = 86_400_000
KEPT = KeptSignals(
    tuple(
        AT_MS if name.endswith("_ms") and high > AT_MS else min(high, 7) for name, (_, high) in COUNTER_RANGES.items()
    ),
    score=4_000,
    signs={"pace": 3_000, "excess": 1_000},
    over_limit=False,
    kept_ms=AT_MS,
)
SUSPECTED = Suspected(7_000, {"rhythm": 7_000}, AT_MS)


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


async def flush(database: Database, player: FlushablePlayer, *effects: Effect) -> None:
    player.tap(1)
    writes = player.take_writes()
    assert writes is not None
    with_effects = PlayerWrites(
        writes.player_id,
        writes.owner_epoch,
        writes.columns,
        writes.minted_mpt,
        writes.burned_mpt,
        dict(writes.cursors),
        effects=effects,
    )
    assert await database.transaction(write_by_steps, uuid4(), 1, [with_effects]) == frozenset({0})


async def public_id(database: Database, player_id: int) -> UUID:
    [(found,)] = await rows(database, "SELECT public_id FROM players WHERE id = $1", player_id)
    assert isinstance(found, UUID)
    return found


async def reload(database: Database, player_id: int) -> LoadedPlayer:
    [loaded] = await player_store.claim_and_load(database, [await public_id(database, player_id)], node="node-1")
    assert isinstance(loaded, LoadedPlayer)
    return loaded


async def events(database: Database) -> list[tuple[object, ...]]:
    return await rows(database, "SELECT event::text, score, player_id FROM security_logs ORDER BY id")


async def limited_at(database: Database, player_id: int) -> object:
    [(found,)] = await rows(database, "SELECT shadow_limited_at FROM players WHERE id = $1", player_id)
    return found


async def state(database: Database) -> list[tuple[object, ...]]:
    return await rows(database, "SELECT player_id, state::text, reviewed_at FROM suspicion_cases ORDER BY player_id")


async def test_what_is_kept_is_loaded_again(database: Database) -> None:
    player, other = await claimed_players(database, 2)
    assert (await reload(database, player.player_id)).signals is None
    [player] = [FlushablePlayer.of(await reload(database, player.player_id))]
    await flush(database, player, replace(KEPT, kept_ms=AT_MS - 1), KEPT)
    loaded = await reload(database, player.player_id)
    assert (loaded.signals, loaded.shadow_limited) == (KEPT, False)
    over = replace(
        KEPT,
        over_limit=True,
        counters=tuple(high if "_ms" not in name else AT_MS % (high + 1) for name, (_, high) in COUNTER_RANGES.items()),
    )
    await flush(database, FlushablePlayer.of(loaded), over)
    assert (await reload(database, player.player_id)).signals == over
    never = replace(KEPT, counters=(0,) * len(COUNTER_NAMES), signs={})
    await flush(database, FlushablePlayer.of(await reload(database, player.player_id)), never)
    assert (await reload(database, player.player_id)).signals == never
    assert (await reload(database, other.player_id)).signals is None


async def test_a_suspect_is_limited_once_and_queued(database: Database) -> None:
    player, _ = await claimed_players(database, 2)
    await flush(database, player, SUSPECTED, KEPT)
    assert await limited_at(database, player.player_id) == at(AT_MS)
    assert await events(database) == [("suspicion", 7_000, player.player_id), ("shadow_limited", 0, player.player_id)]
    again = Suspected(8_000, {"rhythm": 7_000, "excess": 1_000}, AT_MS + DAY_MS)
    await flush(database, player, again)
    assert await limited_at(database, player.player_id) == at(AT_MS)
    assert [name for name, *_ in await events(database)] == ["suspicion", "shadow_limited", "suspicion"]
    assert (await reload(database, player.player_id)).shadow_limited
    found = await read_report(database, REPORTS["suspicious"], limit=5)
    [row] = [dict(zip(found.columns, values, strict=True)) for values in found.rows]
    assert (row["state"], row["score"], row["signs"]) == ("open", 8_000, "rhythm 7000, excess 1000")
    assert (row["opened_at"], row["changed_at"]) == (at(AT_MS), at(AT_MS + DAY_MS))


async def test_whom_an_operator_clears_is_not_limited_again_for_a_month(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    account = await public_id(database, player.player_id)
    await flush(database, player, SUSPECTED)
    await judge_suspicion(database, account, guilty=False, now_ms=AT_MS + 1, actor="test")
    assert await limited_at(database, player.player_id) is None
    await flush(database, player, replace(SUSPECTED, at_ms=AT_MS + 30 * DAY_MS))
    assert await limited_at(database, player.player_id) is None
    assert await state(database) == [(player.player_id, "cleared", at(AT_MS + 1))]
    await flush(database, player, replace(SUSPECTED, at_ms=AT_MS + 30 * DAY_MS + 2))
    assert await limited_at(database, player.player_id) == at(AT_MS + 30 * DAY_MS + 2)
    assert await state(database) == [(player.player_id, "open", None)]
    names = [name for name, *_ in await events(database)]
    assert names == [
        *("suspicion", "shadow_limited", "shadow_limit_lifted", "suspicion"),
        *("suspicion", "shadow_limited"),
    ]
    assert await rows(database, "SELECT actor, action, player_id FROM admin_audit_log") == [
        ("test", "account.lift", player.player_id)
    ]


async def test_an_operator_confirms_or_limits_without_a_signal(database: Database) -> None:
    suspected, other = await claimed_players(database, 2)
    await flush(database, suspected, SUSPECTED)
    for player in (suspected, other):
        account = await public_id(database, player.player_id)
        for _ in range(2):
            await judge_suspicion(database, account, guilty=True, now_ms=AT_MS + 5, actor="test")
    assert await limited_at(database, suspected.player_id) == at(AT_MS)
    assert await limited_at(database, other.player_id) == at(AT_MS + 5)
    assert [(name, state) for name, state, _ in await state(database)] == [(1, "confirmed"), (2, "confirmed")]
    assert [name for name, *_ in await events(database)] == ["suspicion", "shadow_limited", "shadow_limited"]
    await flush(database, suspected, SUSPECTED)
    assert [(name, state) for name, state, _ in await state(database)] == [(1, "confirmed"), (2, "confirmed")]
    with pytest.raises(SetupFailed, match="There is no player"):
        await judge_suspicion(database, uuid4(), guilty=True, now_ms=AT_MS, actor="test")


async def test_whoever_marks_a_player_as_erased_erases_the_suspicion_too(database: Database) -> None:
    """By the trigger players_erased_suspicion."""
    player, other = await claimed_players(database, 2)
    for one in (player, other):
        await flush(database, one, SUSPECTED, KEPT)
    await rows(
        database,
        "UPDATE players SET erased_at = now(), telegram_id = NULL, dev_name = NULL WHERE id = $1",
        player.player_id,
    )
    for table in ("player_signals", "suspicion_cases"):
        assert await rows(database, f"SELECT player_id FROM {table}") == [(other.player_id,)]
    await script(database, f"SELECT suspect({player.player_id}, 7000, '{{}}', NULL, NULL, now())")
    assert await rows(database, "SELECT player_id FROM suspicion_cases") == [(other.player_id,)]


async def test_an_actor_whose_taps_are_a_machines_is_limited_by_its_own_flush(database: Database) -> None:
    [claimed] = await claimed_players(database, 1)
    loaded = await reload(database, claimed.player_id)
    clock, memory = ManualClock(), PlayerDatabase()
    actor = PlayerActor(loaded, memory.habitat(clock))
    origin = RecordingOrigin(b"l" * 16)
    actor.handle(Attach(origin, {}), clock.now_ms())
    for seq in range(1, 361):
        clock.advance(1_000)
        actor.handle(Taps([(origin, seq, 3)]), clock.now_ms())
        actor.releasing = seq == 360
        if seq % 60 == 0:
            writes = actor.take_writes()
            assert writes is not None
            await database.transaction(write_by_steps, uuid4(), 1, [writes])
    again = await reload(database, claimed.player_id)
    assert again.shadow_limited
    assert again.signals is not None
    assert again.signals.counters == actor._suspicion.signals.counters()
    assert (again.signals.score, again.signals.over_limit) == (10_000, True)
    assert [name for name, *_ in await events(database)] == ["suspicion", "shadow_limited"]
    await assert_reconciled(database)


async def test_the_threshold_is_the_same_on_both_sides(database: Database) -> None:
    assert await rows(database, "SELECT suspicion_limit()") == [(LIMIT_SCORE,)]


DEVICE = """
    INSERT INTO devices (player_id, device, address, first_seen_at, last_seen_at)
    SELECT n, $1, ('203.0.113.' || n % 250)::inet, time_from_ms($4), time_from_ms($4)
    FROM generate_series($2::integer, $3::integer) AS n
"""
ADDRESS = """
    INSERT INTO devices (player_id, device, address, first_seen_at, last_seen_at)
    SELECT n, 'of ' || n, $1::text::inet + n, time_from_ms($4), time_from_ms($4)
    FROM generate_series($2::integer, $3::integer) AS n
"""
INVITED = """
    INSERT INTO referrals (player_id, inviter_id, joined_at)
    SELECT n, $1, time_from_ms($4) FROM generate_series($2::integer, $3::integer) AS n
"""


async def company(database: Database) -> dict[object, tuple[object, object]]:
    found = await rows(database, "SELECT player_id, score, signs::text FROM company_scores(time_from_ms($1))", AT_MS)
    return {player_id: (score, signs) for player_id, score, signs in found}


async def test_accounts_on_a_device_at_an_address_and_among_invitees(database: Database) -> None:
    await people(database, 200)
    await rows(database, DEVICE, "a family's", 1, 3, AT_MS)
    await rows(database, DEVICE, "friends'", 11, 14, AT_MS)
    await rows(database, DEVICE, "a farm's", 21, 60, AT_MS)
    await rows(database, DEVICE, "once a farm's", 61, 99, AT_MS - 31 * DAY_MS)
    await rows(database, ADDRESS, "2001:db8::", 101, 125, AT_MS)  # one /64
    await rows(database, ADDRESS, "198.51.100.0", 126, 150, AT_MS)  # addresses of their own
    await rows(database, INVITED, 5, 151, 160, AT_MS - 8 * DAY_MS)
    await rows(database, INVITED, 6, 161, 170, AT_MS - 6 * DAY_MS)  # they may still come
    await rows(database, INVITED, 7, 171, 180, AT_MS - 8 * DAY_MS)
    await rows(database, "UPDATE players SET xp = 100 WHERE id = 171")  # one of ten has played
    await rows(database, INVITED, 8, 181, 189, AT_MS - 8 * DAY_MS)  # too few to tell
    found = await company(database)
    assert {id_: found[id_] for id_ in (11, 14)} == dict.fromkeys((11, 14), (1_000, '{"device": 1000}'))
    assert {found[id_] for id_ in range(21, 61)} == {(7_000, '{"device": 7000}')}
    assert {found[id_] for id_ in range(101, 126)} == {(500, '{"address": 500}')}
    assert (found[5], found[7]) == ((4_000, '{"invitees": 4000}'), (2_000, '{"invitees": 2000}'))
    assert set(found) == {5, 7, *range(11, 15), *range(21, 61), *range(101, 126)}


async def test_the_daily_look_adds_up_and_suspects_once(database: Database) -> None:
    await claimed_players(database, 1)
    await people(database, 40)
    await rows(database, DEVICE, "a farm's", 2, 21, AT_MS)
    await rows(database, INVITED, 22, 23, 41, AT_MS - 8 * DAY_MS)
    await script(
        database,
        f"""
        INSERT INTO player_signals SELECT n, 2500, '{{"pace": 2500}}', false, time_from_ms({AT_MS}),
            {", ".join("0" * (len(COUNTER_NAMES) - 3))}
        FROM generate_series(22, 23) AS n;
        UPDATE player_signals SET kept_at = kept_at - interval '31 days' WHERE player_id = 23
        """,
    )

    async def look(ms: int) -> int:
        [(count,)] = await rows(database, "SELECT suspect_company(time_from_ms($1))", ms)
        assert isinstance(count, int)
        return count

    assert await look(AT_MS) == 21
    assert await look(AT_MS + DAY_MS) == 0
    [(taps, tap_signs, together, signs)] = await rows(
        database,
        "SELECT taps_score, taps_signs::text, company_score, company_signs::text FROM suspicion_cases"
        " WHERE player_id = 22",
    )
    assert (taps, tap_signs, together, signs) == (2_500, '{"pace": 2500}', 4_000, '{"invitees": 4000}')
    assert await rows(database, "SELECT player_id FROM player_signals") == [(22,)]
    assert len(await rows(database, "SELECT FROM players WHERE shadow_limited_at IS NOT NULL")) == 21
    # fewer live accounts beside it: an open case shows that, one that was judged stays
    await judge_suspicion(database, await public_id(database, 2), guilty=True, now_ms=AT_MS, actor="test")
    await rows(database, "DELETE FROM devices WHERE player_id > 9")
    assert await look(AT_MS + 2 * DAY_MS) == 0
    scores = await rows(
        database, "SELECT company_score FROM suspicion_cases WHERE player_id IN (2, 3) ORDER BY player_id"
    )
    assert scores == [(7_000,), (5_000,)]
