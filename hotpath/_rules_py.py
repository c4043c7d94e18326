"""The game's per-tap rules as readable integer arithmetic: the specification of `hotpath.rules`.

Each rule is one pure function on ints: multiply first, divide once (`//` floors). `BP` = 10 000 basis points = ×1.
Money is in mPT (1 000 mPT = 1 power token), energy in µE (10⁶ µE = 1 energy), the rate bucket in milli-taps, times in
milliseconds since 1970-01-01 UTC. The formulas are game.md "Per tap".

Domain: the twins are equal for `int` arguments (not bool, not float) in the ranges their docstrings name; times are
0 … `MAX_TIME_MS`, counters 0 … `MAX_COUNT`, money 0 … `MAX_MONEY_MPT`. Inside it no value leaves int64 (the
largest is noted at each function that comes near). Outside it this twin computes on with big integers, while the C twin
raises OverflowError for what is no int64 and is undefined for the rest; nothing outside it reaches these functions,
because `PlayerState` checks its fields and the codec its frames.
"""

from math import isqrt

# game.md, preamble: units
BP = 10_000  #: basis points in ×1
MPT_PER_PT = 1_000  #: milli power tokens in a power token
UE_PER_ENERGY = 1_000_000  #: micro-energy in one energy
MT_PER_TAP = 1_000  #: milli-taps in a tap
MS_PER_S = 1_000
DAY_MS = 86_400_000  #: a UTC day
MAX_TIME_MS = 253_402_300_799_999  #: the end of the year 9999
MAX_COUNT = 2**53 - 1  #: counters stay exact in JavaScript
MAX_MONEY_MPT = 9 * 10**15 - 1  #: money stays below 9·10¹⁵ mPT

# game.md, "Level", "Rank"
XP_PER_LEVEL_SQUARE = 100  #: level l ends at this times l²
LEVEL_REWARD_PT = 100  #: reaching level l pays this times l
RANK_LEVELS = (1, 5, 10, 20, 35, 50, 75, 100)  #: the level at which each rank begins
RANK_NAMES = ("Novice", "Apprentice", "Adept", "Expert", "Master", "Grandmaster", "Legend", "Mythic")

# game.md, "Energy", and "Sinks" for the upgrade levels
MAX_UPGRADE_LEVEL = 20  #: of tap, energy cap and energy regeneration; all three start at 1
MAX_OFFLINE_LEVEL = 9
ENERGY_CAP_BASE = 1_000
ENERGY_CAP_STEP = 500
ENERGY_REGEN_BASE_MPS = 1_000  #: milli-energy a second
ENERGY_REGEN_STEP_MPS = 250

# game.md, "Rate bucket"
BUCKET_RATE_PER_S = 15  #: taps a second, which is also milli-taps a millisecond
BUCKET_BURST_MT = 40_000
BUCKET_RECONNECT_MAX_TAPS = 900
BUCKET_FIRST_GAP_S = 60  #: the gap that counts for a player without any accepted batch

# game.md, "Combo"
COMBO_PAUSE_MS = 3_000  #: a longer pause ends the run
COMBO_STEP_TAPS = 50
COMBO_STEP_BP = 500
COMBO_CAP_BP = 5_000

# game.md, "Generation bonus", "Boost", "Emission"; "Habits" for the streak; "Communities"
GENERATION_BONUS_BP = 5_000  #: of the first generation; halves with each
STREAK_STEP_BP = 100
STREAK_CAP_BP = 3_000
SHOP_DOUBLE_BP = 10_000  #: while the ×2 boost runs
COMMUNITY_CAP_BP = 1_000
BOOST_CAP_BP = 30_000
EMISSION_FLOOR_BP = 500

# game.md, "Income", "Daily soft cap"
INCOME_DIVISOR = 100_000_000  #: weight and multiplier are both in basis points
SOFT_CAP_FULL_MPT = 10_000_000  #: paid in full up to here
SOFT_CAP_HALF_MPT = 30_000_000  #: half up to here, a tenth above


def level_of(xp: int) -> int:
    """Level at `xp` total XP: 1 + isqrt(xp // 100) (game.md "Level").

    Args:
        xp: total XP, 0 … `MAX_COUNT`; exact over all of it.
    """
    return 1 + isqrt(xp // XP_PER_LEVEL_SQUARE)


def level_start_xp(level: int) -> int:
    """Total XP at which `level` begins: 100·(level − 1)² (game.md "Level").

    Args:
        level: 1 … level_of(`MAX_COUNT`) + 1.
    """
    return XP_PER_LEVEL_SQUARE * (level - 1) ** 2


def level_rewards_mpt(level_before: int, level_after: int) -> int:
    """What reaching every level in (before, after] pays together, in mPT: Σ 100·l PT (game.md "XP").

    Args:
        level_before: 1 … level_after.
        level_after: up to level_of(`MAX_COUNT`) = 9 490 627, where the sum is 4.6·10¹⁸.
    """
    levels_sum = level_after * (level_after + 1) // 2 - level_before * (level_before + 1) // 2
    return LEVEL_REWARD_PT * MPT_PER_PT * levels_sum


def rank_of(level: int) -> int:
    """Index into `RANK_NAMES` of the rank held at `level` ≥ 1 (game.md "Rank")."""
    return sum(level >= first for first in RANK_LEVELS) - 1


def energy_cap(level: int) -> int:
    """Whole units of energy that fit at cap level 1 … 20 (game.md "Energy")."""
    return ENERGY_CAP_BASE + ENERGY_CAP_STEP * (level - 1)


def energy_regen_mps(level: int) -> int:
    """Milli-energy a second that come back at regeneration level 1 … 20 (game.md "Energy")."""
    return ENERGY_REGEN_BASE_MPS + ENERGY_REGEN_STEP_MPS * (level - 1)


def energy_ue_at(energy_ue: int, energy_at_ms: int, now_ms: int, cap: int, regen_mps: int) -> int:
    """Energy at `now_ms` in µE: min(cap·10⁶, E0 + max(0, now − t0)·regen) (game.md "Energy").

    Args:
        energy_ue: E0, micro-energy at `energy_at_ms`, 0 … 10 500·10⁶.
        energy_at_ms: t0. A `now_ms` before it gives back E0.
        now_ms: the moment asked for.
        cap: whole units.
        regen_mps: milli-energy a second, which is µE a millisecond; 8 000 years of it are 1.5·10¹⁸.
    """
    return min(cap * UE_PER_ENERGY, energy_ue + max(0, now_ms - energy_at_ms) * regen_mps)


def bucket_mt_at(bucket_mt: int, bucket_at_ms: int, now_ms: int) -> int:
    """Rate bucket at `now_ms` in milli-taps: b if b ≥ 40 000, else min(40 000, b + Δms·15) (game.md "Rate bucket").

    Args:
        bucket_mt: b, milli-taps at `bucket_at_ms`, 0 … 900 000; above the burst it only falls.
        bucket_at_ms: a `now_ms` before it gives back b.
        now_ms: the moment asked for.
    """
    if bucket_mt >= BUCKET_BURST_MT:
        return bucket_mt
    return min(BUCKET_BURST_MT, bucket_mt + max(0, now_ms - bucket_at_ms) * BUCKET_RATE_PER_S)


def reconnect_bucket_mt(bucket_mt: int, gap_s: int) -> int:
    """Rate bucket after a reconnect or activation: max(b, min(15·s, 900) taps), in milli-taps (game.md "Rate bucket").

    Args:
        bucket_mt: b, milli-taps now.
        gap_s: s ≥ 0, whole seconds since the player's last accepted batch; `BUCKET_FIRST_GAP_S` if there is none.
    """
    return max(bucket_mt, min(BUCKET_RATE_PER_S * gap_s, BUCKET_RECONNECT_MAX_TAPS) * MT_PER_TAP)


def combo_prefix(n: int) -> int:
    """F(n): bonus in BP that taps 1 … n of a run earn together; tap i earns min(5000, 500·(i // 50)).

    Closed form of game.md "Combo", with k, r = divmod(n, 50).

    Args:
        n: 0 … 10¹⁵, where F is 5·10¹⁸.
    """
    steps, rest = divmod(n, COMBO_STEP_TAPS)
    if steps < COMBO_CAP_BP // COMBO_STEP_BP:
        return COMBO_STEP_BP * (COMBO_STEP_TAPS // 2 * steps * (steps - 1) + steps * (rest + 1))
    return 1_130_000 + COMBO_CAP_BP * (n - 500)


def combo_weight(combo: int, n: int) -> int:
    """W: weight in BP of n taps that follow `combo` taps of the run: n·BP + F(c + n) − F(c) (game.md "Combo")."""
    return n * BP + combo_prefix(combo + n) - combo_prefix(combo)


def generation_bonus_bp(generation: int) -> int:
    """G = 5000 >> (g − 1) for g ≥ 1; 0 from g = 14 (game.md "Generation bonus")."""
    return GENERATION_BONUS_BP >> (generation - 1)


def streak_bp(days: int) -> int:
    """Boost of the habit streak: min(3000, 100·(d − 1)), and 0 without a streak (game.md "Habits").

    Args:
        days: d, the day of the streak; 0 = none.
    """
    return min(STREAK_CAP_BP, STREAK_STEP_BP * (days - 1)) if days > 0 else 0


def boost_bp(streak: int, event: int, shop: int, community: int) -> int:
    """B = min(30 000, BP + all four), each in BP and ≥ 0 (game.md "Boost")."""
    return min(BOOST_CAP_BP, BP + streak + event + shop + community)


def emission_bp(minted_pt: int, scale_pt: int) -> int:
    """Em = max(500, BP·S // (S + minted)) (game.md "Emission").

    Args:
        minted_pt: gross PT ever minted, 0 … 9·10¹⁵.
        scale_pt: S in PT, 1 … 9·10¹⁴ (BP·S is then 9·10¹⁸).

    Raises:
        ZeroDivisionError: nothing is minted and the scale is 0.
    """
    return max(EMISSION_FLOOR_BP, BP * scale_pt // (scale_pt + minted_pt))


def multiplier_bp(generation_bp: int, boost_bp: int, emission_bp: int) -> int:
    """M = ((BP + G)·B // BP)·Em // BP, at most 45 000 (game.md "Multiplier").

    Args:
        generation_bp: G, 0 … 5 000.
        boost_bp: B, 10 000 … 30 000.
        emission_bp: Em, 500 … 10 000.
    """
    return (BP + generation_bp) * boost_bp // BP * emission_bp // BP


def income(tap_level: int, weight: int, multiplier_bp: int, carry: int) -> tuple[int, int]:
    """Tap income before the soft cap: q = 1000·tapL·W·M + carry, paid q // 10⁸, carried q % 10⁸ (game.md "Income").

    Args:
        tap_level: 1 … 20.
        weight: W in BP, from `combo_weight`; at 900 taps q is 1.3·10¹⁶.
        multiplier_bp: M, 0 … 45 000.
        carry: what the last division left, 0 … 10⁸ − 1.

    Returns:
        (mPT earned, new carry).
    """
    return divmod(MPT_PER_PT * tap_level * weight * multiplier_bp + carry, INCOME_DIVISOR)


def soft_cap_mpt(raw_mpt: int) -> int:
    """H(x): what a day's raw income of x is worth; 100 % of 10 000 PT, 50 % of the next 20 000, 10 % above.

    Source: game.md "Daily soft cap".

    Args:
        raw_mpt: x in mPT, 0 … 2·`MAX_MONEY_MPT`.
    """
    if raw_mpt <= SOFT_CAP_FULL_MPT:
        return raw_mpt
    half = (min(raw_mpt, SOFT_CAP_HALF_MPT) - SOFT_CAP_FULL_MPT) // 2
    return SOFT_CAP_FULL_MPT + half + max(0, raw_mpt - SOFT_CAP_HALF_MPT) // 10


def soft_capped_mpt(raw_today: int, raw_new: int) -> int:
    """What is credited for `raw_new` mPT on top of `raw_today` mPT: H(x + r) − H(x) (game.md "Daily soft cap")."""
    return soft_cap_mpt(raw_today + raw_new) - soft_cap_mpt(raw_today)
