/**
 * What to do when a socket has closed: the range of the close code is the policy (docs/wire, "Close codes").
 *
 * Pure: no socket, no clock. Full jitter (a delay drawn evenly between nothing and the bound) spreads the clients of a server that
 * went down over the whole bound, so that their return is no second outage.
 */

export const BACKOFF_BASE_MS = 500;
export const BACKOFF_CAP_MS = 15_000;
/** How often a client comes back after a close code that says the client itself is at fault. */
export const MAX_RECONNECTS_AFTER_OWN_FAULT = 3;

export const CloseCode = Object.freeze({
  MOVED: 4001,
  TOKEN_EXPIRED: 4011,
  UNAUTHENTICATED: 4501,
  LINEAGE_TAKEN_OVER: 4510,
});

const OWN_FAULT = new Set([1002, 1003, 1007, 1009]);

/**
 * @param {number} attempt failed attempts so far, from 0
 * @param {() => number} random evenly distributed in [0, 1)
 * @returns {number} delay in ms, evenly in [0, min(15 000, 500·2^attempt))
 */
export function fullJitterMs(attempt, random) {
  return random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 30));
}

/**
 * Decides what follows a closed socket.
 *
 * @param {number} code close code of the frame or of GOODBYE; 1006 when there was none
 * @param {{attempt: number, ownFaults: number, reconnectAfterMs?: number, random: () => number}} history
 *   `ownFaults` counts the closes of the own-fault kind so far, this one included
 * @returns {{stop: true} | {stop: false, notBeforeMs: number, delayMs: number}}
 *   `notBeforeMs` is the server's wish and is always kept; `delayMs` (it included) may be cut short when the network returns
 */
export function afterClose(code, { attempt, ownFaults, reconnectAfterMs = 0, random }) {
  if (code >= 4500 && code <= 4999) return { stop: true };
  if (OWN_FAULT.has(code) && ownFaults > MAX_RECONNECTS_AFTER_OWN_FAULT) return { stop: true };
  const notBeforeMs = code >= 4000 && code <= 4499 ? reconnectAfterMs : 0;
  return { stop: false, notBeforeMs, delayMs: notBeforeMs + fullJitterMs(attempt, random) };
}

/** @param {number} code @returns {boolean} whether this close says that the client broke the protocol */
export const isOwnFault = (code) => OWN_FAULT.has(code);
