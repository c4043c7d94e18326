/**
 * The server's clock as seen from here.
 *
 * Every answer that carries the server's time gives one sample: offset = server − (sent + received)/2, wrong by at most half its
 * round trip. Of the last samples the one with the shortest round trip is believed (the minimum filter of NTP, RFC 5905 §10).
 */

const SAMPLES_KEPT = 8;

export class ServerClock {
  #samples = [];

  /**
   * @param {number} sentMs local time at which the question was sent
   * @param {number} receivedMs local time at which the answer came
   * @param {number} serverMs the server's time in the answer
   */
  addSample(sentMs, receivedMs, serverMs) {
    const rttMs = Math.max(0, receivedMs - sentMs);
    this.#samples.push({ rttMs, offsetMs: serverMs - (sentMs + receivedMs) / 2 });
    if (this.#samples.length > SAMPLES_KEPT) this.#samples.shift();
  }

  /** @returns {{offsetMs: number, rttMs: number} | null} the best sample; null before the first */
  best() {
    return this.#samples.reduce((best, sample) => (best === null || sample.rttMs <= best.rttMs ? sample : best), null);
  }

  /** @returns {number} what to add to the local clock to get the server's, in ms; 0 before the first sample */
  get offsetMs() {
    return this.best()?.offsetMs ?? 0;
  }
}
