"""Registration against a real PostgreSQL: numbers without a gap, generations, who invited whom."""

import hashlib
from uuid import uuid4

import pytest
import trio

from persistence import player_store
from persistence.account_store import AccountRow, AccountStore, LoginProof
from persistence.errors import PersistenceError, Rejected
from persistence.postgres import Connection, Database
from persistence.registration import Newcomer, lock_registration, register_players
from persistence.session_store import NewSession
from tests.fakes import older_node
from tests.fakes.database_probe import assert_reconciled, rows
from tests.fakes.flushable_player import AT_MS
from tests.fakes.schema_breaker import refusal_by_trigger, script

DAY_MS = 86_400_000
PROOF = LoginProof("init_data")


def session(*, seed: str = "", now_ms: int = AT_MS) -> NewSession:
    id_ = uuid4()
    return NewSession(id_, hashlib.sha256((seed or str(id_)).encode()).digest(), now_ms + DAY_MS, "a client/1", now_ms)


@pytest.fixture
def store(database: Database) -> AccountStore:
    return AccountStore(database)


async def register(database: Database, count: int, *, now_ms: int = AT_MS) -> None:
    """So many players at once, without logins."""

    async def work(connection: Connection) -> None:
        await lock_registration(connection)
        await register_players(connection, [Newcomer("somebody") for _ in range(count)], now_ms=now_ms)

    await database.transaction(work)


# ---- numbers


async def test_two_hundred_at_once_give_no_gap_and_no_double_also_where_some_fail_in_the_middle(
    asyncio_loop: None,  # noqa: ARG001 - its loop
    database_dsn: str,
) -> None:
    async with Database.open(database_dsn, max_connections=20) as database:
        store = AccountStore(database)
        await store.login_by_dev_name("first", session(seed="taken"))
        logged_in: list[AccountRow] = []
        refused: list[int] = []

        async def log_in(number: int) -> None:
            # every third is the same person from several places; of the others every fifth fails after the player is in
            newcomer = Newcomer(f"player {number}", telegram_id=number if number % 3 else 3)
            one = session(seed="taken" if number % 3 and number % 5 == 0 else "")
            try:
                logged_in.append(await store.login_by_telegram(newcomer, one, PROOF))
            except PersistenceError:
                refused.append(number)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(1, 201):
                    nursery.start_soon(log_in, number)
        failing = [number for number in range(1, 201) if number % 3 and number % 5 == 0]
        assert sorted(refused) == failing
        people = 200 - 66 - len(failing) + 1
        assert len({row.player_id for row in logged_in}) == people
        found = await rows(
            database, "SELECT count(*), min(join_seq), max(join_seq), count(DISTINCT telegram_id) FROM players"
        )
        assert found == [(1 + people, 1, 1 + people, people)]
        assert await rows(database, "SELECT count(*) FROM player_sessions") == [(201 - len(failing),)]
        await assert_reconciled(database)


async def test_a_registration_that_fails_leaves_nothing(database: Database, store: AccountStore) -> None:
    one = await store.login_by_dev_name("one", session(seed="taken"))
    [(code,)] = await rows(database, "SELECT referral_code FROM players")
    with pytest.raises(Rejected):  # after player and invitation were inserted
        await store.login_by_telegram(Newcomer("two", telegram_id=2, invited_by=code), session(seed="taken"), PROOF)
    await store.login_by_dev_name("three", session())
    found = await rows(database, "SELECT dev_name, join_seq FROM players ORDER BY join_seq")
    assert found == [("one", 1), ("three", 2)]
    assert await rows(database, "SELECT count(*) FROM referrals") == [(0,)]
    assert await rows(database, "SELECT count(*) FROM security_logs WHERE player_id <> $1", one.player_id) == [(1,)]


async def test_whose_connection_is_cut_in_the_middle_leaves_no_gap(database: Database, store: AccountStore) -> None:
    async def broken(connection: Connection) -> None:
        await lock_registration(connection)
        await register_players(connection, [Newcomer("gone"), Newcomer("gone too")], now_ms=AT_MS)
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(PersistenceError):
        await database.transaction(broken)
    with trio.fail_after(10):
        await store.login_by_dev_name("ada", session())
    assert await rows(database, "SELECT display_name, join_seq FROM players") == [("ada", 1)]


# ---- generations


@pytest.mark.parametrize(
    ("fill_days", "capacity"),
    [(0, 8_000), (1, 8_000), (7, 8_000), (8, 7_000), (14, 4_000), (28, 2_000), (29, 1_931), (56, 1_000), (900, 1_000)],
)
async def test_the_next_generation_is_as_large_as_the_one_before_lets_expect(
    database: Database, fill_days: int, capacity: int
) -> None:
    found = await rows(database, "SELECT next_generation_capacity(1000, $1)", fill_days)
    assert found == [(capacity,)]


_THRESHOLDS = "SELECT threshold FROM generations ORDER BY generation LIMIT 4"


@pytest.mark.parametrize(
    ("fill_ms", "thresholds"),
    [
        (14 * DAY_MS, [1_000, 5_000, 21_000, 85_000]),
        (15 * DAY_MS - 1, [1_000, 5_000, 21_000, 85_000]),
        (0, [1_000, 9_000, 41_000, 169_000]),
        (-DAY_MS, [1_000, 9_000, 41_000, 169_000]),
        (60 * DAY_MS, [1_000, 2_000, 6_000, 22_000]),
    ],
    ids=["a fortnight", "hardly longer", "at once", "the clock went back", "slowly"],
)
async def test_a_generation_opens_with_its_first_player(
    database: Database, fill_ms: int, thresholds: list[int]
) -> None:
    await register(database, 999)
    await register(database, 1, now_ms=AT_MS + fill_ms)
    assert [threshold for (threshold,) in await rows(database, _THRESHOLDS)] == [1_000, 5_000, 21_000, 85_000]
    await register(database, 1, now_ms=AT_MS + 90 * DAY_MS)
    assert [threshold for (threshold,) in await rows(database, _THRESHOLDS)] == thresholds
    assert await rows(database, "SELECT generation FROM players WHERE join_seq IN (1000, 1001) ORDER BY join_seq") == [
        (1,),
        (2,),
    ]
    await register(database, 1, now_ms=AT_MS + 900 * DAY_MS)
    assert [threshold for (threshold,) in await rows(database, _THRESHOLDS)] == thresholds
    assert await rows(database, "SELECT count(*) >= 14 FROM generations") == [(True,)]
    await assert_reconciled(database)


async def test_many_at_once_open_every_generation_they_reach(database: Database) -> None:
    await register(database, 9_001)
    counted = "SELECT generation, count(*) FROM players GROUP BY generation ORDER BY generation"
    assert await rows(database, counted) == [(1, 1_000), (2, 8_000), (3, 1)]
    assert [threshold for (threshold,) in await rows(database, _THRESHOLDS)] == [1_000, 9_000, 73_000, 329_000]
    await assert_reconciled(database)


async def test_there_are_always_generations_to_come(database: Database) -> None:
    await script(
        database,
        "DELETE FROM generations WHERE generation > 1; UPDATE generations SET threshold = 3;"
        "INSERT INTO generations SELECT g, 3 * g FROM generate_series(2, 15) AS g;",
    )
    for number in range(42):
        await register(database, 1, now_ms=AT_MS + 60 * DAY_MS * number)
    await register(database, 1, now_ms=AT_MS + 3_000 * DAY_MS)
    assert await rows(database, "SELECT max(generation) FROM players") == [(15,)]
    assert await rows(database, "SELECT generation, threshold FROM generations WHERE generation > 14") == [
        (15, 45),
        (16, 57),
        (17, 105),
    ]


async def test_the_threshold_of_an_opened_generation_never_changes(database: Database) -> None:
    await register(database, 1)
    refused = await refusal_by_trigger(
        database, "generations_opened", "UPDATE generations SET threshold = 999 WHERE generation = 1"
    )
    assert refused.constraint == "generations_opened"
    await script(database, "UPDATE generations SET threshold = 4999 WHERE generation = 2")


async def test_an_older_node_opens_a_generation_as_it_is_planned(database: Database) -> None:
    await register(database, 1_000)
    await older_node.register(database, ["by an older node"], now_ms=AT_MS)
    await register(database, 1)
    assert [threshold for (threshold,) in await rows(database, _THRESHOLDS)] == [1_000, 5_000, 21_000, 85_000]
    assert await rows(database, "SELECT max(generation), max(join_seq) FROM players") == [(2, 1_002)]
    await assert_reconciled(database)


# ---- invitations

_REFERRALS = "SELECT player_id, inviter_id, premium, ms_from_time(joined_at) FROM referrals ORDER BY player_id"


async def code_of(database: Database, player_id: int) -> str:
    [(code,)] = await rows(database, "SELECT referral_code FROM players WHERE id = $1", player_id)
    return str(code)


async def test_who_invited_is_written_when_the_player_is_made_and_never_after(
    database: Database, store: AccountStore
) -> None:
    inviters = [await store.login_by_dev_name(name, session()) for name in ("one", "two")]
    codes = [await code_of(database, inviter.player_id) for inviter in inviters]
    friends = [
        await store.login_by_telegram(
            Newcomer("friend", telegram_id=number, premium=premium, invited_by=codes[0]), session(), PROOF
        )
        for number, premium in ((1, True), (2, False), (3, None))
    ]
    written = [
        (friend.player_id, inviters[0].player_id, premium, AT_MS)
        for friend, premium in zip(friends, (True, False, False), strict=True)
    ]
    assert await rows(database, _REFERRALS) == written
    for code in codes:
        again = Newcomer("friend", telegram_id=1, invited_by=code)
        assert (await store.login_by_telegram(again, session(), PROOF)).created is False
    assert await rows(database, _REFERRALS) == written


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE players SET referral_code = 'somebody1' WHERE id = $1",
        "UPDATE players SET banned_until = 'infinity', ban_reason = 'x' WHERE id = $1",
        "UPDATE players SET banned_until = to_timestamp(4102444800), ban_reason = 'x' WHERE id = $1",
        "UPDATE players SET dev_name = NULL, erased_at = now() WHERE id = $1",
    ],
    ids=["unknown", "banned for good", "banned", "erased"],
)
async def test_a_code_that_is_nobodys_or_of_somebody_banned_is_ignored(
    database: Database, store: AccountStore, spoil: str
) -> None:
    inviter = await store.login_by_dev_name("ada", session())
    code = await code_of(database, inviter.player_id)
    await rows(database, spoil, inviter.player_id)
    friend = await store.login_by_telegram(Newcomer("friend", telegram_id=1, invited_by=code), session(), PROOF)
    assert friend.created
    assert await rows(database, _REFERRALS) == []


async def test_a_ban_that_is_over_is_none(database: Database, store: AccountStore) -> None:
    inviter = await store.login_by_dev_name("ada", session())
    code = await code_of(database, inviter.player_id)
    over = "UPDATE players SET banned_until = time_from_ms($2), ban_reason = 'x' WHERE id = $1"
    await rows(database, over, inviter.player_id, AT_MS)
    await store.login_by_telegram(Newcomer("friend", telegram_id=1, invited_by=code), session(), PROOF)
    assert len(await rows(database, _REFERRALS)) == 1


async def test_nobody_invites_themselves_or_is_invited_by_who_comes_later(database: Database) -> None:
    await script(database, "ALTER TABLE players ALTER COLUMN referral_code SET DEFAULT 'MyOwnCode1'")

    async def work(connection: Connection) -> None:
        await lock_registration(connection)
        await register_players(connection, [Newcomer("ada", telegram_id=1, invited_by="MyOwnCode1")], now_ms=AT_MS)

    await database.transaction(work)
    assert await rows(database, "SELECT referral_code FROM players") == [("MyOwnCode1",)]
    assert await rows(database, _REFERRALS) == []


async def test_load_test_players_are_registered_like_everybody(database: Database) -> None:
    await player_store.create_load_test_players(database, 2, now_ms=AT_MS)
    assert await rows(database, "SELECT dev_name, display_name, join_seq, premium FROM players ORDER BY id") == [
        ("load-000001", "load-000001", 1, False),
        ("load-000002", "load-000002", 2, False),
    ]
