/** Amounts of power tokens as people read and write them; inside they are whole mPT (1 000 mPT = 1 PT). */

const MPT_PER_PT = 1_000;
const whole = new Intl.NumberFormat("en");

/** @param {number} mpt @returns {[string, string]} whole part and up to three decimals, each as it is shown */
export function splitTokens(mpt) {
  const decimals = String(mpt % MPT_PER_PT).padStart(3, "0").replace(/0+$/, "");
  return [whole.format(Math.floor(mpt / MPT_PER_PT)), decimals && `.${decimals}`];
}

/** @param {number} mpt @returns {string} like "1,234.5 PT", which does not break */
export const tokensText = (mpt) => `${splitTokens(mpt).join("")}\u00a0PT`;

/**
 * A comma is taken for a decimal point only where it cannot be one between thousands.
 *
 * @param {string} text like "12.345" or "12,5" @returns {number | null} mPT; null where it is no amount, or too large to be one
 */
export function parseTokens(text) {
  const match = /^(\d{1,12})(?:\.(\d{1,3})|,(\d{1,2}))?$/.exec(text.trim());
  if (match === null) return null;
  const [, units, afterPoint = "", afterComma = ""] = match;
  return Number(units) * MPT_PER_PT + Number((afterPoint + afterComma).padEnd(3, "0"));
}
