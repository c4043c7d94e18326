"""Invitations, viral events, sharing, friends, communities, chat: what the database refuses, tried directly in SQL."""

import pytest

from persistence.errors import Duplicate
from persistence.postgres import Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, refusal, refusal_by_trigger, script

COMMUNITY = """
    INSERT INTO communities (name) VALUES ('The Lamps');
    INSERT INTO community_members (community_id, player_id, role, joined_at) VALUES (1, 1, 'owner', now());
"""


@pytest.fixture
async def database(database: Database) -> Database:
    """A database with five players, numbered from 1."""
    assert await people(database, 5) == [1, 2, 3, 4, 5]
    return database


# ---- invitations

INVITE = "INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES "


@pytest.mark.parametrize(
    ("before", "closing"),
    [("", "(2, 2, now())"), ("(2, 1, now())", "(1, 2, now())"), ("(2, 1, now()), (3, 2, now())", "(1, 3, now())")],
    ids=["self", "two", "longer"],
)
async def test_no_circle_of_invitations(database: Database, before: str, closing: str) -> None:
    if before:
        await script(database, INVITE + before)
    assert (await refusal(database, INVITE + closing)).constraint == "referrals_acyclic_check"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE referrals SET inviter_id = 2",
        "UPDATE referrals SET player_id = 5",
        "UPDATE referrals SET joined_at = joined_at - interval '1 day'",
        "UPDATE referrals SET activated_at = NULL, paid = false",
        "UPDATE referrals SET activated_at = activated_at + interval '1 day'",
        "UPDATE referrals SET first_due_mpt = first_due_mpt - 1",
        "UPDATE referrals SET second_due_mpt = second_due_mpt - 1",
        "DELETE FROM referrals",
    ],
)
async def test_the_tree_is_written_once_and_totals_only_grow(database: Database, change: str) -> None:
    await script(
        database,
        "INSERT INTO referrals (player_id, inviter_id, joined_at, activated_at, paid, first_due_mpt, second_due_mpt)"
        " VALUES (3, 1, now(), now(), true, 10, 10)",
    )
    refused = await refusal_by_trigger(database, "referrals_write_once", change)
    assert refused.constraint == "referrals_write_once"
    await script(database, "UPDATE referrals SET first_due_mpt = 11, second_due_mpt = 11, first_carry = 9999")
    assert (await refusal(database, INVITE + "(3, 2, now())")).constraint == "referrals_pkey"


async def test_an_invitation_is_paid_only_once_it_has_come_to_life(database: Database) -> None:
    await script(database, INVITE + "(3, 1, now())")
    assert (await refusal(database, "UPDATE referrals SET paid = true")).constraint == "referrals_paid_check"


EVENT = "INSERT INTO viral_events (tier, activations, event_bp, started_at, ends_at) VALUES "


async def test_viral_events_never_overlap(database: Database) -> None:
    await script(database, EVENT + "(1, 100, 1000, '2026-01-01 10:00Z', '2026-01-01 10:30Z')")
    for overlapping in ("'2026-01-01 10:29Z', '2026-01-01 11:00Z'", "'2026-01-01 09:40Z', '2026-01-01 10:40Z'"):
        refused = await refusal(database, EVENT + f"(2, 200, 2000, {overlapping})")
        assert refused.constraint == "viral_events_never_stack"
    await script(database, EVENT + "(2, 200, 2000, '2026-01-01 10:30Z', '2026-01-01 11:30Z')")


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ("(2, 199, 2000, '2026-01-01 10:00Z', '2026-01-01 11:00Z')", "viral_events_activations_check"),
        ("(6, 9999, 6000, '2026-01-01 10:00Z', '2026-01-01 11:00Z')", "viral_events_tier_check"),
        ("(1, 100, 5000, '2026-01-01 10:00Z', '2026-01-01 11:00Z')", "viral_events_event_bp_check"),
        ("(1, 100, 1000, '2026-01-01 10:00Z', '2026-01-01 11:01Z')", "viral_events_ends_check"),
        ("(1, 100, 1000, '2026-01-01 10:00Z', '2026-01-01 10:00Z')", "viral_events_ends_check"),
    ],
)
async def test_viral_events_are_what_their_tier_says(database: Database, row: str, constraint: str) -> None:
    assert (await refusal(database, EVENT + row)).constraint == constraint


# ---- sharing, bonds, friends


async def test_a_share_is_rewarded_once_a_day(database: Database) -> None:
    share = "INSERT INTO social_shares VALUES (1, '{}', '2026-01-01', 100000, '2026-01-01 {}Z')"
    await script(database, share.format("x", "00:00"))
    refused = await refusal(database, share.format("x", "23:59"))
    assert isinstance(refused, Duplicate)
    assert refused.constraint == "social_shares_pkey"
    await script(database, share.format("tiktok", "23:59"))
    tomorrow = "INSERT INTO social_shares VALUES (1, 'x', '2026-01-02', 100000, '2026-01-01 23:59Z')"
    assert (await refusal(database, tomorrow)).constraint == "social_shares_day_check"


@pytest.mark.parametrize("bond", [-1, 10_001])
async def test_a_bond_has_its_range(database: Database, bond: int) -> None:
    insert = f"INSERT INTO emotional_investments VALUES (1, 'character', 'mara', {bond}, '2026-01-01')"
    assert (await refusal(database, insert)).constraint == "emotional_investments_bond_check"


@pytest.mark.parametrize(
    ("pair", "constraint"),
    [
        ("2, 2, 'requested', 2", "friendships_order_check"),
        ("2, 1, 'requested', 2", "friendships_order_check"),
        ("2, 3, 'blocked', 4", "friendships_acted_by_check"),
        ("1, 2, 'requested', 2", "friendships_pkey"),
    ],
)
async def test_a_pair_of_friends_is_one_row(database: Database, pair: str, constraint: str) -> None:
    await script(database, "INSERT INTO friendships VALUES (1, 2, 'accepted', 1, now())")
    assert (await refusal(database, f"INSERT INTO friendships VALUES ({pair}, now())")).constraint == constraint


# ---- communities


async def test_a_second_owner(database: Database) -> None:
    await script(database, COMMUNITY + "INSERT INTO community_members VALUES (1, 2, 'officer', DEFAULT, 0, 0, now())")
    for change in (
        "UPDATE community_members SET role = 'owner' WHERE player_id = 2",
        "INSERT INTO community_members VALUES (1, 3, 'owner', 'active', 0, 0, now())",
    ):
        assert (await refusal(database, change)).constraint == "community_members_owner_key"
    await script(
        database,
        "UPDATE community_members SET role = 'member' WHERE player_id = 1;"
        "UPDATE community_members SET role = 'owner' WHERE player_id = 2;",
    )


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("communities_owner_check", "INSERT INTO communities (name) VALUES ('Nobody''s')"),
        ("communities_owner_check", "UPDATE communities SET closed_at = NULL WHERE id = 2"),
        ("community_members_owner_check", "UPDATE community_members SET role = 'officer' WHERE role = 'owner'"),
        ("community_members_owner_check", "DELETE FROM community_members WHERE role = 'owner'"),
        (
            "community_members_owner_check",
            "UPDATE community_members SET role = 'member', state = 'left', left_at = now() WHERE role = 'owner'",
        ),
        ("community_members_owner_check", "UPDATE community_members SET community_id = 2 WHERE role = 'owner'"),
        ("community_members_owner_check", "UPDATE community_members SET player_id = 3, role = 'member'"),
    ],
)
async def test_a_community_without_an_owner(database: Database, trigger: str, change: str) -> None:
    await script(database, COMMUNITY)
    await script(database, "INSERT INTO communities (name, closed_at) VALUES ('Long gone', now())")
    assert (await refusal_by_trigger(database, trigger, change)).constraint == "communities_owner_check"
    assert await rows(database, "SELECT player_id FROM community_members WHERE role = 'owner'") == [(1,)]


async def test_an_owner_may_leave_with_the_community_closed(database: Database) -> None:
    await script(database, COMMUNITY)
    await script(database, "UPDATE communities SET closed_at = now(); DELETE FROM community_members")
    assert await rows(database, "SELECT member_count FROM communities") == [(0,)]


async def test_the_ten_thousand_and_first_member(database: Database) -> None:
    await script(database, COMMUNITY)
    await people(database, 9_996)
    join = (
        "INSERT INTO community_members (community_id, player_id, joined_at) SELECT 1, id, now() FROM players WHERE id"
    )
    await script(database, f"{join} BETWEEN 2 AND 10000")
    assert await rows(database, "SELECT member_count FROM communities") == [(10_000,)]
    refused = await refusal_by_trigger(database, "community_members_count_arrived", f"{join} = 10001")
    assert refused.constraint == "communities_member_count_check"
    waiting = (
        "INSERT INTO community_members (community_id, player_id, state, joined_at) VALUES (1, 10001, 'applied', now())"
    )
    await script(database, waiting)
    accept = "UPDATE community_members SET state = 'active' WHERE player_id = 10001"
    refused = await refusal_by_trigger(database, "community_members_count_moved", accept)
    assert refused.constraint == "communities_member_count_check"


async def test_members_are_counted_however_they_come_and_go(database: Database) -> None:
    await script(database, COMMUNITY)
    await script(
        database,
        "INSERT INTO communities (name) VALUES ('The Bells');"
        "INSERT INTO community_members (community_id, player_id, role, joined_at) VALUES (2, 2, 'owner', now()),"
        " (1, 3, 'member', now()), (2, 4, 'member', now());"
        "INSERT INTO community_members (community_id, player_id, state, joined_at) VALUES (1, 5, 'invited', now());",
    )
    count = "SELECT array_agg(member_count ORDER BY id) FROM communities"
    assert await rows(database, count) == [([2, 2],)]
    # community_members_count_moved: one statement, two communities, one in and one out
    await script(
        database,
        "UPDATE community_members SET state = CASE player_id WHEN 4 THEN 'left' ELSE 'active' END::membership_state,"
        " left_at = CASE player_id WHEN 4 THEN now() END WHERE player_id IN (4, 5)",
    )
    assert await rows(database, count) == [([3, 1],)]
    await script(database, "UPDATE community_members SET community_id = 2 WHERE player_id = 3")
    assert await rows(database, count) == [([2, 2],)]
    await script(database, "DELETE FROM community_members WHERE player_id IN (3, 4)")  # community_members_count_gone
    assert await rows(database, count) == [([2, 1],)]
    assert await reconciliation(database) == []
    await script(database, "UPDATE communities SET member_count = 9 WHERE id = 2")
    assert await reconciliation(database) == [("community 2", "1", "9")]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        (
            "INSERT INTO community_members VALUES (2, 1, 'member', 'active', 0, 0, now())",
            "community_members_active_key",
        ),
        (
            "INSERT INTO community_members VALUES (1, 3, 'officer', 'applied', 0, 0, now())",
            "community_members_role_check",
        ),
        ("INSERT INTO community_members VALUES (1, 3, 'member', 'left', 0, 0, now())", "community_members_state_check"),
        ("UPDATE community_members SET contributed_taps = -1", "community_members_contributed_check"),
        ("UPDATE communities SET treasury_mpt = -1", "communities_treasury_check"),
        ("UPDATE communities SET name = 'THE LAMPS' WHERE id = 2", "communities_name_key"),
        ("UPDATE communities SET name = ' x '", "communities_name_check"),
        ("DELETE FROM communities WHERE id = 1", "community_members_community_id_fkey"),
    ],
)
async def test_memberships_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    await script(database, COMMUNITY)
    await script(
        database,
        "INSERT INTO communities (name) VALUES ('The Bells');"
        "INSERT INTO community_members (community_id, player_id, role, joined_at) VALUES (2, 2, 'owner', now());",
    )
    assert (await refusal(database, change)).constraint == constraint


async def test_the_name_of_a_closed_community_is_free(database: Database) -> None:
    await script(database, COMMUNITY)
    await script(database, "UPDATE communities SET closed_at = now(); DELETE FROM community_members")
    await script(database, COMMUNITY.replace("The Lamps", "the lamps").replace("(1, 1,", "(2, 1,"))


# ---- chat

SAY = "INSERT INTO chat_messages (channel, seq, player_id, body, sent_at) VALUES "


@pytest.mark.parametrize(
    "messages",
    [
        "('global', 4, 1, 'hello', now())",
        "('global', 1, 1, 'hello', now())",
        "('global', 3, 1, 'hello', now()), ('global', 5, 1, 'hello', now())",
        "('global', 3, 1, 'hello', now()), ('generation:2', 2, 1, 'hello', now())",
        "('generation:2', 2, 1, 'hello', now())",
    ],
    ids=["one left out", "one pruned", "a hole", "another channel too", "another channel"],
)
async def test_gaps_in_chat_numbers(database: Database, messages: str) -> None:
    await script(database, SAY + "('global', 1, 1, 'one', now()), ('global', 2, 2, 'two', now())")
    await script(
        database, "DELETE FROM chat_messages WHERE seq = 1; INSERT INTO chat_channels VALUES ('generation:2', 0)"
    )
    refused = await refusal_by_trigger(database, "chat_messages_gapless", SAY + messages)
    assert refused.constraint == "chat_messages_gapless_check"
    assert await rows(database, "SELECT last_seq FROM chat_channels ORDER BY channel DESC") == [(2,), (0,)]


@pytest.mark.parametrize("change", ["seq = 5 WHERE seq = 2", "channel = 'generation:2'"])
async def test_messages_keep_their_numbers(database: Database, change: str) -> None:
    await script(database, SAY + "('global', 1, 1, 'one', now()), ('global', 2, 2, 'two', now())")
    await script(database, "INSERT INTO chat_channels VALUES ('generation:2', 0)")
    refused = await refusal_by_trigger(database, "chat_messages_numbered", f"UPDATE chat_messages SET {change}")
    assert "append-only" in str(refused)
    await script(database, "UPDATE chat_messages SET body = '(removed)', removed_at = now()")


async def test_a_number_is_used_once(database: Database) -> None:
    await script(database, SAY + "('global', 1, 1, 'one', now())")
    refused = await refusal(database, SAY + "('global', 1, 2, 'other', now())")
    assert isinstance(refused, Duplicate)
    assert refused.constraint == "chat_messages_pkey"


async def test_a_channel_that_lost_count_is_found(database: Database) -> None:
    await script(database, SAY + "('global', 1, 1, 'one', now())")
    await script(database, "UPDATE chat_channels SET last_seq = 7")
    assert await reconciliation(database) == [("channel global", "1", "7")]
