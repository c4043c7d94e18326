/** What happened, in words for the player. */

import { tokensText } from "./tokens.js";

const UPGRADE_NAMES = { tap_level: "Tap power", energy_cap: "Energy store", energy_regen: "Recovery", offline: "Time away" };
const UPGRADE_EFFECTS = {
  tap_level: "Every tap is worth more",
  energy_cap: "More energy fits",
  energy_regen: "Energy comes back faster",
  offline: "Passive income lasts longer while you are away",
};
const BOOST_NAMES = { double: "Double tokens", full_energy: "Full energy" };
const BOOST_EFFECTS = { double: "Taps pay double for a while", full_energy: "Energy to the brim" };

const GRANTS = {
  transfer_received: "from another player",
  pool_share: "your share of the daily pool",
  referral_reward: "for somebody you invited",
  commission: "from those you invited",
  competition_prize: "a prize",
  competition_bonus: "a bonus",
  competition_refund: "paid back",
  compensation: "a compensation",
};

const REFUSALS = {
  "upgrade.buy": { insufficient: "You do not have enough tokens for that.", conflict: "That is at its highest level already." },
  "boost.use": { conflict: "No free boost of this kind is left today." },
  "transfer.send": {
    insufficient: "You do not have enough tokens for the amount and its fee.",
    conflict: "That is more than you may still send today.",
    forbidden: "You may not send tokens yet.",
    not_found: "There is no player with this id. Nothing was sent.",
    invalid_argument: "Tokens cannot be sent to yourself.",
  },
};

const RESULTS = {
  "upgrade.buy": ({ kind, level }) => `${upgradeName(kind)} is level ${level} now.`,
  "boost.use": ({ kind }) => (kind === "double" ? "Your taps pay double now!" : "Your energy is full again."),
  "transfer.send": ({ amount_mpt: amount, fee_mpt: fee }) => `Sent ${tokensText(amount)}; the fee was ${tokensText(fee)}.`,
};

/** What a newer server sells goes by its own name until there is a word for it here. */
export const upgradeName = (kind) => UPGRADE_NAMES[kind] ?? kind;
export const upgradeEffect = (kind) => UPGRADE_EFFECTS[kind] ?? "";
export const boostName = (kind) => BOOST_NAMES[kind] ?? kind;
export const boostEffect = (kind) => BOOST_EFFECTS[kind] ?? "";

/** @param {{kind: string, amount_mpt: number}} grant data of `grant.received` @returns {string} */
export function grantText({ kind, amount_mpt: amount }) {
  if (amount === 0) return kind === "full_energy" ? "Your energy was filled up." : "You were given something.";
  const why = GRANTS[kind];
  return why === undefined ? `${tokensText(amount)} came in.` : `${tokensText(amount)} came in: ${why}.`;
}

/** @param {{name: string, result: object}} detail of the client's `result` @returns {string} empty where nobody asked to be told */
export const resultText = ({ name, result }) => (result.repeat === true ? "" : RESULTS[name]?.(result) ?? "");

/** @param {{name: string, error: string, message: string}} detail of the client's `refused` @returns {string} */
export function refusalText({ name, error, message }) {
  if (error === "internal") return "The server failed at this. Nothing was changed.";
  return REFUSALS[name]?.[error] ?? `That was refused: ${message}.`;
}

/** @param {number} ms @returns {string} minutes and seconds like "0:42", begun ones counted */
export function countdownText(ms) {
  const s = Math.ceil(ms / 1_000);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
