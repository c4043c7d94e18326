/**
 * Who plays: logs in over HTTP and keeps the tokens, in memory only. A reload logs in again, by Telegram's initData or the name.
 */

import { LoginRequired } from "./client.js";

/** A login that will not succeed by trying again; `message` is for the player. */
export class LoginFailed extends Error {}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.ok) return response.json();
  const error = new Error(`HTTP ${response.status}`);
  error.status = response.status;
  throw error;
}

function explain(status, inTelegram) {
  if (status === 401 && inTelegram) return "Telegram's login has run out. Close the game and open it again.";
  if (status === 404 || status === 405) return "This server takes players from Telegram only. Open the game there.";
  if (status === 422) return inTelegram ? "Telegram's login could not be read. Close the game and open it again." : "Please choose another name.";
  if (status === 401 || status === 403) return "This login was not accepted.";
  return null;
}

export class Account {
  #way;
  #tokens = null;

  /** @param {{initData: string} | {name: string}} way how this player logs in */
  constructor(way) {
    this.#way = way;
  }

  /** The player's public id, after `login`. */
  get player() {
    return this.#tokens.player;
  }

  /** @throws {LoginFailed} when trying again does not help; anything else is a passing fault */
  async login() {
    const { initData, name } = this.#way;
    const inTelegram = initData !== undefined;
    try {
      this.#tokens = await (inTelegram ? post("/auth/login", { init_data: initData }) : post("/auth/dev", { name }));
    } catch (error) {
      const sentence = explain(error.status, inTelegram);
      throw sentence === null ? error : new LoginFailed(sentence);
    }
  }

  /** GameClient's `credentials`. */
  async credentials({ refresh }) {
    if (refresh) await this.#renew();
    return { token: this.#tokens.access };
  }

  async #renew() {
    const { player, refresh } = this.#tokens;
    try {
      this.#tokens = { ...this.#tokens, ...(await post("/auth/refresh", { refresh })) };
    } catch (error) {
      // Too often (429), or the server's fault: the refresh token is as good as before.
      if (error.status === undefined || error.status === 429 || error.status >= 500) throw error;
      await this.login().catch((reason) => {
        throw reason instanceof LoginFailed ? new LoginRequired(reason.message) : reason;
      });
      if (this.player !== player) throw new LoginRequired("Another player is logged in now. Reload the page.");
    }
  }
}
