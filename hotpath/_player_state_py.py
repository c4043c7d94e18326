"""What a tap changes, readable: the specification of `hotpath.player_state`.

A `PlayerState` is one player's numbers, a `World` what all players of a node share in a tap, a `Cursor` how far one
lineage of operations has come. No object here refers to another, so none can be part of a cycle.

Domain: the constructor accepts only ints in `FIELD_RANGES`, every method leaves every field there, and the twins are
equal for all such states, 0 ≤ `claimed` < 2⁶³ and 0 ≤ `now_ms` ≤ `MAX_TIME_MS`. int64 is enough for all of it: at most
900 taps count at once (the bucket), so one batch earns less than 1.3·10⁸ mPT by a dividend below 1.3·10¹⁶, and every
sum is of values below 9·10¹⁵. What grows without end is clamped, far beyond what a player can reach: money at
`MAX_MONEY_MPT`, XP and taps at `MAX_COUNT`, the shown combo at `MAX_COMBO`.
"""

from typing import Final

from hotpath._cursor_py import Cursor as Cursor  # noqa: PLC0414 - part of this twin, in a file of its own
from hotpath._rules_py import (
    BOOST_CAP_BP,
    BP,
    BUCKET_FIRST_GAP_S,
    BUCKET_RECONNECT_MAX_TAPS,
    COMBO_PAUSE_MS,
    COMMUNITY_CAP_BP,
    DAY_MS,
    EMISSION_FLOOR_BP,
    INCOME_DIVISOR,
    MAX_COUNT,
    MAX_MONEY_MPT,
    MAX_OFFLINE_LEVEL,
    MAX_TIME_MS,
    MAX_UPGRADE_LEVEL,
    MS_PER_S,
    MT_PER_TAP,
    SHOP_DOUBLE_BP,
    UE_PER_ENERGY,
    boost_bp,
    bucket_mt_at,
    combo_weight,
    energy_cap,
    energy_regen_mps,
    energy_ue_at,
    generation_bonus_bp,
    income,
    level_of,
    level_rewards_mpt,
    multiplier_bp,
    rank_of,
    reconnect_bucket_mt,
    soft_capped_mpt,
    streak_bp,
)

MAX_COMBO: Final = 1_000_000_000  #: two years of tapping without a pause; the bonus is at its top from 500

#: Lowest and highest value of every field; those of `COLUMN_NAMES` first, in that order.
FIELD_RANGES: Final[dict[str, tuple[int, int]]] = {
    "balance_mpt": (0, MAX_MONEY_MPT),
    "unposted_mpt": (0, MAX_MONEY_MPT),
    "lifetime_mpt": (0, MAX_MONEY_MPT),
    "xp": (0, MAX_COUNT),
    "taps": (0, MAX_COUNT),
    "tap_level": (1, MAX_UPGRADE_LEVEL),
    "energy_cap_level": (1, MAX_UPGRADE_LEVEL),
    "energy_regen_level": (1, MAX_UPGRADE_LEVEL),
    "offline_level": (0, MAX_OFFLINE_LEVEL),
    "energy_ue": (0, energy_cap(MAX_UPGRADE_LEVEL) * UE_PER_ENERGY),
    "energy_at_ms": (0, MAX_TIME_MS),
    "bucket_mt": (0, BUCKET_RECONNECT_MAX_TAPS * MT_PER_TAP),
    "bucket_at_ms": (0, MAX_TIME_MS),
    "combo": (0, MAX_COMBO),
    "last_tap_at_ms": (0, MAX_TIME_MS),
    "tap_carry": (0, INCOME_DIVISOR - 1),
    "raw_day": (0, MAX_TIME_MS // DAY_MS),
    "raw_today_mpt": (0, MAX_MONEY_MPT),
    "streak_days": (0, 1_000_000),
    "double_until_ms": (0, MAX_TIME_MS),
    "last_seen_ms": (0, MAX_TIME_MS),
    "generation": (1, 1_000),
    "community_bp": (0, COMMUNITY_CAP_BP),
}

#: What is stored of a player, in the order of `PlayerState.columns()`.
COLUMN_NAMES: Final = tuple(name for name in FIELD_RANGES if name not in ("generation", "community_bp"))

#: The levels that players buy (game.md "Sinks").
UPGRADE_COLUMNS: Final = ("tap_level", "energy_cap_level", "energy_regen_level", "offline_level")


def _checked(name: str, value: object, low: int, high: int) -> int:
    # bool and float are refused, not converted, so that both twins hold the same value.
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


class World:
    """What all players of a node share in a tap; both numbers are set while the server runs.

    Args:
        emission_bp: Em of the present hour, 500 … 10 000.
        event_bp: boost of a viral event, 0 … 30 000.

    Raises:
        ValueError: a value is out of range, here or when it is set; the old value stays.
    """

    __slots__ = ("_emission_bp", "_event_bp")

    def __init__(self, emission_bp: int = BP, event_bp: int = 0) -> None:
        self.emission_bp = emission_bp
        self.event_bp = event_bp

    @property
    def emission_bp(self) -> int:
        """Em of the present hour."""
        return self._emission_bp

    @emission_bp.setter
    def emission_bp(self, value: int) -> None:
        self._emission_bp = _checked("emission_bp", value, EMISSION_FLOOR_BP, BP)

    @property
    def event_bp(self) -> int:
        """Boost of the viral event that runs now, 0 = none."""
        return self._event_bp

    @event_bp.setter
    def event_bp(self, value: int) -> None:
        self._event_bp = _checked("event_bp", value, 0, BOOST_CAP_BP)


class PlayerState:
    """One player's numbers, and what a tap does to them.

    Every field is readable; they change only through the methods. `level` is derived from `xp`. `revision` grows with
    every change: equal revisions of the same object mean equal state, which is what write-behind compares.

    `awaiting_flush` is no part of the state: whoever changes it hands the player to write-behind and sets the flag,
    unless it is set already; whoever takes what is to be written clears it first.

    Other C code may hold a pointer to the object, so a failed turn is undone in place, by `restore`.

    Args:
        generation: assigned at registration, ≥ 1.
        community_bp: boost that the player's community gives, 0 … 1 000.
        others: the columns of `players` of the same names, ranges in `FIELD_RANGES`.

    Raises:
        ValueError: a field is no int or out of its range, or more is unposted than there is; the sentence names it.
    """

    __slots__ = (*COLUMN_NAMES, "generation", "community_bp", "level", "revision", "awaiting_flush")

    def __init__(
        self,
        *,
        balance_mpt: int,
        unposted_mpt: int,
        lifetime_mpt: int,
        xp: int,
        taps: int,
        tap_level: int,
        energy_cap_level: int,
        energy_regen_level: int,
        offline_level: int,
        energy_ue: int,
        energy_at_ms: int,
        bucket_mt: int,
        bucket_at_ms: int,
        combo: int,
        last_tap_at_ms: int,
        tap_carry: int,
        raw_day: int,
        raw_today_mpt: int,
        streak_days: int,
        double_until_ms: int,
        last_seen_ms: int,
        generation: int,
        community_bp: int = 0,
    ) -> None:
        def checked(name: str, value: int) -> int:
            return _checked(name, value, *FIELD_RANGES[name])

        self.balance_mpt = checked("balance_mpt", balance_mpt)
        self.unposted_mpt = checked("unposted_mpt", unposted_mpt)
        self.lifetime_mpt = checked("lifetime_mpt", lifetime_mpt)
        self.xp = checked("xp", xp)
        self.taps = checked("taps", taps)
        self.tap_level = checked("tap_level", tap_level)
        self.energy_cap_level = checked("energy_cap_level", energy_cap_level)
        self.energy_regen_level = checked("energy_regen_level", energy_regen_level)
        self.offline_level = checked("offline_level", offline_level)
        self.energy_ue = checked("energy_ue", energy_ue)
        self.energy_at_ms = checked("energy_at_ms", energy_at_ms)
        self.bucket_mt = checked("bucket_mt", bucket_mt)
        self.bucket_at_ms = checked("bucket_at_ms", bucket_at_ms)
        self.combo = checked("combo", combo)
        self.last_tap_at_ms = checked("last_tap_at_ms", last_tap_at_ms)
        self.tap_carry = checked("tap_carry", tap_carry)
        self.raw_day = checked("raw_day", raw_day)
        self.raw_today_mpt = checked("raw_today_mpt", raw_today_mpt)
        self.streak_days = checked("streak_days", streak_days)
        self.double_until_ms = checked("double_until_ms", double_until_ms)
        self.last_seen_ms = checked("last_seen_ms", last_seen_ms)
        self.generation = checked("generation", generation)
        self.community_bp = checked("community_bp", community_bp)
        if unposted_mpt > balance_mpt:
            raise ValueError(f"unposted_mpt must be at most balance_mpt = {balance_mpt}, not {unposted_mpt}")
        self.level = level_of(xp)
        self.revision = 0
        self.awaiting_flush = False

    @property
    def energy_cap(self) -> int:
        """Whole units of energy that fit."""
        return energy_cap(self.energy_cap_level)

    @property
    def energy_regen_mps(self) -> int:
        """Milli-energy a second that come back."""
        return energy_regen_mps(self.energy_regen_level)

    @property
    def rank(self) -> int:
        """Index into `rules.RANK_NAMES`."""
        return rank_of(self.level)

    def energy(self, now_ms: int) -> int:
        """Whole units of energy at `now_ms`."""
        return self._energy_ue(now_ms) // UE_PER_ENERGY

    def combo_at(self, now_ms: int) -> int:
        """Taps in the present run at `now_ms`; 0 when more than 3 s have passed since the last accepted batch."""
        return self.combo if now_ms - self.last_tap_at_ms <= COMBO_PAUSE_MS else 0

    def multiplier_bp(self, now_ms: int, world: World) -> int:
        """M at `now_ms`: generation, boosts, emission."""
        shop = SHOP_DOUBLE_BP if now_ms < self.double_until_ms else 0
        boost = boost_bp(streak_bp(self.streak_days), world.event_bp, shop, self.community_bp)
        return multiplier_bp(generation_bonus_bp(self.generation), boost, world.emission_bp)

    def apply_taps(self, claimed: int, now_ms: int, world: World) -> int:
        """Apply a batch of taps as game.md "Per tap" says; cannot fail half-way.

        Tap income goes to balance, lifetime and `unposted_mpt`. Rewards of the levels passed go to balance and
        lifetime only: they count as posted, and the caller writes one ledger entry for each level between `level`
        before and after. What is paid stops where the balance would exceed `MAX_MONEY_MPT` (income first, then
        rewards), so the rewards really paid are the growth of balance − unposted.

        A `now_ms` before an earlier one brings nothing back and takes nothing: energy, bucket, last tap and UTC day
        stay where they are.

        Args:
            claimed: taps the client says it made.
            now_ms: server time.
            world: emission and event of this node.

        Returns:
            How many taps counted: min(claimed, bucket, energy). With 0 nothing changes, `revision` neither.
        """
        bucket_mt = bucket_mt_at(self.bucket_mt, self.bucket_at_ms, now_ms)
        energy_ue = self._energy_ue(now_ms)
        accepted = min(claimed, bucket_mt // MT_PER_TAP, energy_ue // UE_PER_ENERGY)
        if accepted <= 0:
            return 0

        combo = self.combo_at(now_ms)
        weight = combo_weight(combo, accepted)
        raw_mpt, tap_carry = income(self.tap_level, weight, self.multiplier_bp(now_ms, world), self.tap_carry)

        day = now_ms // DAY_MS
        raw_day, raw_today_mpt = (day, 0) if day > self.raw_day else (self.raw_day, self.raw_today_mpt)
        room_mpt = MAX_MONEY_MPT - self.balance_mpt
        income_mpt = min(soft_capped_mpt(raw_today_mpt, raw_mpt), room_mpt)

        xp = min(MAX_COUNT, self.xp + accepted)
        level = level_of(xp)
        reward_mpt = min(level_rewards_mpt(self.level, level), room_mpt - income_mpt)

        self.balance_mpt += income_mpt + reward_mpt
        self.unposted_mpt += income_mpt
        self.lifetime_mpt = min(MAX_MONEY_MPT, self.lifetime_mpt + income_mpt + reward_mpt)
        self.xp = xp
        self.level = level
        self.taps = min(MAX_COUNT, self.taps + accepted)
        self.energy_ue = energy_ue - accepted * UE_PER_ENERGY
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        self.bucket_mt = bucket_mt - accepted * MT_PER_TAP
        self.bucket_at_ms = max(self.bucket_at_ms, now_ms)
        self.combo = min(MAX_COMBO, combo + accepted)
        self.last_tap_at_ms = max(self.last_tap_at_ms, now_ms)
        self.tap_carry = tap_carry
        self.raw_day = raw_day
        self.raw_today_mpt = min(MAX_MONEY_MPT, raw_today_mpt + raw_mpt)
        self.revision += 1
        return accepted

    def reopen_bucket(self, now_ms: int) -> None:
        """Make room for the taps of a gap; call once per reconnect or activation (game.md "Rate bucket")."""
        gap_s = max(0, now_ms - self.last_tap_at_ms) // MS_PER_S if self.last_tap_at_ms else BUCKET_FIRST_GAP_S
        self.bucket_mt = reconnect_bucket_mt(bucket_mt_at(self.bucket_mt, self.bucket_at_ms, now_ms), gap_s)
        self.bucket_at_ms = max(self.bucket_at_ms, now_ms)
        self.revision += 1

    def fill_energy(self, now_ms: int) -> None:
        """Energy to its cap."""
        self.energy_ue = self.energy_cap * UE_PER_ENERGY
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        self.revision += 1

    def mark_seen(self, now_ms: int) -> None:
        """Note that a socket of the player is open at `now_ms`."""
        self.last_seen_ms = max(self.last_seen_ms, now_ms)
        self.revision += 1

    def take_unposted(self) -> int:
        """Hand over the tap income gathered so far, in mPT, for one ledger entry; it counts as posted from here on."""
        taken_mpt = self.unposted_mpt
        self.unposted_mpt = 0
        self.revision += 1
        return taken_mpt

    def credit(self, amount_mpt: int, minted: bool) -> int:
        """Add tokens that have a ledger entry of their own; returns those for which `MAX_MONEY_MPT` has room.

        Args:
            amount_mpt: how much, 0 … `MAX_MONEY_MPT`.
            minted: they are new, so they count as earned; else they were somebody's before.
        """
        credited_mpt = min(amount_mpt, MAX_MONEY_MPT - self.balance_mpt)
        if minted:
            credited_mpt = min(credited_mpt, MAX_MONEY_MPT - self.lifetime_mpt)
            self.lifetime_mpt += credited_mpt
        self.balance_mpt += credited_mpt
        self.revision += 1
        return credited_mpt

    def debit(self, amount_mpt: int) -> None:
        """Take tokens away that have a ledger entry of their own.

        Args:
            amount_mpt: how much, 0 … balance − unposted: what is not in the ledger yet cannot be spent.

        Raises:
            ValueError: it is more than that, or negative; nothing has changed.
        """
        if not 0 <= amount_mpt <= self.balance_mpt - self.unposted_mpt:
            raise ValueError(f"{amount_mpt} mPT cannot be taken from {self.balance_mpt - self.unposted_mpt}")
        self.balance_mpt -= amount_mpt
        self.revision += 1

    def upgrade(self, column: str, now_ms: int) -> None:
        """Raise a level by one; energy gathered up to now is by the old levels.

        Args:
            column: one of `UPGRADE_COLUMNS`.
            now_ms: server time.

        Raises:
            ValueError: there is no such column, or its level is the highest; nothing has changed.
        """
        if column not in UPGRADE_COLUMNS:
            raise ValueError(f"{column!r} is no level that is raised")
        if getattr(self, column) >= FIELD_RANGES[column][1]:
            raise ValueError(f"{column} is at its highest")
        self.energy_ue = self._energy_ue(now_ms)
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        setattr(self, column, getattr(self, column) + 1)
        self.revision += 1

    def double_for(self, duration_ms: int, now_ms: int) -> None:
        """Run the ×2 boost for so long, behind what is left of the one that runs (game.md "Boost").

        Args:
            duration_ms: 0 … one day.
            now_ms: server time.
        """
        self.double_until_ms = min(MAX_TIME_MS, max(self.double_until_ms, now_ms) + duration_ms)
        self.revision += 1

    def columns(self) -> tuple[int, ...]:
        """The stored fields, in the order of `COLUMN_NAMES`."""
        return tuple(getattr(self, name) for name in COLUMN_NAMES)

    def snapshot(self) -> "PlayerState":
        """An independent copy, for `restore`."""
        copy = PlayerState.__new__(PlayerState)
        copy.awaiting_flush = False
        copy.restore(self)
        return copy

    def restore(self, snapshot: "PlayerState") -> None:
        """Become equal to `snapshot` in every field, `revision` included, in place; `awaiting_flush` stays."""
        for name in PlayerState.__slots__:
            if name != "awaiting_flush":
                setattr(self, name, getattr(snapshot, name))

    def _energy_ue(self, now_ms: int) -> int:
        return energy_ue_at(self.energy_ue, self.energy_at_ms, now_ms, self.energy_cap, self.energy_regen_mps)
