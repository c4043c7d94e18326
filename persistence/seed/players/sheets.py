"""Rows on their way to COPY, in PostgreSQL's text format: a line each, tabs between the columns.

Lines are put together where they arise and kept as blocks of bytes: a row costs its text and no objects. All text in
them is ours or checked by `plain`, so nothing needs escaping.
"""

NULL = r"\N"
_LINES_A_BLOCK = 2_000

#: What is written, in an order in which every row finds what it refers to.
COLUMNS = {
    "players": "id, public_id, telegram_id, dev_name, display_name, premium, join_seq, generation, created_at,"
    " updated_at, balance_mpt, unposted_mpt, lifetime_mpt, xp, taps, tap_level, energy_cap_level,"
    " energy_regen_level, offline_level, energy_ue, energy_at, bucket_mt, bucket_at, last_tap_at, tap_carry,"
    " raw_day, raw_today_mpt, streak_days, last_seen_at, referral_code",
    "write_batches": "node_run, batch, minted_mpt, burned_mpt, committed_at",
    "ledger_keys": "key, transaction_id, node_run, batch",
    "token_transactions": "transaction_id, posted_at, account, player_id, kind, amount_mpt, balance_after_mpt",
    "player_grants": "id, player_id, key, kind, amount_mpt, created_at, applied_at",
    "referrals": "player_id, inviter_id, premium, joined_at, activated_at, paid, first_due_mpt, first_carry,"
    " second_due_mpt, second_carry",
    "viral_events": "id, tier, activations, event_bp, started_at, ends_at",
    "viral_event_participants": "viral_event_id, player_id, activations",
    "player_daily_stats": "player_id, day, taps, earned_mpt, spent_mpt, xp, best_combo, sessions, play_s, reached_at",
    "devices": "id, player_id, device, client, address, first_seen_at, last_seen_at",
    "game_sessions": "id, player_id, device_id, started_at, ended_at, taps, refused_taps, earned_mpt, best_combo",
    "player_missions": "player_id, period, period_start, slot, mission_id, state, target, progress, reward_mpt,"
    " reward_xp, created_at, completed_at, claimed_at",
    "player_habit_progress": "player_id, day, habit_id, streak_day, reward_mpt, done_at",
    "mini_game_sessions": "id, player_id, mini_game_id, state, seed, started_at, expires_at, finished_at, duration_ms,"
    " score, reward_mpt",
    "player_achievements": "player_id, achievement_id, unlocked_at",
    "player_badges": "player_id, badge_id, earned_at",
    "player_titles": "player_id, title_id, acquired_at, worn",
    "player_chapter_progress": "player_id, chapter_id, scene_id, started_at, completed_at",
    "player_story_choices": "player_id, choice_id, chosen_at",
    "emotional_investments": "player_id, target_kind, target, bond, seen_day",
    "social_shares": "player_id, platform, day, reward_mpt, shared_at",
    "friendships": "low_id, high_id, state, acted_by, changed_at",
    "chat_messages": "channel, seq, player_id, body, sent_at",
    "competitions": "id, public_id, title, state, entry_fee_mpt, bonus_mpt, min_level, opens_at, starts_at, ends_at,"
    " created_at, updated_at",
    "player_competitions": "competition_id, player_id, fee_mpt, score, entered_at, reached_at, place, prize_mpt,"
    " refund_mpt",
    "notifications": "id, player_id, key, kind, body, created_at, expires_at, read_at",
    "notification_outbox": "notification_id, state, attempts, next_try_at, done_at",
    "analytics_events": "id, at, name, player_id, properties",
    "security_logs": "id, at, event, severity, player_id, score, detail",
    "suspicion_cases": "player_id, state, taps_score, taps_signs, opened_at, changed_at, reviewed_at",
    "communities": "id, public_id, name, description, joining, power, treasury_mpt, created_at, updated_at",
    "community_members": "community_id, player_id, role, state, contributed_taps, donated_mpt, joined_at, left_at",
    "community_upgrades": "community_id, upgrade_type_id, level, spent_mpt, bought_at",
    "community_daily_power": "community_id, day, power",
}


class Sheet:
    """The rows of one table."""

    __slots__ = ("_blocks", "_lines", "rows")

    def __init__(self) -> None:
        self.rows = 0  #: ever added
        self._blocks: list[bytes] = []
        self._lines: list[str] = []

    def add(self, line: str, rows: int = 1) -> None:
        """One more row: its columns, with tabs between them; or several, with line breaks between them."""
        self._lines.append(line)
        self.rows += rows
        if len(self._lines) == _LINES_A_BLOCK:
            self.close()

    def close(self) -> None:
        """Put the last lines into a block."""
        if self._lines:
            self._lines.append("")
            self._blocks.append("\n".join(self._lines).encode())
            self._lines = []

    def take(self) -> list[bytes]:
        """The blocks that are full, once."""
        blocks, self._blocks = self._blocks, []
        return blocks


class Sheets:
    """A sheet for every table of `COLUMNS`."""

    def __init__(self) -> None:
        self._sheets = {table: Sheet() for table in COLUMNS}

    def __getitem__(self, table: str) -> Sheet:
        return self._sheets[table]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {table: sheet.rows for table, sheet in self._sheets.items()}

    def close(self) -> None:
        """Close every sheet."""
        for sheet in self._sheets.values():
            sheet.close()


def plain(text: str) -> str:
    """Text from outside, as it stands in a line of COPY."""
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
