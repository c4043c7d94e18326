"""What a tap changes, as it runs; `_player_state_py.py` is the specification, with domain and overflow argument.

The classes hold C integers only: no dict, not tracked by the garbage collector.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t

from hotpath cimport _rules_c as rules
from hotpath._rules_c cimport C_MAX_COUNT, C_MAX_MONEY_MPT, C_MAX_TIME_MS

cpdef enum:
    MAX_COMBO = 1_000_000_000

FIELD_RANGES = {
    "balance_mpt": (0, C_MAX_MONEY_MPT),
    "unposted_mpt": (0, C_MAX_MONEY_MPT),
    "lifetime_mpt": (0, C_MAX_MONEY_MPT),
    "xp": (0, C_MAX_COUNT),
    "taps": (0, C_MAX_COUNT),
    "tap_level": (1, rules.MAX_UPGRADE_LEVEL),
    "energy_cap_level": (1, rules.MAX_UPGRADE_LEVEL),
    "energy_regen_level": (1, rules.MAX_UPGRADE_LEVEL),
    "offline_level": (0, rules.MAX_OFFLINE_LEVEL),
    "energy_ue": (0, rules.energy_cap(rules.MAX_UPGRADE_LEVEL) * rules.UE_PER_ENERGY),
    "energy_at_ms": (0, C_MAX_TIME_MS),
    "bucket_mt": (0, rules.BUCKET_RECONNECT_MAX_TAPS * rules.MT_PER_TAP),
    "bucket_at_ms": (0, C_MAX_TIME_MS),
    "combo": (0, MAX_COMBO),
    "last_tap_at_ms": (0, C_MAX_TIME_MS),
    "tap_carry": (0, rules.INCOME_DIVISOR - 1),
    "raw_day": (0, C_MAX_TIME_MS // rules.DAY_MS),
    "raw_today_mpt": (0, C_MAX_MONEY_MPT),
    "streak_days": (0, 1_000_000),
    "double_until_ms": (0, C_MAX_TIME_MS),
    "last_seen_ms": (0, C_MAX_TIME_MS),
    "generation": (1, 1_000),
    "community_bp": (0, rules.COMMUNITY_CAP_BP),
}
COLUMN_NAMES = tuple(name for name in FIELD_RANGES if name not in ("generation", "community_bp"))
UPGRADE_COLUMNS = ("tap_level", "energy_cap_level", "energy_regen_level", "offline_level")


cdef int64_t in_range(str name, object value, object low, object high) except -1:
    # bool and float are refused, not converted, so that both twins hold the same value.
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


cdef int64_t checked(str name, object value) except -1:
    low, high = FIELD_RANGES[name]
    return in_range(name, value, low, high)


@cython.final
cdef class World:
    """What all players of a node share in a tap; both numbers are set while the server runs."""

    def __init__(self, emission_bp=rules.BP, event_bp=0):
        self.emission_bp = emission_bp
        self.event_bp = event_bp

    @property
    def emission_bp(self):
        """Em of the present hour."""
        return self._emission_bp

    @emission_bp.setter
    def emission_bp(self, value):
        self._emission_bp = in_range("emission_bp", value, rules.EMISSION_FLOOR_BP, rules.BP)

    @property
    def event_bp(self):
        """Boost of the viral event that runs now, 0 = none."""
        return self._event_bp

    @event_bp.setter
    def event_bp(self, value):
        self._event_bp = in_range("event_bp", value, 0, rules.BOOST_CAP_BP)


@cython.final
cdef class PlayerState:
    """One player's numbers, and what a tap does to them; fields change only through the methods."""

    def __init__(
        self, *, balance_mpt, unposted_mpt, lifetime_mpt, xp, taps, tap_level, energy_cap_level, energy_regen_level,
        offline_level, energy_ue, energy_at_ms, bucket_mt, bucket_at_ms, combo, last_tap_at_ms, tap_carry, raw_day,
        raw_today_mpt, streak_days, double_until_ms, last_seen_ms, generation, community_bp=0,
    ):
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
        if self.unposted_mpt > self.balance_mpt:
            raise ValueError(f"unposted_mpt must be at most balance_mpt = {balance_mpt}, not {unposted_mpt}")
        self.level = rules.level_of(self.xp)
        self.revision = 0

    @property
    def energy_cap(self):
        """Whole units of energy that fit."""
        return rules.energy_cap(self.energy_cap_level)

    @property
    def energy_regen_mps(self):
        """Milli-energy a second that come back."""
        return rules.energy_regen_mps(self.energy_regen_level)

    @property
    def rank(self):
        """Index into `rules.RANK_NAMES`."""
        return rules.rank_of(self.level)

    cdef int64_t energy_ue_now(self, int64_t now_ms) noexcept nogil:
        return rules.energy_ue_at(
            self.energy_ue,
            self.energy_at_ms,
            now_ms,
            rules.energy_cap(self.energy_cap_level),
            rules.energy_regen_mps(self.energy_regen_level),
        )

    cpdef int64_t energy(self, int64_t now_ms) noexcept nogil:
        """Whole units of energy at `now_ms`."""
        return self.energy_ue_now(now_ms) // rules.UE_PER_ENERGY

    cpdef int64_t combo_at(self, int64_t now_ms) noexcept nogil:
        """Taps in the present run at `now_ms`; 0 when more than 3 s have passed since the last accepted batch."""
        return self.combo if now_ms - self.last_tap_at_ms <= rules.COMBO_PAUSE_MS else 0

    def multiplier_bp(self, int64_t now_ms, World world not None):
        """M at `now_ms`: generation, boosts, emission."""
        return self.multiplier(now_ms, world)

    cdef int64_t multiplier(self, int64_t now_ms, World world) noexcept nogil:
        cdef int64_t shop = rules.SHOP_DOUBLE_BP if now_ms < self.double_until_ms else 0
        cdef int64_t boost = rules.boost_bp(
            rules.streak_bp(self.streak_days), world._event_bp, shop, self.community_bp
        )
        return rules.multiplier_bp(rules.generation_bonus_bp(self.generation), boost, world._emission_bp)

    def apply_taps(self, int64_t claimed, int64_t now_ms, World world not None):
        """Apply a batch of taps; returns how many counted."""
        return self.tap(claimed, now_ms, world)

    cdef int64_t tap(self, int64_t claimed, int64_t now_ms, World world) noexcept nogil:
        # Everything is computed before anything is assigned.
        cdef int64_t bucket_mt = rules.bucket_mt_at(self.bucket_mt, self.bucket_at_ms, now_ms)
        cdef int64_t energy_ue = self.energy_ue_now(now_ms)
        cdef int64_t accepted = min(claimed, bucket_mt // rules.MT_PER_TAP, energy_ue // rules.UE_PER_ENERGY)
        if accepted <= 0:
            return 0

        cdef int64_t combo = self.combo_at(now_ms)
        cdef int64_t weight = rules.combo_weight(combo, accepted)
        cdef int64_t raw_mpt, tap_carry
        raw_mpt, tap_carry = rules.income(
            self.tap_level, weight, self.multiplier(now_ms, world), self.tap_carry
        )

        cdef int64_t day = now_ms // rules.DAY_MS
        cdef int64_t raw_day = max(day, self.raw_day)
        cdef int64_t raw_today_mpt = 0 if day > self.raw_day else self.raw_today_mpt
        cdef int64_t room_mpt = C_MAX_MONEY_MPT - self.balance_mpt
        cdef int64_t income_mpt = min(rules.soft_capped_mpt(raw_today_mpt, raw_mpt), room_mpt)

        cdef int64_t xp = min(C_MAX_COUNT, self.xp + accepted)
        cdef int64_t level = rules.level_of(xp)
        cdef int64_t reward_mpt = min(rules.level_rewards_mpt(self.level, level), room_mpt - income_mpt)

        self.balance_mpt += income_mpt + reward_mpt
        self.unposted_mpt += income_mpt
        self.lifetime_mpt = min(C_MAX_MONEY_MPT, self.lifetime_mpt + income_mpt + reward_mpt)
        self.xp = xp
        self.level = level
        self.taps = min(C_MAX_COUNT, self.taps + accepted)
        self.energy_ue = energy_ue - accepted * rules.UE_PER_ENERGY
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        self.bucket_mt = bucket_mt - accepted * rules.MT_PER_TAP
        self.bucket_at_ms = max(self.bucket_at_ms, now_ms)
        self.combo = min(<int64_t> MAX_COMBO, combo + accepted)
        self.last_tap_at_ms = max(self.last_tap_at_ms, now_ms)
        self.tap_carry = tap_carry
        self.raw_day = raw_day
        self.raw_today_mpt = min(C_MAX_MONEY_MPT, raw_today_mpt + raw_mpt)
        self.revision += 1
        return accepted

    cpdef void reopen_bucket(self, int64_t now_ms) noexcept nogil:
        """Make room for the taps of a gap; call once per reconnect or activation."""
        cdef int64_t gap_s = rules.BUCKET_FIRST_GAP_S
        if self.last_tap_at_ms:
            gap_s = max(0, now_ms - self.last_tap_at_ms) // rules.MS_PER_S
        self.bucket_mt = rules.reconnect_bucket_mt(
            rules.bucket_mt_at(self.bucket_mt, self.bucket_at_ms, now_ms), gap_s
        )
        self.bucket_at_ms = max(self.bucket_at_ms, now_ms)
        self.revision += 1

    cpdef void fill_energy(self, int64_t now_ms) noexcept nogil:
        """Energy to its cap."""
        self.energy_ue = rules.energy_cap(self.energy_cap_level) * rules.UE_PER_ENERGY
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        self.revision += 1

    cpdef void mark_seen(self, int64_t now_ms) noexcept nogil:
        """Note that a socket of the player is open at `now_ms`."""
        self.last_seen_ms = max(self.last_seen_ms, now_ms)
        self.revision += 1

    cpdef int64_t take_unposted(self) noexcept nogil:
        """Hand over the tap income gathered so far, in mPT, for one ledger entry; it counts as posted from here on."""
        cdef int64_t taken_mpt = self.unposted_mpt
        self.unposted_mpt = 0
        self.revision += 1
        return taken_mpt

    cpdef int64_t credit(self, int64_t amount_mpt, bint minted) noexcept nogil:
        """Add tokens that come with a ledger entry of their own; returns how many found room. See the readable twin."""
        cdef int64_t credited_mpt = min(amount_mpt, C_MAX_MONEY_MPT - self.balance_mpt)
        if minted:
            credited_mpt = min(credited_mpt, C_MAX_MONEY_MPT - self.lifetime_mpt)
            self.lifetime_mpt += credited_mpt
        self.balance_mpt += credited_mpt
        self.revision += 1
        return credited_mpt

    def debit(self, int64_t amount_mpt):
        """Take tokens away that have a ledger entry of their own."""
        if not 0 <= amount_mpt <= self.balance_mpt - self.unposted_mpt:
            raise ValueError(f"{amount_mpt} mPT cannot be taken from {self.balance_mpt - self.unposted_mpt}")
        self.balance_mpt -= amount_mpt
        self.revision += 1

    def upgrade(self, str column not None, int64_t now_ms):
        """Raise a level by one; energy gathered up to now is by the old levels."""
        if column not in UPGRADE_COLUMNS:
            raise ValueError(f"{column!r} is no level that is raised")
        if getattr(self, column) >= FIELD_RANGES[column][1]:
            raise ValueError(f"{column} is at its highest")
        self.energy_ue = self.energy_ue_now(now_ms)
        self.energy_at_ms = max(self.energy_at_ms, now_ms)
        if column == "tap_level":
            self.tap_level += 1
        elif column == "energy_cap_level":
            self.energy_cap_level += 1
        elif column == "energy_regen_level":
            self.energy_regen_level += 1
        else:
            self.offline_level += 1
        self.revision += 1

    cpdef void double_for(self, int64_t duration_ms, int64_t now_ms) noexcept nogil:
        """Run the ×2 boost for so long, behind what is left of the one that runs."""
        self.double_until_ms = min(C_MAX_TIME_MS, max(self.double_until_ms, now_ms) + duration_ms)
        self.revision += 1

    def columns(self):
        """The stored fields, in the order of `COLUMN_NAMES`."""
        cdef int64_t[COLUMNS] values
        self.copy_columns(values)
        return tuple([values[i] for i in range(COLUMNS)])

    cdef void copy_columns(self, int64_t* values) noexcept nogil:
        values[0] = self.balance_mpt
        values[1] = self.unposted_mpt
        values[2] = self.lifetime_mpt
        values[3] = self.xp
        values[4] = self.taps
        values[5] = self.tap_level
        values[6] = self.energy_cap_level
        values[7] = self.energy_regen_level
        values[8] = self.offline_level
        values[9] = self.energy_ue
        values[10] = self.energy_at_ms
        values[11] = self.bucket_mt
        values[12] = self.bucket_at_ms
        values[13] = self.combo
        values[14] = self.last_tap_at_ms
        values[15] = self.tap_carry
        values[16] = self.raw_day
        values[17] = self.raw_today_mpt
        values[18] = self.streak_days
        values[19] = self.double_until_ms
        values[20] = self.last_seen_ms

    def snapshot(self):
        """An independent copy, for `restore`."""
        cdef PlayerState copy = PlayerState.__new__(PlayerState)
        copy.become(self)
        return copy

    def restore(self, PlayerState snapshot not None):
        """Become equal to `snapshot` in every field, `revision` included, in place."""
        self.become(snapshot)

    cdef void become(self, PlayerState snapshot) noexcept nogil:
        self.balance_mpt = snapshot.balance_mpt
        self.unposted_mpt = snapshot.unposted_mpt
        self.lifetime_mpt = snapshot.lifetime_mpt
        self.xp = snapshot.xp
        self.taps = snapshot.taps
        self.tap_level = snapshot.tap_level
        self.energy_cap_level = snapshot.energy_cap_level
        self.energy_regen_level = snapshot.energy_regen_level
        self.offline_level = snapshot.offline_level
        self.energy_ue = snapshot.energy_ue
        self.energy_at_ms = snapshot.energy_at_ms
        self.bucket_mt = snapshot.bucket_mt
        self.bucket_at_ms = snapshot.bucket_at_ms
        self.combo = snapshot.combo
        self.last_tap_at_ms = snapshot.last_tap_at_ms
        self.tap_carry = snapshot.tap_carry
        self.raw_day = snapshot.raw_day
        self.raw_today_mpt = snapshot.raw_today_mpt
        self.streak_days = snapshot.streak_days
        self.double_until_ms = snapshot.double_until_ms
        self.last_seen_ms = snapshot.last_seen_ms
        self.generation = snapshot.generation
        self.community_bp = snapshot.community_bp
        self.level = snapshot.level
        self.revision = snapshot.revision


@cython.final
cdef class Cursor:
    """How far one lineage of operations has come; the numbers only grow, and neither taken nor durable pass applied."""

    def __init__(self, applied_seq=0):
        self.applied_seq = <uint32_t> in_range("applied_seq", applied_seq, 0, 2**32 - 1)
        self.durable_seq = self.taken_seq = self.applied_seq

    cpdef bint advance(self, uint32_t seq) noexcept nogil:
        """Consume operation `seq`: True if it is new, False if it is a repeat and nothing moved."""
        if seq <= self.applied_seq:
            return False
        self.applied_seq = seq
        return True

    cpdef void take(self) noexcept nogil:
        """Everything applied up to now is in the hands of a flush."""
        self.taken_seq = self.applied_seq

    cpdef void confirm(self, uint32_t seq) noexcept nogil:
        """Everything up to `seq` is committed; what was not applied here cannot be."""
        self.durable_seq = max(self.durable_seq, min(seq, self.applied_seq))
