/** The ×2 that runs: its countdown on the page, and the end of it, of which the server sends no word. */

import { setText } from "./panel.js";
import { countdownText } from "./words.js";

const AFTER_END_MS = 1_000; // our idea of the server's clock may be that wrong

export class DoubleClock {
  #client;
  #chip;
  #endsMs = 0; // of the ×2 whose end is still to come; 0 = none

  /** @param {import("./client.js").GameClient} client @param {HTMLElement} chip */
  constructor(client, chip) {
    this.#client = client;
    this.#chip = chip;
  }

  /** @param {{double_until_ms: number}} view the client's */
  draw({ double_until_ms: untilMs }) {
    const leftMs = untilMs - this.#client.serverNow();
    this.#chip.hidden = !(leftMs > 0);
    if (leftMs > 0) {
      this.#endsMs = untilMs;
      setText(this.#chip, `×2 · ${countdownText(leftMs)}`);
    } else if (this.#endsMs > 0 && leftMs <= -AFTER_END_MS) {
      this.#endsMs = 0;
      this.#client.action("state.get").catch(() => {}); // for the multiplier of now; the next WELCOME would have it, too
    }
  }
}
