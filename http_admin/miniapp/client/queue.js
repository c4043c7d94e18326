/**
 * The numbered operations of one lineage, kept until they need not be sent again.
 *
 * Every change is written to storage before anything is sent, so a reload never reuses a number for another operation. Taps gather
 * in the last operation while it is `open`: it has its number and lies in storage like any other, it only has not been sent yet.
 *
 * An operation: `{seq, kind: "tap", count, firstMs, dtMs, open?}` or `{seq, kind: "action", name, args}`, each with `madeMs`,
 * `answered` (TAPPED, RESULT or a final ERROR came, or WELCOME said it was applied). Not stored: `sent` (on this socket), `fresh` (made
 * in this page and never on any wire, so its number may still change) and `abandoned` (its caller does not want it any more).
 */

/** Operations older than this are given up; the server keeps cursors longer (docs/wire, "Operations"). */
export const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
/** From here on a new lineage begins as soon as the queue is empty ... */
export const SEQ_ROLLOVER = 2 ** 32 - 2 ** 16;
/** ... and beyond this nothing can be numbered. */
export const SEQ_MAX = 2 ** 32 - 2;

const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export class OperationQueue {
  #storage;
  #key;
  #randomBytes;
  #onStorageFailure;

  /**
   * @param {object} options
   * @param {Storage | null} options.storage null keeps the queue in memory only
   * @param {string} options.key where it lies in `storage`
   * @param {(length: number) => Uint8Array} options.randomBytes
   * @param {(error: unknown) => void} [options.onStorageFailure] called when storage refuses a write
   */
  constructor({ storage, key, randomBytes, onStorageFailure = () => {} }) {
    this.#storage = storage;
    this.#key = key;
    this.#randomBytes = randomBytes;
    this.#onStorageFailure = onStorageFailure;
    this.operations = [];
    if (!this.#load()) this.startLineage();
  }

  #load() {
    try {
      const saved = JSON.parse(this.#storage?.getItem(this.#key) ?? "null");
      if (!/^[0-9a-f]{32}$/.test(saved?.lineage ?? "") || !Array.isArray(saved.operations)) return false;
      this.lineage = saved.lineage;
      this.nextSeq = saved.nextSeq;
      this.durableSeq = saved.durableSeq;
      this.operations = saved.operations.map((operation) => ({ ...operation, open: false, sent: false, fresh: false }));
      return true;
    } catch {
      return false; // unreadable storage is no queue: a new lineage is always right
    }
  }

  /**
   * Draws a new lineage; what was in the old one is forgotten.
   *
   * @param {{keepFresh?: boolean}} [options] takes along what was made in this page and never sent, with new numbers
   */
  startLineage({ keepFresh = false } = {}) {
    this.lineage = toHex(this.#randomBytes(16));
    this.nextSeq = 1;
    this.durableSeq = 0;
    this.operations = keepFresh ? this.operations.filter(({ fresh }) => fresh) : [];
    for (const operation of this.operations) operation.seq = this.nextSeq++;
    this.save();
  }

  save() {
    if (this.#storage === null) return;
    const { lineage, nextSeq, durableSeq } = this;
    const operations = this.operations.map(({ sent, fresh, abandoned, ...kept }) => kept);
    try {
      this.#storage.setItem(this.#key, JSON.stringify({ lineage, nextSeq, durableSeq, operations }));
    } catch (error) {
      this.#onStorageFailure(error); // full or forbidden: the queue goes on in memory
    }
  }

  /** @returns {Uint8Array} the 16 bytes HELLO carries */
  get lineageBytes() {
    return Uint8Array.from(this.lineage.match(/../g), (pair) => Number.parseInt(pair, 16));
  }

  get full() {
    return this.nextSeq > SEQ_MAX;
  }

  /** @returns {number} taps that no answer has come for */
  get unansweredTaps() {
    return this.operations.reduce((sum, { kind, count, answered }) => sum + (kind === "tap" && !answered ? count : 0), 0);
  }

  get openTap() {
    const last = this.operations.at(-1);
    return last?.open ? last : null;
  }

  /** Adds one tap to the open operation, or opens one. Callers check `full` first. @returns {object} the operation */
  addTap(nowMs) {
    let tap = this.openTap;
    if (tap === null) {
      tap = { seq: this.nextSeq++, kind: "tap", count: 0, firstMs: nowMs, dtMs: 0, madeMs: nowMs, answered: false, open: true, sent: false, fresh: true };
      this.operations.push(tap);
    }
    tap.count += 1;
    this.save();
    return tap;
  }

  /** Ends the open operation, so that it may be sent. */
  seal(nowMs) {
    const tap = this.openTap;
    if (tap === null) return;
    tap.open = false;
    tap.dtMs = Math.min(600_000, Math.max(0, Math.round(nowMs - tap.firstMs)));
    this.save();
  }

  /** @returns {object} the new operation; callers seal first, so that order stays */
  addAction(name, args, nowMs) {
    const action = { seq: this.nextSeq++, kind: "action", name, args, madeMs: nowMs, answered: false, sent: false, fresh: true };
    this.operations.push(action);
    this.save();
    return action;
  }

  find(seq) {
    return this.operations.find((operation) => operation.seq === seq) ?? null;
  }

  /** @returns {object | null} the operation, now answered; null when it is not, or no longer, in the queue */
  markAnswered(seq) {
    const operation = this.find(seq);
    if (operation !== null) operation.answered = true;
    return operation;
  }

  /** Takes over `durableSeq` and forgets what is both durable and answered. */
  setDurable(durableSeq) {
    this.durableSeq = durableSeq;
    this.operations = this.operations.filter(({ seq, answered }) => !answered || seq > durableSeq);
    this.save();
  }

  /**
   * Decides what a new socket has to send again (docs/wire, "Operations"): every operation above `appliedSeq` — also those that were
   * answered once: a server that crashed may have lost what was not durable — and every action that was never answered. A tap the
   * server has applied needs no answer any more: WELCOME's state holds it.
   */
  resume(appliedSeq, durableSeq) {
    // Storage that a browser restored from an older moment may lag behind the server's cursor. New operations must not be numbered
    // below it, they would be taken for repeats; those not sent yet move above it.
    this.nextSeq = Math.max(this.nextSeq, appliedSeq + 1);
    if (this.operations.some(({ fresh, seq }) => fresh && seq <= appliedSeq)) {
      for (const operation of this.operations) if (operation.fresh) operation.seq = this.nextSeq++;
    }
    for (const operation of this.operations) {
      if (operation.seq > appliedSeq) operation.answered = false;
      else if (operation.kind === "tap") operation.answered = true;
      operation.sent = operation.answered;
    }
    this.setDurable(durableSeq);
  }

  /** Go back N: from `seq` on everything unanswered is to be sent again. */
  rewind(seq) {
    for (const operation of this.operations) if (operation.seq >= seq && !operation.answered) operation.sent = false;
  }

  /** @returns {object[]} the operations that are too old to be sent, now removed */
  dropExpired(nowMs) {
    const expired = this.operations.filter(({ madeMs }) => nowMs - madeMs > MAX_AGE_MS);
    if (expired.length > 0) {
      this.operations = this.operations.filter((operation) => !expired.includes(operation));
      this.save();
    }
    return expired;
  }
}
