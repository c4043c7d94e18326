"""The per-tap rules for other C code: plain int64 functions that need no GIL. Meaning and ranges: `_rules_py.py`."""

from libc.stdint cimport int64_t

# What fits a C int is an enum, which Python sees too; enum members of more than 32 bits are not safe in Cython.
cpdef enum:
    # game.md, preamble: units
    BP = 10_000
    MPT_PER_PT = 1_000
    UE_PER_ENERGY = 1_000_000
    MT_PER_TAP = 1_000
    MS_PER_S = 1_000
    DAY_MS = 86_400_000
    # game.md, "Level", "Rank"
    XP_PER_LEVEL_SQUARE = 100
    LEVEL_REWARD_PT = 100
    # game.md, "Energy", and "Sinks" for the upgrade levels
    MAX_UPGRADE_LEVEL = 20
    MAX_OFFLINE_LEVEL = 9
    ENERGY_CAP_BASE = 1_000
    ENERGY_CAP_STEP = 500
    ENERGY_REGEN_BASE_MPS = 1_000
    ENERGY_REGEN_STEP_MPS = 250
    # game.md, "Rate bucket"
    BUCKET_RATE_PER_S = 15
    BUCKET_BURST_MT = 40_000
    BUCKET_RECONNECT_MAX_TAPS = 900
    BUCKET_FIRST_GAP_S = 60
    # game.md, "Combo"
    COMBO_PAUSE_MS = 3_000
    COMBO_STEP_TAPS = 50
    COMBO_STEP_BP = 500
    COMBO_CAP_BP = 5_000
    # game.md, "Generation bonus", "Boost", "Emission"; "Habits" for the streak; "Communities"
    GENERATION_BONUS_BP = 5_000
    STREAK_STEP_BP = 100
    STREAK_CAP_BP = 3_000
    SHOP_DOUBLE_BP = 10_000
    COMMUNITY_CAP_BP = 1_000
    BOOST_CAP_BP = 30_000
    EMISSION_FLOOR_BP = 500
    # game.md, "Income", "Daily soft cap"
    INCOME_DIVISOR = 100_000_000
    SOFT_CAP_FULL_MPT = 10_000_000
    SOFT_CAP_HALF_MPT = 30_000_000

cdef extern from *:
    """
    #define PPJ_MAX_TIME_MS   ((int64_t)253402300799999)
    #define PPJ_MAX_COUNT     ((int64_t)9007199254740991)
    #define PPJ_MAX_MONEY_MPT ((int64_t)8999999999999999)
    """
    const int64_t C_MAX_TIME_MS "PPJ_MAX_TIME_MS"
    const int64_t C_MAX_COUNT "PPJ_MAX_COUNT"
    const int64_t C_MAX_MONEY_MPT "PPJ_MAX_MONEY_MPT"

cpdef int64_t level_of(int64_t xp) noexcept nogil
cpdef int64_t level_start_xp(int64_t level) noexcept nogil
cpdef int64_t level_rewards_mpt(int64_t level_before, int64_t level_after) noexcept nogil
cpdef int64_t rank_of(int64_t level) noexcept nogil
cpdef int64_t energy_cap(int64_t level) noexcept nogil
cpdef int64_t energy_regen_mps(int64_t level) noexcept nogil
cpdef int64_t energy_ue_at(
    int64_t energy_ue, int64_t energy_at_ms, int64_t now_ms, int64_t cap, int64_t regen_mps
) noexcept nogil
cpdef int64_t bucket_mt_at(int64_t bucket_mt, int64_t bucket_at_ms, int64_t now_ms) noexcept nogil
cpdef int64_t reconnect_bucket_mt(int64_t bucket_mt, int64_t gap_s) noexcept nogil
cpdef int64_t combo_prefix(int64_t n) noexcept nogil
cpdef int64_t combo_weight(int64_t combo, int64_t n) noexcept nogil
cpdef int64_t generation_bonus_bp(int64_t generation) noexcept nogil
cpdef int64_t streak_bp(int64_t days) noexcept nogil
cpdef int64_t boost_bp(int64_t streak, int64_t event, int64_t shop, int64_t community) noexcept nogil
cpdef int64_t emission_bp(int64_t minted_pt, int64_t scale_pt) except -1
cpdef int64_t multiplier_bp(int64_t generation_bp, int64_t boost_bp, int64_t emission_bp) noexcept nogil
cpdef (int64_t, int64_t) income(
    int64_t tap_level, int64_t weight, int64_t multiplier_bp, int64_t carry
) noexcept nogil
cpdef int64_t soft_cap_mpt(int64_t raw_mpt) noexcept nogil
cpdef int64_t soft_capped_mpt(int64_t raw_today, int64_t raw_new) noexcept nogil
