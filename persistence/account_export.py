"""Everything personal that the database holds about a player, section by section; and its erasure.

`EXPORTS` says what is handed out, `LEFT_OUT` what is not, and why; a test looks for tables about players that are in
neither. A section is a table with all its columns but those named here, so that a column that comes later is handed out
without anybody having to think of it; what a hash is made of never is. Others are named by their public ids, and what
tells what *they* did or how we look for cheats is not told.

A section is read page by page, each page in a transaction of its own: memory is bounded, and no snapshot is held open
while a slow reader reads.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from persistence.caller import Caller, player_of
from persistence.postgres import Connection, Database

PAGE_ROWS = 500


@dataclass(frozen=True, slots=True)
class Export:
    """A section.

    Args:
        table: where it is from.
        keys: columns that put its rows of one player into one order.
        without: columns that are not handed out, beside `player_id`.
        words: by name, SQL that says in words what an id that is not handed out refers to; `t` is the row.
        whose: which rows are the player's, whose id is $1.
    """

    table: str
    keys: tuple[str, ...]
    without: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    whose: str = "t.player_id = $1"

    @property
    def sql(self) -> str:
        """A page: each row as JSON, and what the next page begins after. $2 is that, $3 how many rows."""
        keys = ", ".join(f"t.{key}" for key in self.keys)
        last = ", ".join(f"r.{key}" for key in self.keys)
        after = ", ".join(f"'{key}', t.{key}" for key in self.keys)
        words = ", ".join(f"'{name}', {expression}" for name, expression in self.words.items())
        hidden = ", ".join(f"'{column}'" for column in ("player_id", *self.without))
        return f"""
            SELECT (to_jsonb(t) - ARRAY[{hidden}] || jsonb_build_object({words}))::text,
                jsonb_build_object({after})::text
            FROM {self.table} AS t
            WHERE {self.whose} AND ($2::text IS NULL OR ({keys}) > (
                SELECT {last} FROM jsonb_populate_record(NULL::{self.table}, $2::text::jsonb) AS r
            ))
            ORDER BY {keys} LIMIT $3
        """  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class Section:
    """A page of a section; one that is long has several pages, one after the other."""

    name: str
    rows: Sequence[str]  #: JSON objects


def _key(table: str, column: str, what: str = "key") -> str:
    return f"(SELECT c.{what} FROM {table} AS c WHERE c.id = t.{column})"  # noqa: S608 - constants of this module


def _board(what: str) -> str:
    return _key("leaderboards", "leaderboard_id", what)


#: In this order. How a section is made belongs to the format that its reader knows (`personal_data.SCHEMA`).
EXPORTS: Final[Mapping[str, Export]] = MappingProxyType(
    {
        "profile": Export(
            "players", ("id",), ("id", "owner_epoch", "owner_node", "shadow_limited_at"), whose="t.id = $1"
        ),
        "settings": Export("player_settings", ("player_id",)),
        "influence": Export("player_influence", ("player_id",)),
        "devices": Export("devices", ("id",)),
        "logins": Export(
            "player_sessions",
            ("created_at", "id"),
            ("refresh_hash", "previous_hashes", "device_id"),
            {"device": _key("devices", "device_id", "device")},
        ),
        "play": Export("game_sessions", ("id",), ("device_id",), {"device": _key("devices", "device_id", "device")}),
        "daily_stats": Export("player_daily_stats", ("day",)),
        "daily_limits": Export("player_daily_limits", ("player_id",)),
        "metrics": Export("impact_metrics", ("day", "metric")),
        "analytics": Export("analytics_events", ("at", "id")),
        "ledger": Export("token_transactions", ("transaction_id",)),
        "grants": Export("player_grants", ("id",), ("key",)),
        "missions": Export(
            "player_missions",
            ("period", "period_start", "slot"),
            ("mission_id",),
            {"mission": _key("missions", "mission_id")},
        ),
        "habits": Export(
            "player_habit_progress", ("day", "habit_id"), ("habit_id",), {"habit": _key("daily_habits", "habit_id")}
        ),
        "mini_games": Export(
            "mini_game_sessions",
            ("started_at", "id"),
            ("mini_game_id", "seed"),
            {"mini_game": _key("mini_games", "mini_game_id")},
        ),
        "chapters": Export(
            "player_chapter_progress",
            ("chapter_id",),
            ("chapter_id", "scene_id"),
            {"chapter": _key("story_chapters", "chapter_id"), "scene": _key("story_scenes", "scene_id")},
        ),
        "story_choices": Export("player_story_choices", ("choice_id",)),
        "bonds": Export("emotional_investments", ("target_kind", "target")),
        "achievements": Export(
            "player_achievements",
            ("achievement_id",),
            ("achievement_id",),
            {"achievement": _key("achievements", "achievement_id")},
        ),
        "badges": Export("player_badges", ("badge_id",), ("badge_id",), {"badge": _key("badges", "badge_id")}),
        "titles": Export("player_titles", ("title_id",), ("title_id",), {"title": _key("titles", "title_id")}),
        "communities": Export(
            "community_members",
            ("community_id",),
            ("community_id",),
            {
                "community": _key("communities", "community_id", "public_id"),
                "name": _key("communities", "community_id", "name"),
            },
        ),
        "friendships": Export(
            "friendships",
            ("low_id", "high_id"),
            ("low_id", "high_id", "acted_by"),
            {
                "other": "(SELECT o.public_id FROM players AS o WHERE o.id = t.low_id + t.high_id - $1)",
                "acted": "t.acted_by = $1",
            },
            # whom one has blocked, not by whom one was
            "$1 IN (t.low_id, t.high_id) AND (t.state <> 'blocked' OR t.acted_by = $1)",
        ),
        "invited_by": Export(
            "referrals", ("player_id",), ("inviter_id",), {"inviter": _key("players", "inviter_id", "public_id")}
        ),
        "invited": Export(
            "referrals",
            ("player_id",),
            ("inviter_id",),
            {"invited": _key("players", "player_id", "public_id")},
            "t.inviter_id = $1",
        ),
        "viral_events": Export("viral_event_participants", ("viral_event_id",)),
        "chat_messages": Export("chat_messages", ("channel", "seq")),
        "shares": Export("social_shares", ("platform", "day")),
        "notifications": Export("notifications", ("id",)),
        "competitions": Export(
            "player_competitions",
            ("competition_id",),
            ("competition_id",),
            {
                "competition": _key("competitions", "competition_id", "public_id"),
                "title": _key("competitions", "competition_id", "title"),
            },
        ),
        "boards": Export(
            "leaderboard_entries",
            ("leaderboard_id",),
            ("leaderboard_id", "community_id"),
            {"board": _board("board"), "period": _board("period"), "period_start": _board("period_start")},
        ),
        "late_scores": Export("late_scores", ("id",)),
        # how we look for cheats stays ours, as long as there are any
        "security_log": Export(
            "security_logs",
            ("at", "id"),
            ("id", "score"),
            whose="t.player_id = $1 AND t.event NOT IN ('suspicion', 'shadow_limited', 'shadow_limit_lifted')",
        ),
        "rate_limits": Export("rate_limit_logs", ("at", "id"), ("id",)),
        "recovery_codes": Export("account_recovery", ("id",), ("id", "code_hash")),
        "recovery_passphrase": Export("recovery_passphrases", ("player_id",), ("hash",)),
        "moves": Export("account_moves", ("id",), ("id", "code_hash", "telegram_id")),
    }
)

#: Tables about players that are not handed out, and why.
LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "admin_audit_log": "what operators did; what came of it for the player is in the security log",
        "operation_cursors": "how far a client's queue is committed, under a random number; nothing about a person",
        "operation_results": "answers as they were sent, kept for repeats; what they say is in the ledger",
        "player_signals": "how we look for cheats: by these counters a machine could learn to look like a person",
        "suspicion_cases": "how we look for cheats, and what an operator has made of it",
        "write_dead_letters": "figures that could not be written, of several players at once; for an operator to judge",
    }
)


class ExportStore:
    """Personal data in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away; those that are given a caller raise
    `LoginEnded` where it is logged in no more.

    Args:
        database: where.
        page_rows: how much is held in memory at once.
    """

    def __init__(self, database: Database, *, page_rows: int = PAGE_ROWS) -> None:
        self._database = database
        self._page_rows = page_rows

    async def player_of(self, caller: Caller) -> int:
        """Whose data the caller may have."""
        return await self._database.transaction(player_of, caller)

    async def pages(self, player_id: int, now_ms: int) -> AsyncIterator[Section]:
        """All sections of a player, each with at least one page; the export is noted in the security log.

        Args:
            player_id: from `player_of`.
            now_ms: the present.
        """
        await self._database.transaction(_note, player_id, now_ms)
        for name, export in EXPORTS.items():
            after: str | None = None
            while True:
                rows, after = await self._database.transaction(_page, export.sql, player_id, after, self._page_rows)
                yield Section(name, rows)
                if len(rows) < self._page_rows:
                    break

    async def erase(self, caller: Caller, display_name: str, now_ms: int) -> bool:
        """Erase the caller; False: this is not the caller's display name, and nothing was done."""
        return await self._database.transaction(_erase, caller, display_name, now_ms)


async def _note(connection: Connection, player_id: int, now_ms: int) -> None:
    sql = "INSERT INTO security_logs (at, event, player_id) VALUES (time_from_ms($1), 'account_exported', $2)"
    await connection.execute(sql, now_ms, player_id)


async def _page(
    connection: Connection, sql: str, player_id: int, after: str | None, rows: int
) -> tuple[list[str], str | None]:
    found = await connection.fetch(sql, player_id, after, rows)
    return [row for row, _ in found], found[-1][1] if found else None


async def _erase(connection: Connection, caller: Caller, display_name: str, now_ms: int) -> bool:
    player_id = await player_of(connection, caller, to_change=True)
    if await connection.fetchval("SELECT display_name FROM players WHERE id = $1", player_id) != display_name:
        return False
    await connection.fetchval("SELECT erase_account($1, time_from_ms($2), 'player')", caller.player, now_ms)
    return True
