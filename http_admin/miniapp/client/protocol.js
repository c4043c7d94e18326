/** Numbers of wire protocol version 1 (docs/wire). */

export const SUBPROTOCOL = "ppj.v1.msgpack";

export const Op = Object.freeze({
  HELLO: 1, TAP: 2, ACTION: 3, PING: 4,
  WELCOME: 64, TAPPED: 65, RESULT: 66, ERROR: 67, PONG: 68, EVENT: 69, DURABLE: 70, GOODBYE: 71,
});

/** What holds until WELCOME's `limits` says otherwise. */
export const DEFAULT_LIMITS = Object.freeze({ frame_bytes: 4096, taps_per_frame: 100, taps_per_s: 15, burst: 40 });

/** After a gap the server makes room for this many queued taps at most (docs/game, "Rate bucket"). */
export const MAX_TAPS_AFTER_GAP = 900;

/** The server keeps the results of this many actions of a lineage, so no more may wait unanswered. */
export const MAX_UNANSWERED_ACTIONS = 64;
