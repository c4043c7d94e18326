/**
 * GameClient: one player's connection to the game server, in any browser. The module to copy, together with the folder `client/` and
 * `vendor/msgpack/`; nothing else is needed. docs/client.md shows its use and says what is guaranteed.
 *
 * The promise: a tap or action it accepted reaches the server exactly once, whatever happens to the network, the server or this page,
 * as long as the tab lives and for at most seven days. It numbers operations, keeps them in `storage` until the server says they are
 * durable, and after every reconnect sends again what the server has not applied (docs/wire, "Operations").
 */

import { encode } from "./vendor/msgpack/index.mjs";
import { Connection } from "./client/connection.js";
import { GameError, LoginRequired } from "./client/errors.js";
import { holdLineage } from "./client/lineage_lock.js";
import { PlayerPrediction } from "./client/prediction.js";
import { DEFAULT_LIMITS, MAX_TAPS_AFTER_GAP, MAX_UNANSWERED_ACTIONS, Op } from "./client/protocol.js";
import { OperationQueue, SEQ_ROLLOVER } from "./client/queue.js";
import { BACKOFF_CAP_MS } from "./client/reconnect.js";

export { GameError, LoginRequired };

const BATCH_TAPS = 50;
const BATCH_MAX_MS = 1_000;
const OPERATIONS_IN_FLIGHT = 32;

/** Reading `sessionStorage` throws where a browser keeps storage from embedded pages: then the queue lives in memory. */
function storageOfThisTab() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

export class GameClient extends EventTarget {
  /** WELCOME's `limits`. */
  limits = DEFAULT_LIMITS;
  /** The player's public id, from WELCOME. */
  player = null;

  #options;
  #connection;
  #queue;
  #prediction = new PlayerPrediction();
  #settlers = new Map(); // action operation -> {resolve, reject}
  #channels = new Map(); // name -> [epoch, offset]
  #releaseLineage = () => {};
  #batchTimer = null;
  #blockTimer = null; // runs while the lineage waits out a retryable error
  #retries = { seq: 0, count: 0 };
  #appliedSeq = 0; // of the last WELCOME
  #listening = new AbortController();

  /**
   * @param {object} options
   * @param {string} options.socketUrl `ws://` or `wss://` address of the game socket
   * @param {string} options.account names whose queue this is (the player's public id): a tab that changes players keeps the queues apart
   * @param {(need: {refresh: boolean}) => Promise<{token: string} | {init_data: string}>} options.credentials asked before every
   *   connection; `refresh` is true when the server called the last token expired. Throws LoginRequired to stop the client; anything
   *   else it throws is tried again.
   * @param {Storage | null} [options.storage] where the queue survives a reload; must not be shared between tabs
   * @param {string} [options.device] @param {string} [options.client] what HELLO says about this device and program
   * @param {number} [options.batchMs] taps are sent after this long, or 50 taps; at most 1 000
   * @param {typeof WebSocket} [options.WebSocket] @param {LockManager} [options.locks]
   * @param {() => number} [options.now] ms since 1970, never going back within the page
   * @param {() => number} [options.random] @param {(length: number) => Uint8Array} [options.randomBytes]
   */
  constructor(options) {
    super();
    this.#options = {
      storage: storageOfThisTab(),
      device: "web",
      client: "ppj-client-js/1",
      batchMs: 500,
      WebSocket: globalThis.WebSocket,
      locks: globalThis.navigator.locks,
      now: () => performance.timeOrigin + performance.now(),
      random: Math.random,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
      ...options,
    };
    const { storage, account, randomBytes } = this.#options;
    const problem = (where, message) => this.#emit("problem", { where, message });
    const onStorageFailure = (error) => problem("storage", String(error));
    this.#queue = new OperationQueue({ storage, key: `ppj.queue.${account}`, randomBytes, onStorageFailure });
    this.#connection = new Connection(this.#options, {
      hello: () => this.#hello(),
      welcomed: (welcome, nowMs) => this.#welcomed(welcome, nowMs),
      received: (op, fields, nowMs) => this.#received(op, fields, nowMs),
      lost: () => this.#lost(),
      takenOver: () => this.#leaveLineage(),
      awaitsAnswers: () => this.#queue.operations.some(({ sent, answered }) => sent && !answered),
      stateChanged: (state, detail) => this.#stateChanged(state, detail),
      problem,
    });
  }

  // ---- what an application uses ------------------------------------------------------------------------------------------------

  /** @returns {"idle" | "connecting" | "live" | "offline" | "stopped"} "offline" waits to reconnect by itself, "stopped" does not */
  get state() {
    return this.#connection.state;
  }

  /** Connects, and stays connected until `stop` or until the server says to stop. */
  async start() {
    if (this.state !== "idle" && this.state !== "stopped") return;
    this.#connection.prepare();
    this.#listening = new AbortController();
    globalThis.addEventListener("pagehide", () => this.#flushTaps(), { signal: this.#listening.signal });
    await this.#holdLineage();
    if (this.state === "connecting") await this.#connection.connect();
  }

  /** Closes the socket and stays away. What is not durable stays in storage for the next start. */
  stop() {
    this.#flushTaps();
    this.#connection.halt(1000, "stopped by the application");
  }

  /** @returns {boolean} whether the tap was taken; false without energy, when stopped, or when the queue is full (docs/client.md) */
  tap() {
    if (!this.#mayTap()) return false;
    const nowMs = this.#options.now();
    const operation = this.#queue.addTap(nowMs);
    this.#prediction.noteTap(nowMs);
    if (operation.count >= Math.min(BATCH_TAPS, this.limits.taps_per_frame)) this.#flushTaps();
    else this.#batchTimer ??= setTimeout(() => this.#flushTaps(), Math.min(BATCH_MAX_MS, this.#options.batchMs));
    this.#emit("change");
    return true;
  }

  /**
   * @param {string} name like `mission.claim`
   * @param {object} [args] JSON values only: it must be the same after a reload
   * @param {{signal?: AbortSignal}} [options] aborting gives the action up as soon as the server is known not to have done it
   * @returns {Promise<unknown>} the server's result; rejects with GameError on a final error, with the signal's reason when given up
   */
  async action(name, args = {}, { signal } = {}) {
    signal?.throwIfAborted();
    const kept = JSON.parse(JSON.stringify(args));
    this.#checkAction(name, kept);
    this.#flushTaps();
    const operation = this.#queue.addAction(name, kept, this.#options.now());
    return new Promise((resolve, reject) => {
      this.#settlers.set(operation, { resolve, reject });
      signal?.addEventListener("abort", () => this.#abandon(operation, signal.reason), { once: true });
      this.#pump();
      this.#emit("change");
    });
  }

  /** @returns {object | null} the player's numbers with every pending tap counted, for the screen; null before the first WELCOME */
  view() {
    return this.#prediction.view(this.#queue.unansweredTaps, this.#options.now());
  }

  /** @returns {object | null} the numbers as the server last confirmed them; null before the first WELCOME */
  get confirmed() {
    return this.#prediction.confirmed;
  }

  /** @returns {number} operations that are not both answered and durable yet */
  get pending() {
    return this.#queue.operations.length;
  }

  /** @returns {{seq: number, name: string, args: object}[]} actions without an answer, in order; also those of before a reload */
  get pendingActions() {
    const waiting = this.#queue.operations.filter(({ kind, answered }) => kind === "action" && !answered);
    return waiting.map(({ seq, name, args }) => ({ seq, name, args }));
  }

  /** @returns {number} the server's clock now, in ms since 1970 */
  serverNow() {
    return this.#options.now() + this.#connection.clock.offsetMs;
  }

  // ---- the lineage -------------------------------------------------------------------------------------------------------------

  /** Comes back holding the lock of the queue's lineage, which is a new one if another tab holds the old one's. */
  async #holdLineage() {
    while (true) {
      const release = await holdLineage(this.#options.locks, this.#queue.lineage);
      if (release !== null) {
        this.#releaseLineage();
        this.#releaseLineage = release;
        if (this.state === "stopped") release();
        return;
      }
      this.#queue.startLineage({ keepFresh: true }); // this tab is a copy: the other one delivers what the storage held
    }
  }

  /** Another socket speaks for our lineage (a copied tab, where locks could not tell): what the queue holds is in its hands now. */
  #leaveLineage() {
    for (const operation of this.#queue.operations) {
      this.#settle(operation, new GameError(0, "taken_over", "another tab took this action over"));
    }
    this.#queue.startLineage();
    this.#holdLineage();
  }

  /** Begins a new lineage before the numbers of the old one run out, at a moment when nothing of it is pending. */
  async #rollOverLineage() {
    if (this.#queue.nextSeq < SEQ_ROLLOVER || this.pending > 0) return;
    this.#queue.startLineage();
    await this.#holdLineage();
    await this.#connection.connect();
  }

  // ---- operations, outwards ----------------------------------------------------------------------------------------------------

  #emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #mayTap() {
    if (this.state === "stopped" || this.#queue.full) return false;
    const view = this.view();
    if (view !== null && view.energy < 1) return false;
    if (this.state === "live") return true;
    // Without a connection: only as many taps as the server's bucket will have room for when we return.
    const { burst, taps_per_s: tapsPerS } = this.limits;
    const awayS = (this.#options.now() - this.#connection.lastHeardMs) / 1_000;
    return this.#queue.unansweredTaps < Math.max(burst, Math.min(MAX_TAPS_AFTER_GAP, tapsPerS * awayS));
  }

  #checkAction(name, args) {
    if (this.#queue.full) throw new GameError(0, "queue_full", "the numbers of this lineage are used up; wait until the queue is empty");
    const waiting = this.pendingActions.length;
    if (waiting >= MAX_UNANSWERED_ACTIONS) throw new GameError(0, "queue_full", `${waiting} actions wait for their answers already`);
    const bytes = encode([Op.ACTION, this.#queue.nextSeq, name, args]).length;
    if (bytes > this.limits.frame_bytes) throw new GameError(0, "too_large", `the action needs ${bytes} bytes, a frame holds ${this.limits.frame_bytes}`);
  }

  #flushTaps() {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = null;
    this.#queue.seal(this.#options.now());
    this.#pump();
  }

  /** Sends what is due, in order, a bounded number at a time. */
  #pump() {
    if (this.state !== "live" || this.#blockTimer !== null) return;
    const { operations } = this.#queue;
    let inFlight = operations.filter(({ sent, answered }) => sent && !answered).length;
    for (const operation of operations) {
      if (inFlight >= OPERATIONS_IN_FLIGHT) return;
      if (operation.sent || operation.open) continue;
      operation.sent = true;
      operation.fresh = false;
      inFlight += 1;
      const { seq, kind, count, dtMs, name, args } = operation;
      this.#connection.send(kind === "tap" ? [Op.TAP, seq, count, dtMs] : [Op.ACTION, seq, name, args]);
    }
  }

  #settle(operation, error, result) {
    const settlers = this.#settlers.get(operation);
    this.#settlers.delete(operation);
    if (error !== null) settlers?.reject(error);
    else settlers?.resolve(result);
  }

  #abandon(operation, reason) {
    if (!this.#settlers.has(operation)) return;
    operation.abandoned = { reason };
    // Never sent, or sent back by the server: it was not done. Otherwise the next retryable error or WELCOME tells.
    const undone = operation.fresh || (this.state === "live" && !operation.sent && operation.seq > this.#appliedSeq);
    if (undone) this.#replaceAbandoned(operation.seq);
  }

  /** Puts a noop in the place of what was abandoned, from `fromSeq` on: the server is known not to have done it. */
  #replaceAbandoned(fromSeq) {
    for (const operation of this.#queue.operations) {
      if (operation.abandoned === undefined || operation.sent || operation.seq < fromSeq) continue;
      this.#settle(operation, operation.abandoned.reason);
      Object.assign(operation, { name: "noop", args: {}, abandoned: undefined });
    }
    this.#queue.save();
  }

  // ---- the connection ----------------------------------------------------------------------------------------------------------

  #stateChanged(state, detail) {
    if (state === "stopped") {
      this.#listening.abort();
      this.#releaseLineage();
    }
    this.#emit("state", { state, ...detail });
    if (state === "live") {
      this.#pump();
      this.#emit("change");
    }
  }

  #hello() {
    for (const operation of this.#queue.dropExpired(this.#options.now())) {
      this.#settle(operation, new GameError(0, "too_old", "the action waited longer than seven days"));
    }
    const { device, client } = this.#options;
    return { lineage: this.#queue.lineageBytes, device, client, channels: Object.fromEntries(this.#channels) };
  }

  #lost() {
    clearTimeout(this.#blockTimer);
    this.#blockTimer = null; // a new HELLO ends the server's side of the block too
  }

  #welcomed(welcome, nowMs) {
    this.limits = { ...DEFAULT_LIMITS, ...welcome.limits };
    this.player = welcome.player;
    this.#queue.resume(welcome.applied_seq, welcome.durable_seq);
    this.#appliedSeq = welcome.applied_seq;
    this.#replaceAbandoned(welcome.applied_seq + 1);
    this.#prediction.welcomed(welcome, nowMs);
    const unrecovered = [];
    for (const [name, { epoch, offset, recovered }] of Object.entries(welcome.channels)) {
      if (!recovered) unrecovered.push(name);
      // The events of a recovered channel follow one by one from where we were; otherwise its snapshot stands at `offset`.
      if (!recovered || !this.#channels.has(name)) this.#channels.set(name, [epoch, offset]);
    }
    this.#emit("welcome", { ...welcome, unrecovered });
  }

  #received(op, fields, nowMs) {
    if (op === Op.TAPPED) this.#tapped(fields, nowMs);
    else if (op === Op.RESULT) this.#resulted(fields, nowMs);
    else if (op === Op.ERROR) this.#failed(fields);
    else if (op === Op.EVENT) this.#happened(fields, nowMs);
    else if (op === Op.DURABLE) this.#progressed(fields[0]);
  }

  #tapped([seq, accepted, tokens, xp, level, energy, combo, durableSeq], nowMs) {
    const operation = this.#queue.markAnswered(seq);
    this.#prediction.tapped(seq, { accepted, tokens, xp, level, energy, combo }, nowMs);
    this.#emit("tapped", { seq, count: operation?.count ?? 0, accepted });
    this.#progressed(durableSeq);
  }

  #resulted([seq, result, durableSeq], nowMs) {
    const operation = this.#queue.markAnswered(seq);
    const told = operation?.name === "state.get" && result?.repeat !== true ? { state: result } : result;
    if (told?.state) this.#prediction.resulted(seq, told, nowMs);
    if (operation !== null) {
      this.#settle(operation, null, result);
      this.#emit("result", { seq, name: operation.name, args: operation.args, result });
    }
    this.#progressed(durableSeq);
  }

  #failed([seq, code, name, message, retryAfterMs]) {
    if (seq === 0) this.#emit("problem", { where: "protocol", message: `${name}: ${message}` });
    else if (retryAfterMs > 0) this.#waitAndRepeat(seq, retryAfterMs);
    else {
      const operation = this.#queue.markAnswered(seq);
      if (operation === null) return;
      this.#settle(operation, new GameError(code, name, message));
      this.#emit("refused", { seq, name: operation.name, args: operation.args, code, error: name, message });
      this.#progressed(0);
    }
  }

  /** Go back N: nothing after `seq` counts until `seq` itself has been sent again. */
  #waitAndRepeat(seq, retryAfterMs) {
    const operation = this.#queue.find(seq);
    if (operation === null || operation.answered || !operation.sent) return; // a later one of the same block
    this.#retries = { seq, count: this.#retries.seq === seq ? this.#retries.count + 1 : 0 };
    this.#queue.rewind(seq);
    this.#replaceAbandoned(seq);
    const jitterMs = this.#options.random() * Math.min(BACKOFF_CAP_MS, retryAfterMs * 2 ** Math.min(this.#retries.count, 10));
    clearTimeout(this.#blockTimer);
    this.#blockTimer = setTimeout(() => {
      this.#blockTimer = null;
      this.#pump();
    }, retryAfterMs + jitterMs);
  }

  #happened([channel, offset, name, data], nowMs) {
    const known = this.#channels.get(channel);
    if (offset > 0 && known !== undefined) known[1] = offset;
    if (data?.state) this.#prediction.adopt(data.state, nowMs);
    this.#emit("event", { channel, offset, name, data });
    if (data?.state) this.#emit("change");
  }

  /** An answer or a watermark came: forget what is done, send what is next. */
  #progressed(durableSeq) {
    this.#queue.setDurable(Math.max(durableSeq, this.#queue.durableSeq));
    this.#rollOverLineage();
    this.#pump();
    this.#emit("change");
  }
}
