/**
 * One lasting connection made of many sockets: opens them, says HELLO, notices when one is dead, and follows the close-code policy.
 *
 * It knows nothing of operations. Its owner gives it `handlers`:
 *   hello()                   -> HELLO's fields beyond the credentials
 *   welcomed(welcome, nowMs)  WELCOME came; the state is "live" right after it returns
 *   received(op, fields, nowMs)  any other frame
 *   lost()                    the socket is gone; nothing can be sent until the next WELCOME
 *   takenOver()               another socket speaks for the lineage: the owner draws a new one
 *   awaitsAnswers()           -> whether anything sent is unanswered
 *   stateChanged(state, detail), problem(where, message)
 */

import { decode, encode } from "../vendor/msgpack/index.mjs";
import { LoginRequired } from "./errors.js";
import { Op, SUBPROTOCOL } from "./protocol.js";
import { CloseCode, MAX_RECONNECTS_AFTER_OWN_FAULT, afterClose, isOwnFault } from "./reconnect.js";
import { ServerClock } from "./server_clock.js";

const WELCOME_DEADLINE_MS = 15_000;
/** Without a frame for this long while answers are due, the client asks whether the socket lives ... */
const SILENCE_WHILE_WAITING_MS = 5_000;
/** ... and this long after asking it takes the socket for dead. */
const PONG_DEADLINE_MS = 10_000;
const LIFE_CHECK_MS = 1_000;
/** A session that lasted this long was a success: the next failure starts the backoff anew. */
const STABLE_SESSION_MS = 10_000;

export class Connection {
  /** "idle" | "connecting" | "live" | "offline" (waiting to reconnect) | "stopped" */
  state = "idle";
  clock = new ServerClock();
  lastHeardMs;

  #options;
  #handlers;
  #socket = null;
  #run = 0; // counts attempts to connect, so that the late answer of an older one is known
  #attempts = 0; // failed in a row
  #ownFaults = 0;
  #takeovers = 0;
  #movedUrl = null;
  #mustRefresh = false;
  #liveSinceMs = null;
  #notBeforeMs = 0;
  #askedAtMs = null; // a PING was sent and nothing was heard since
  #ping = { n: 0, sentMs: 0 };
  #pingMs = 25_000;
  #timers = { reconnect: null, welcome: null, life: null };
  #listening = null;

  /** @param {object} options those of GameClient @param {object} handlers see above */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.lastHeardMs = options.now();
  }

  /** Begins anew, as if nothing had failed before; `connect` follows when the owner is ready. */
  prepare() {
    this.#attempts = this.#ownFaults = this.#takeovers = 0;
    this.#enter("connecting");
    this.#listening ??= this.#listen();
  }

  /** Opens a socket now, whatever wait was under way. */
  async connect() {
    this.#detach();
    const run = this.#run;
    if (this.state !== "connecting") this.#enter("connecting");
    this.#timers.welcome = setTimeout(() => this.#lost(1006, "no answer in time"), WELCOME_DEADLINE_MS);
    let credentials;
    try {
      credentials = await this.#options.credentials({ refresh: this.#mustRefresh });
    } catch (error) {
      if (run !== this.#run) return;
      if (error instanceof LoginRequired) this.halt(CloseCode.UNAUTHENTICATED, error.message);
      else this.#lost(1006, `login failed: ${error}`);
      return;
    }
    if (run !== this.#run) return;
    this.#mustRefresh = false;
    try {
      this.#open(credentials);
    } catch (error) {
      this.#handlers.problem("socket", String(error));
      this.#lost(1006, "the socket could not be opened");
    }
  }

  /** @param {unknown[]} frame */
  send(frame) {
    this.#socket.send(encode(frame));
  }

  /** Ends it: no socket, no timer, no listener is left. */
  halt(code, reason) {
    this.#liveSinceMs = null;
    this.#detach();
    this.#listening?.abort();
    this.#listening = null;
    this.#handlers.lost();
    this.#enter("stopped", { code, reason });
  }

  #enter(state, detail = {}) {
    this.state = state;
    this.#handlers.stateChanged(state, detail);
  }

  #open(credentials) {
    const socket = new this.#options.WebSocket(this.#movedUrl ?? this.#options.socketUrl, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const current = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onopen = current(() => {
      this.#ping = { n: 0, sentMs: this.#options.now() };
      this.send([Op.HELLO, 0, { ...credentials, ...this.#handlers.hello() }]);
    });
    socket.onmessage = current(({ data }) => this.#receive(data));
    socket.onclose = current(({ code, reason }) => this.#lost(code, reason));
  }

  /** Leaves the current socket or attempt, whatever state it is in; nothing of it is heard any more. */
  #detach() {
    this.#run += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#askedAtMs = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /** The connection is over: decides by the close code what follows. */
  #lost(code, reason, { reconnectAfterMs = 0, url = null } = {}) {
    const nowMs = this.#options.now();
    const wasLive = this.#liveSinceMs !== null;
    if (wasLive && nowMs - this.#liveSinceMs >= STABLE_SESSION_MS) this.#attempts = this.#takeovers = 0;
    this.#liveSinceMs = null;
    this.#detach();
    if (isOwnFault(code)) this.#ownFaults += 1;
    if (code === CloseCode.TOKEN_EXPIRED) this.#mustRefresh = true;
    if (code === CloseCode.MOVED && this.#maySwitchTo(url)) this.#movedUrl = url;
    else if (!wasLive) this.#movedUrl = null; // the node we were sent to does not answer: ask at the public door again
    const newLineage = code === CloseCode.LINEAGE_TAKEN_OVER && this.#takeovers++ < MAX_RECONNECTS_AFTER_OWN_FAULT;
    const next = afterClose(newLineage ? 1006 : code, {
      attempt: this.#attempts, ownFaults: this.#ownFaults, reconnectAfterMs, random: this.#options.random,
    });
    if (next.stop) return this.halt(code, reason);
    if (newLineage) this.#handlers.takenOver();
    this.#handlers.lost();
    this.#attempts += 1;
    this.#notBeforeMs = nowMs + next.notBeforeMs;
    this.#timers.reconnect = setTimeout(() => this.connect(), next.delayMs);
    this.#enter("offline", { code, reason, delayMs: next.delayMs });
  }

  /** A `ws:` address is followed only where we came by `ws:`; tokens do not leave TLS because a frame says so. */
  #maySwitchTo(url) {
    const scheme = (address) => /^(wss?):\/\//.exec(address ?? "")?.[1];
    return scheme(url) === "wss" || (scheme(url) === "ws" && scheme(this.#options.socketUrl) === "ws");
  }

  /** When the page or the network comes back there is no point in waiting on; only the server's own wish is kept. */
  #listen() {
    const listening = new AbortController();
    const { signal } = listening;
    const returning = () => {
      if (this.state === "live") this.#askForLife();
      else if (this.state === "offline" && this.#options.now() >= this.#notBeforeMs) this.connect();
    };
    globalThis.addEventListener("online", returning, { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && returning(), { signal });
    return listening;
  }

  #askForLife() {
    this.#ping = { n: this.#ping.n + 1, sentMs: this.#options.now() };
    this.#askedAtMs ??= this.#ping.sentMs;
    this.send([Op.PING, this.#ping.n, Math.round(this.#ping.sentMs)]);
  }

  #checkLife() {
    const nowMs = this.#options.now();
    const patienceMs = this.#handlers.awaitsAnswers() ? SILENCE_WHILE_WAITING_MS : this.#pingMs;
    if (this.#askedAtMs !== null) {
      if (nowMs - this.#askedAtMs >= PONG_DEADLINE_MS) return this.#lost(1006, "the server went silent");
    } else if (nowMs - this.lastHeardMs >= patienceMs) {
      this.#askForLife();
    }
    this.#timers.life = setTimeout(() => this.#checkLife(), LIFE_CHECK_MS);
  }

  #receive(data) {
    const nowMs = this.#options.now();
    this.lastHeardMs = nowMs;
    this.#askedAtMs = null;
    let op, fields;
    try {
      [op, ...fields] = decode(data);
    } catch (error) {
      return this.#handlers.problem("frame", String(error));
    }
    if (op === Op.WELCOME) this.#welcomed(fields[1], nowMs);
    else if (op === Op.PONG) this.#ponged(fields, nowMs);
    else if (op === Op.GOODBYE) this.#lost(fields[0], fields[1], { reconnectAfterMs: fields[2], url: fields[3] });
    else this.#handlers.received(op, fields, nowMs);
  }

  #welcomed(welcome, nowMs) {
    clearTimeout(this.#timers.welcome);
    this.clock.addSample(this.#ping.sentMs, nowMs, welcome.now_ms);
    this.#liveSinceMs = nowMs;
    this.#pingMs = welcome.ping_s * 1_000;
    this.#handlers.welcomed(welcome, nowMs);
    this.#enter("live");
    this.#askForLife(); // the first round trip without a login in it: a better sample for the clock
    this.#checkLife();
  }

  #ponged([n, , serverMs], nowMs) {
    if (n === this.#ping.n) this.clock.addSample(this.#ping.sentMs, nowMs, serverMs);
  }
}
