"""Which system of the game each table belongs to, in the order in which people should meet them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class System:
    """A part of the game and its tables."""

    name: str
    tables: tuple[str, ...]  #: what is central first
    column: int  #: of the overview picture; foreign keys stay within a column


HUB: Final = "players"  #: what most foreign keys point to

SYSTEMS: Final[Sequence[System]] = (
    System(
        "Core player",
        (
            *(HUB, "generations", "player_influence", "achievements", "player_achievements", "badges"),
            *("player_badges", "titles", "player_titles", "player_daily_limits", "player_settings"),
        ),
        0,
    ),
    System(
        "Story",
        ("story_chapters", "story_scenes", "story_choices", "player_chapter_progress", "player_story_choices"),
        0,
    ),
    System("Missions", ("missions", "player_missions"), 2),
    System("Mini-games", ("mini_games", "mini_game_sessions"), 2),
    System(
        "Communities",
        (
            *("communities", "community_members", "community_upgrade_types", "community_upgrades"),
            "community_daily_power",
        ),
        1,
    ),
    System("Viral", ("referrals", "viral_events", "viral_event_participants"), 0),
    System("Leaderboards", ("leaderboards", "leaderboard_entries", "late_scores"), 1),
    System("Economy", ("token_transactions", "ledger_keys", "economy_state", "player_grants"), 2),
    System("Endless", ("competitions", "player_competitions", "daily_habits", "player_habit_progress"), 1),
    System(
        "Social",
        (
            *("social_shares", "emotional_investments", "friendships", "chat_channels", "chat_messages"),
            *("notifications", "notification_outbox"),
        ),
        2,
    ),
    System("Sessions", ("player_sessions", "game_sessions", "devices"), 3),
    System("Analytics", ("player_daily_stats", "impact_metrics", "analytics_events"), 1),
    System(
        "Security",
        (
            *("security_logs", "rate_limit_logs", "player_signals", "suspicion_cases", "account_recovery"),
            *("recovery_passphrases", "account_moves", "account_throttles", "admin_audit_log"),
        ),
        3,
    ),
    System(
        "Running the server",
        (
            *("nodes", "operation_cursors", "operation_results", "write_batches", "write_dead_letters"),
            *("schedules", "content_versions"),
        ),
        3,
    ),
)


def system_of(table: str) -> System:
    """The system of a table; a default partition belongs where its table does.

    Raises:
        LookupError: no system has it; give it a place in `SYSTEMS`.
    """
    name = table.removesuffix("_default")
    for system in SYSTEMS:
        if name in system.tables:
            return system
    raise LookupError(f"the table {name} belongs to no system; give it a place in persistence/schema_systems.py")
