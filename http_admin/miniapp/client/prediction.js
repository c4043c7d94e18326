/**
 * What the player sees before the server has answered: the last confirmed state plus an estimate of the taps still on their way.
 *
 * The estimate follows the rules in docs/game, "Per tap", in plain numbers. It is only ever shown: the server counts, and every
 * TAPPED and WELCOME replaces the confirmed part.
 */

const BP = 10_000;
const COMBO_TIMEOUT_MS = 3_000;
const RANKS = [[100, "Mythic"], [75, "Legend"], [50, "Grandmaster"], [35, "Master"], [20, "Expert"], [10, "Adept"], [5, "Apprentice"], [1, "Novice"]];

/** @param {number} xp total XP @returns {number} 1 + isqrt(xp // 100) */
export function levelOf(xp) {
  const hundreds = Math.floor(xp / 100);
  let root = Math.floor(Math.sqrt(hundreds));
  while (root * root > hundreds) root -= 1;
  while ((root + 1) * (root + 1) <= hundreds) root += 1;
  return 1 + root;
}

/** @param {number} level @returns {{fromXp: number, toXp: number}} level l spans [100·(l−1)², 100·l²) */
export const levelSpan = (level) => ({ fromXp: 100 * (level - 1) ** 2, toXp: 100 * level ** 2 });

/** @param {number} level @returns {string} its English rank name */
export const rankOf = (level) => RANKS.find(([from]) => level >= from)[1];

/** @param {number} combo taps in the current run @returns {number} bonus of the next tap in basis points */
export const comboBonusBp = (combo) => Math.min(5_000, 500 * Math.floor(combo / 50));

/** Sum of the bonuses of the first `combo` taps of a run, in basis points (closed form). */
function comboBonusSumBp(combo) {
  const k = Math.floor(combo / 50);
  const r = combo % 50;
  return k >= 10 ? 1_130_000 + 5_000 * (combo - 500) : 500 * (25 * k * (k - 1) + k * (r + 1));
}

/**
 * @param {{combo: number, tap_level: number, multiplier_bp: number, xp: number}} state
 * @param {number} taps accepted taps
 * @returns {{incomeMpt: number, rewardsMpt: number}} estimated tap income and level-up rewards in mPT
 */
export function estimateTaps({ combo, tap_level: tapLevel, multiplier_bp: multiplierBp, xp }, taps) {
  const weight = taps * BP + comboBonusSumBp(combo + taps) - comboBonusSumBp(combo);
  const incomeMpt = Math.floor((tapLevel * weight * multiplierBp) / 1e5);
  let rewardsMpt = 0;
  for (let level = levelOf(xp) + 1; level <= levelOf(xp + taps); level += 1) rewardsMpt += level * 100_000;
  return { incomeMpt, rewardsMpt };
}

export class PlayerPrediction {
  /** The last state the server confirmed (WELCOME's `state`, then TAPPED), or null before the first WELCOME. */
  confirmed = null;
  #confirmedAtMs = 0;
  #lastTapAtMs = -Infinity;
  // Share of the estimated income that was really paid: below 1 past the daily soft cap, which the client cannot know.
  #paidShare = 1;

  /** The newest operation whose answer is shown, and the newest that the last WELCOME knew. */
  #newestSeq = 0;
  #welcomedSeq = 0;

  /** @param {{applied_seq: number, state: object}} welcome @param {number} nowMs */
  welcomed({ applied_seq: appliedSeq, state }, nowMs) {
    this.#newestSeq = this.#welcomedSeq = appliedSeq;
    this.adopt(state, nowMs);
  }

  /**
   * A RESULT may come late, or for the second time: what has been heard of since is newer than its state.
   *
   * @param {number} seq @param {{state: object, repeat?: boolean}} result @param {number} nowMs
   */
  resulted(seq, { state, repeat }, nowMs) {
    if (repeat === true) this.adopt(state, nowMs); // the present state in place of a result that is gone
    else if (seq > this.#newestSeq) {
      this.#newestSeq = seq;
      this.adopt(state, nowMs);
    } else if (seq > this.#welcomedSeq) {
      const { tokens, xp, level, rank, energy, combo, ...others } = state; // TAPPED tells these
      this.adopt(others, nowMs);
    }
  }

  /** @param {object} state WELCOME's `state` or a part of it @param {number} nowMs */
  adopt(state, nowMs) {
    this.confirmed = { ...this.confirmed, ...state };
    this.#confirmedAtMs = nowMs;
  }

  /** @param {number} seq @param {{accepted, tokens, xp, level, energy, combo}} tapped its numbers @param {number} nowMs */
  tapped(seq, { accepted, ...numbers }, nowMs) {
    this.#newestSeq = Math.max(this.#newestSeq, seq);
    const before = this.confirmed;
    if (accepted > 0 && numbers.xp - before.xp === accepted) {
      const { incomeMpt, rewardsMpt } = estimateTaps({ ...before, combo: Math.max(0, numbers.combo - accepted) }, accepted);
      const paidMpt = numbers.tokens - before.tokens - rewardsMpt;
      if (incomeMpt > 0) this.#paidShare = Math.min(1, Math.max(0, paidMpt / incomeMpt));
    }
    this.adopt({ ...numbers, rank: rankOf(numbers.level) }, nowMs);
  }

  /** @param {number} nowMs a tap was made now: it keeps the combo alive on the screen */
  noteTap(nowMs) {
    this.#lastTapAtMs = nowMs;
  }

  /**
   * @param {number} pendingTaps taps the server has not answered yet
   * @param {number} nowMs
   * @returns {object | null} the confirmed state with `tokens`, `xp`, `level`, `rank`, `combo` as they will be if every pending
   *   tap counts, and `energy` as a fraction; null before the first WELCOME
   */
  view(pendingTaps, nowMs) {
    const state = this.confirmed;
    if (state === null) return null;
    const { incomeMpt, rewardsMpt } = estimateTaps(state, pendingTaps);
    const xp = state.xp + pendingTaps;
    const level = Math.max(state.level, levelOf(xp));
    const refilled = state.energy + ((nowMs - this.#confirmedAtMs) * state.energy_regen_mps) / 1e6;
    const inRun = nowMs - Math.max(this.#lastTapAtMs, this.#confirmedAtMs) <= COMBO_TIMEOUT_MS;
    return {
      ...state,
      tokens: state.tokens + Math.floor(incomeMpt * this.#paidShare) + rewardsMpt,
      xp,
      level,
      rank: rankOf(level),
      energy: Math.max(0, Math.min(Math.max(state.energy_cap, state.energy), refilled) - pendingTaps),
      combo: inRun ? state.combo + pendingTaps : 0,
    };
  }
}
