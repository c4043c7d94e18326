"""Who uses each trigger, view and function of the schema: a thing that nobody needs is a defect, not a feature.

One table, `USES`: docs/database.md shows it, and a test checks every claim (tests/integration/persistence/
test_schema_uses.py). A trigger's function is used where the trigger is, and stands in no row of its own.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class User(enum.Enum):
    """What kind of user something has."""

    SERVER = "server"  #: a module that the running server imports names it in its SQL
    COMMAND = "command line"  #: a module that only a command imports does
    SCHEMA = "schema"  #: another function, a view or a column's default calls it
    INVARIANT = "invariant"  #: it guards something that a test tries to break


@dataclass(frozen=True, slots=True)
class Use:
    """A use of something.

    Args:
        user: its kind.
        where: the module, the calling function, view or table, or the test.
        word: what stands there, if that is not the name of the thing itself: the channel a trigger notifies.
    """

    user: User
    where: str
    word: str = ""


def _server(module: str, word: str = "") -> Use:
    return Use(User.SERVER, module, word)


def _command(module: str) -> Use:
    return Use(User.COMMAND, module)


def _within(caller: str) -> Use:
    return Use(User.SCHEMA, caller)


def _against(test: str) -> Use:
    return Use(User.INVARIANT, test)


_SCHEDULE: Final = _server("persistence.schedule_store")
_REPORTS: Final = _command("persistence.operator_store")

#: By the name of the trigger, view or function.
USES: Final[Mapping[str, Use]] = MappingProxyType(
    {
        # triggers
        "admin_audit_log_append_only": _against("test_the_audit_log_is_append_only"),
        "admin_audit_log_chain": _against("test_the_writer_of_the_audit_log_chooses_neither_number_nor_time_nor_hash"),
        "admin_audit_log_no_truncate": _against("test_the_audit_log_is_append_only"),
        "chat_messages_gapless": _against("test_gaps_in_chat_numbers"),
        "chat_messages_numbered": _against("test_messages_keep_their_numbers"),
        "communities_owner_check": _against("test_a_community_without_an_owner"),
        "communities_updated_at": _against("test_nobody_else_says_when_a_row_was_changed"),
        "community_members_count_arrived": _against("test_the_ten_thousand_and_first_member"),
        "community_members_count_gone": _against("test_members_are_counted_however_they_come_and_go"),
        "community_members_count_moved": _against("test_the_ten_thousand_and_first_member"),
        "community_members_owner_check": _against("test_a_community_without_an_owner"),
        "competitions_state_machine": _against("test_no_step_of_a_competition_is_skipped_or_taken_back"),
        "competitions_updated_at": _against("test_nobody_else_says_when_a_row_was_changed"),
        "content_versions_notify": _against("test_a_change_wakes_who_listens_and_a_statement_wakes_once"),
        "generations_opened": _against("test_the_threshold_of_an_opened_generation_never_changes"),
        "leaderboard_entries_frozen_delete": _against("test_the_entries_of_a_frozen_board"),
        "leaderboard_entries_frozen_insert": _against("test_the_entries_of_a_frozen_board"),
        "leaderboard_entries_frozen_move": _against("test_entries_moved_into_a_frozen_board"),
        "leaderboard_entries_frozen_update": _against("test_the_entries_of_a_frozen_board"),
        "leaderboards_frozen": _against("test_a_frozen_board_stays"),
        "ledger_keys_append_only": _against("test_the_ledger_is_append_only"),
        "ledger_keys_no_truncate": _against("test_the_ledger_is_append_only_in_more_than_one_way"),
        "player_competitions_frozen": _against("test_the_entries_of_a_competition_that_is_over"),
        "player_grants_notify": _server("gameserver.listening", "player_grants"),
        "player_sessions_deleted": _server("persistence.barred_store", "barred"),
        "player_sessions_revoked": _server("persistence.barred_store", "barred"),
        "player_sessions_updated_at": _against("test_nobody_else_says_when_a_row_was_changed"),
        "players_banned": _server("persistence.barred_store", "barred"),
        "players_erased": _against("test_whoever_marks_a_player_as_erased_erases_the_traces_too"),
        "players_erased_choices": _against("test_whoever_marks_a_player_as_erased_erases_the_choices_too"),
        "players_erased_suspicion": _against("test_whoever_marks_a_player_as_erased_erases_the_suspicion_too"),
        "players_moved": _against("test_a_recovered_player_takes_no_move_along"),
        "players_stay_erased": _against("test_erased_stays_erased"),
        "referrals_write_once": _against("test_the_tree_is_written_once_and_totals_only_grow"),
        "token_transactions_append_only": _against("test_the_ledger_is_append_only"),
        "token_transactions_default_no_truncate": _against("test_the_ledger_is_append_only"),
        "token_transactions_no_truncate": _against("test_the_ledger_is_append_only_in_more_than_one_way"),
        "write_batches_ledger_check": _against("test_a_batch_whose_ledger_disagrees_is_refused_at_commit"),
        # views
        "community_ranking": _REPORTS,
        "competition_standings": _REPORTS,
        "current_standings": _REPORTS,
        "economy_overview": _REPORTS,
        "ledger_reconciliation": _REPORTS,
        "mission_funnel": _REPORTS,
        "player_profiles": _REPORTS,
        "query_statistics": _REPORTS,
        "retention_cohorts": _REPORTS,
        "suspicious_players": _REPORTS,
        # functions
        "activate_referrals": _SCHEDULE,
        "advance_competitions": _SCHEDULE,
        "audit_hash": _within("audit_problems"),
        "audit_problems": _within("reconcile"),
        "board_scores": _within("snapshot_leaderboard"),
        "claim_players": _server("persistence.player_store"),
        "close_leaderboard_period": _SCHEDULE,
        "company_scores": _within("suspect_company"),
        "complete_moves": _SCHEDULE,
        "competition_settlement": _within("settle_competition"),
        "create_ledger_partitions": _against("test_partitions_ahead_and_months_that_began_without_one"),
        "create_partitions": _within("maintain_partitions"),
        "drop_partitions": _within("prune"),
        "due_activations": _within("activate_referrals"),
        "erase_account": _server("persistence.account_export"),
        "expire_missions": _SCHEDULE,
        "flushed_past": _SCHEDULE,
        "fold_write_batches": _server("persistence.economy_store"),
        "generation_of_next": _server("persistence.registration"),
        "is_shown": _within("board_scores"),
        "isqrt": _within("level_of"),
        "judge_suspicion": _command("persistence.account_changes"),
        "level_of": _within("recompute_influence"),
        "maintain_partitions": _SCHEDULE,
        "migrate_account": _server("persistence.recovery_store"),
        "ms_from_time": _server("persistence.player_columns"),
        "next_generation_capacity": _within("generation_of_next"),
        "partition_key": _within("drop_partitions"),
        "pay_pool": _SCHEDULE,
        "period_end": _within("board_scores"),
        "pool_of": _within("pay_pool"),
        "pool_shares": _within("pay_pool"),
        "prune": _SCHEDULE,
        "prune_accounts": _SCHEDULE,
        "query_statistics_rows": _within("query_statistics"),
        "random_referral_code": _within("players"),
        "recompute_influence": _SCHEDULE,
        "reconcile": _command("persistence.operator_store"),
        "redeem_recovery_code": _server("persistence.recovery_store"),
        "roll_up_day": _SCHEDULE,
        "rotate_refresh_token": _server("persistence.account_store"),
        "set_ban": _command("persistence.account_changes"),
        "settle_competition": _within("advance_competitions"),
        "snapshot_leaderboard": _within("snapshot_leaderboards"),
        "snapshot_leaderboards": _SCHEDULE,
        "story_problems": _server("persistence.seed.content"),
        "suspect": _server("persistence.suspicion_store"),
        "suspect_company": _SCHEDULE,
        "suspicion_limit": _within("suspect_company"),
        "time_from_ms": _server("persistence.account_store"),
    }
)
