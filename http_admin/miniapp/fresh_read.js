/** What a reading action of the server tells, asked for anew whenever it may have changed and somebody is looking. */

const AFTER_RESET_MS = 1_000; // our idea of the server's clock may be that wrong

export class FreshRead {
  /** The last answer; null before the first. */
  value = null;
  /** Whether nothing has happened since that may have changed it. */
  isFresh = false;

  #client;
  #name;
  #isWanted;
  #told;
  #isAsking = false;

  /**
   * @param {import("./client.js").GameClient} client
   * @param {string} name of an action whose result says in `resets_ms` until when it holds
   * @param {() => boolean} isWanted whether somebody is looking
   * @param {(fault: string) => void} told called after every answer; `fault` is empty if it was one
   */
  constructor(client, name, isWanted, told) {
    this.#client = client;
    this.#name = name;
    this.#isWanted = isWanted;
    this.#told = told;
    client.addEventListener("welcome", () => this.outdated());
  }

  /** A new day makes it outdated. */
  checkClock() {
    if (this.isFresh && this.value !== null && this.#client.serverNow() >= this.value.resets_ms + AFTER_RESET_MS) this.outdated();
  }

  /** It may be other than it was. */
  async outdated() {
    this.isFresh = false;
    if (!this.#isWanted() || this.#isAsking) return;
    this.#isAsking = true;
    let fault = "";
    try {
      while (!this.isFresh) {
        this.isFresh = true; // unless something happens meanwhile
        const value = await this.#client.action(this.#name);
        if (value.repeat === true) this.isFresh = false; // its own answer is gone
        else this.value = value;
      }
    } catch (error) {
      this.isFresh = false;
      fault = error.message;
    } finally {
      this.#isAsking = false;
    }
    this.#told(fault);
  }
}
