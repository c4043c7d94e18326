"""The per-tap rules as they run; `_rules_py.py` is the specification, with ranges and sources.

All arithmetic is int64. It cannot overflow inside the domain that the specification states, and a build with
HOTPATH_DEBUG=1 checks that it does not.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t

MAX_TIME_MS = C_MAX_TIME_MS
MAX_COUNT = C_MAX_COUNT
MAX_MONEY_MPT = C_MAX_MONEY_MPT

cdef int64_t[8] RANK_FIRST_LEVELS = [1, 5, 10, 20, 35, 50, 75, 100]
RANK_LEVELS = tuple(RANK_FIRST_LEVELS)
RANK_NAMES = ("Novice", "Apprentice", "Adept", "Expert", "Master", "Grandmaster", "Legend", "Mythic")


cpdef int64_t level_of(int64_t xp) noexcept nogil:
    """Level at `xp` total XP: 1 + isqrt(xp // 100)."""
    # xp // 100 < 2^47, so the rounded root is below 2^24 and cannot reach the next integer: the floor is exact.
    return 1 + <int64_t> sqrt(<double> (xp // XP_PER_LEVEL_SQUARE))


cpdef int64_t level_start_xp(int64_t level) noexcept nogil:
    """Total XP at which `level` begins: 100·(level − 1)²."""
    return XP_PER_LEVEL_SQUARE * (level - 1) * (level - 1)


cpdef int64_t level_rewards_mpt(int64_t level_before, int64_t level_after) noexcept nogil:
    """What reaching every level in (before, after] pays together, in mPT."""
    cdef int64_t levels_sum = level_after * (level_after + 1) // 2 - level_before * (level_before + 1) // 2
    return LEVEL_REWARD_PT * MPT_PER_PT * levels_sum


cpdef int64_t rank_of(int64_t level) noexcept nogil:
    """Index into `RANK_NAMES` of the rank held at `level`."""
    cdef int rank = 7
    while rank > 0 and level < RANK_FIRST_LEVELS[rank]:
        rank -= 1
    return rank


cpdef int64_t energy_cap(int64_t level) noexcept nogil:
    """Whole units of energy that fit at cap level 1 … 20."""
    return ENERGY_CAP_BASE + ENERGY_CAP_STEP * (level - 1)


cpdef int64_t energy_regen_mps(int64_t level) noexcept nogil:
    """Milli-energy a second that come back at regeneration level 1 … 20."""
    return ENERGY_REGEN_BASE_MPS + ENERGY_REGEN_STEP_MPS * (level - 1)


cpdef int64_t energy_ue_at(
    int64_t energy_ue, int64_t energy_at_ms, int64_t now_ms, int64_t cap, int64_t regen_mps
) noexcept nogil:
    """Energy at `now_ms` in µE: min(cap·10⁶, E0 + max(0, now − t0)·regen)."""
    return min(cap * UE_PER_ENERGY, energy_ue + max(0, now_ms - energy_at_ms) * regen_mps)


cpdef int64_t bucket_mt_at(int64_t bucket_mt, int64_t bucket_at_ms, int64_t now_ms) noexcept nogil:
    """Rate bucket at `now_ms` in milli-taps; above the burst it only falls."""
    if bucket_mt >= BUCKET_BURST_MT:
        return bucket_mt
    return min(BUCKET_BURST_MT, bucket_mt + max(0, now_ms - bucket_at_ms) * BUCKET_RATE_PER_S)


cpdef int64_t reconnect_bucket_mt(int64_t bucket_mt, int64_t gap_s) noexcept nogil:
    """Rate bucket after a reconnect or activation: max(b, min(15·s, 900) taps), in milli-taps."""
    return max(bucket_mt, min(BUCKET_RATE_PER_S * gap_s, BUCKET_RECONNECT_MAX_TAPS) * MT_PER_TAP)


cpdef int64_t combo_prefix(int64_t n) noexcept nogil:
    """F(n): bonus in BP that the first n taps of a run earn together."""
    cdef int64_t steps = n // COMBO_STEP_TAPS
    cdef int64_t rest = n % COMBO_STEP_TAPS
    if steps < COMBO_CAP_BP // COMBO_STEP_BP:
        return COMBO_STEP_BP * (COMBO_STEP_TAPS // 2 * steps * (steps - 1) + steps * (rest + 1))
    return 1_130_000 + COMBO_CAP_BP * (n - 500)


cpdef int64_t combo_weight(int64_t combo, int64_t n) noexcept nogil:
    """W: weight in BP of n taps that follow `combo` taps of the run."""
    return n * BP + combo_prefix(combo + n) - combo_prefix(combo)


cpdef int64_t generation_bonus_bp(int64_t generation) noexcept nogil:
    """G = 5000 >> (g − 1); 0 from g = 14."""
    # A shift by the width of the type or more is undefined in C.
    return GENERATION_BONUS_BP >> (generation - 1) if generation < 14 else 0


cpdef int64_t streak_bp(int64_t days) noexcept nogil:
    """Boost of the habit streak: min(3000, 100·(d − 1)), and 0 without a streak."""
    return min(STREAK_CAP_BP, STREAK_STEP_BP * (days - 1)) if days > 0 else 0


cpdef int64_t boost_bp(int64_t streak, int64_t event, int64_t shop, int64_t community) noexcept nogil:
    """B = min(30 000, BP + all four)."""
    return min(BOOST_CAP_BP, BP + streak + event + shop + community)


cpdef int64_t emission_bp(int64_t minted_pt, int64_t scale_pt) except -1:
    """Em = max(500, BP·S // (S + minted)); raises ZeroDivisionError where both are 0."""
    return max(EMISSION_FLOOR_BP, BP * scale_pt // (scale_pt + minted_pt))


cpdef int64_t multiplier_bp(int64_t generation_bp, int64_t boost_bp, int64_t emission_bp) noexcept nogil:
    """M = ((BP + G)·B // BP)·Em // BP, at most 45 000."""
    return (BP + generation_bp) * boost_bp // BP * emission_bp // BP


cpdef (int64_t, int64_t) income(
    int64_t tap_level, int64_t weight, int64_t multiplier_bp, int64_t carry
) noexcept nogil:
    """Tap income before the soft cap: (mPT earned, new carry)."""
    cdef int64_t q = MPT_PER_PT * tap_level * weight * multiplier_bp + carry
    return q // INCOME_DIVISOR, q % INCOME_DIVISOR


cpdef int64_t soft_cap_mpt(int64_t raw_mpt) noexcept nogil:
    """H(x): what a day's raw income of x mPT is worth."""
    cdef int64_t half
    if raw_mpt <= SOFT_CAP_FULL_MPT:
        return raw_mpt
    half = (min(raw_mpt, SOFT_CAP_HALF_MPT) - SOFT_CAP_FULL_MPT) // 2
    return SOFT_CAP_FULL_MPT + half + max(0, raw_mpt - SOFT_CAP_HALF_MPT) // 10


cpdef int64_t soft_capped_mpt(int64_t raw_today, int64_t raw_new) noexcept nogil:
    """What is credited for `raw_new` mPT on top of `raw_today` mPT: H(x + r) − H(x)."""
    return soft_cap_mpt(raw_today + raw_new) - soft_cap_mpt(raw_today)
