/** The shop: upgrades for tokens, and the day's free boosts. What there is, and for how much, is what the server lists. */

import { FreshRead } from "./fresh_read.js";
import { Panel, drawButton, isEnabled, notify, setText } from "./panel.js";
import { tokensText } from "./tokens.js";
import { boostEffect, boostName, countdownText, refusalText, resultText, upgradeEffect, upgradeName } from "./words.js";

const OPERATIONS = ["upgrade.buy", "boost.use"];
const STOPPED = "The game is not connected";
const OFFLINE = "Waiting for the connection";

const timeText = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** One thing on offer: its words and its button. */
class Offer {
  /** @param {string} id unique on the page @param {string} title @param {string} effect @param {() => void} pressed */
  constructor(id, title, effect, pressed) {
    this.node = document.querySelector("#offer").content.firstElementChild.cloneNode(true);
    this.node.id = id;
    [this.button, this.note, this.reason] = ["button", ".note", ".reason"].map((selector) => this.node.querySelector(selector));
    this.node.querySelector("h4").textContent = title;
    this.node.querySelector(".effect").textContent = effect;
    this.reason.id = `${id}-reason`;
    this.button.setAttribute("aria-describedby", this.reason.id);
    this.button.addEventListener("click", () => isEnabled(this.button) && pressed());
  }

  draw({ note, ...button }) {
    setText(this.note, note);
    drawButton(this.button, this.reason, button);
  }
}

export class Shop {
  #client;
  #panel;
  #waiting;
  #lists;
  #offers = new Map(); // id -> Offer
  #list; // of `shop.list`

  /** @param {import("./client.js").GameClient} client @param {HTMLDialogElement} dialog @param {HTMLButtonElement} opener */
  constructor(client, dialog, opener) {
    this.#client = client;
    this.#waiting = dialog.querySelector(".waiting");
    this.#lists = { upgrade: dialog.querySelector(".upgrades"), boost: dialog.querySelector(".boosts") };
    this.#list = new FreshRead(client, "shop.list", () => this.#panel.isOpen, (fault) => this.#listed(fault));
    this.#panel = new Panel(dialog, opener, () => this.#opened());
    client.addEventListener("result", ({ detail }) => this.#answered(detail.name, resultText(detail)));
    client.addEventListener("refused", ({ detail }) => this.#answered(detail.name, refusalText(detail)));
  }

  /** @param {object | null} view the client's */
  draw(view) {
    if (!this.#panel.isOpen || view === null) return;
    this.#panel.draw(view);
    this.#waiting.hidden = this.#list.value !== null;
    if (this.#list.value === null) return;
    this.#list.checkClock();
    const pending = this.#client.pendingActions;
    const isPending = (name, kind) => pending.some((action) => action.name === name && action.args.kind === kind);
    for (const offer of this.#list.value.upgrades) this.#drawUpgrade(offer, view, isPending("upgrade.buy", offer.kind));
    for (const offer of this.#list.value.boosts) this.#drawBoost(offer, view, isPending("boost.use", offer.kind));
  }

  #drawUpgrade({ kind, level, top_level: topLevel, price_mpt: price }, view, isPending) {
    const name = upgradeName(kind);
    const drawn = this.#offer("upgrade", kind, name, upgradeEffect(kind), "upgrade.buy");
    const note = `Level ${level} of ${topLevel}`;
    const missing = price - view.tokens;
    const text = tokensText(price);
    const label = `${text}, ${name} to level ${level + 1}`;
    if (level >= topLevel) drawn.draw({ note, text: "Highest", label: `${name}: highest`, why: "There is no higher level", enabled: false });
    else if (isPending) drawn.draw({ note, text: "Buying …", label: `Buying … ${name}`, why: this.#whyPending(), enabled: false });
    else if (missing > 0) drawn.draw({ note, text, label, why: `${tokensText(missing)} short`, enabled: false });
    else drawn.draw({ note, text, label, ...this.#readiness() });
  }

  #drawBoost({ kind, left_today: left, free_per_day: perDay }, view, isPending) {
    const name = boostName(kind);
    const drawn = this.#offer("boost", kind, name, boostEffect(kind), "boost.use");
    const runsMs = kind === "double" ? view.double_until_ms - this.#client.serverNow() : 0;
    const note = `${left} of ${perDay} left ${runsMs > 0 ? `· runs\u00a0${countdownText(runsMs)}` : "today"}`;
    const text = "Use";
    const label = `Use ${name}`;
    if (isPending) drawn.draw({ note, text: "Using …", label: `Using … ${name}`, why: this.#whyPending(), enabled: false });
    else if (left === 0) drawn.draw({ note, text, label, why: `More from ${timeText(this.#list.value.resets_ms)}`, enabled: false });
    else if (kind === "full_energy" && view.energy >= view.energy_cap) drawn.draw({ note, text, label, why: "Your energy is full", enabled: false });
    else drawn.draw({ note, text, label, ...this.#readiness() });
  }

  #whyPending() {
    return this.#client.state === "live" ? "Waiting until it is safe" : OFFLINE;
  }

  #readiness() {
    if (this.#client.state === "stopped") return { why: STOPPED, enabled: false };
    if (this.#list.isFresh) return { enabled: true };
    // Never for another price than the one on the button. The answer is nearly here, unless there is no connection.
    return { why: this.#client.state === "live" ? "" : OFFLINE, enabled: false };
  }

  #offer(list, kind, title, effect, name) {
    const id = `${list}-${kind}`;
    let offer = this.#offers.get(id);
    if (offer === undefined) {
      offer = new Offer(id, title, effect, () => this.#operate(name, kind));
      this.#offers.set(id, offer);
      this.#lists[list].append(offer.node);
    }
    return offer;
  }

  /** The answer is told by the events, also when this page is not the one that asked; what the client itself refuses, only here. */
  #operate(name, kind) {
    this.#client.action(name, { kind }).catch((error) => error.code === 0 && notify(`That could not be sent: ${error.message}.`));
  }

  #opened() {
    this.#list.outdated();
    this.draw(this.#client.view());
  }

  #answered(name, text) {
    if (!OPERATIONS.includes(name)) return;
    notify(text);
    this.#list.outdated();
  }

  #listed(fault) {
    if (fault !== "") notify(`The shop could not be read: ${fault}.`);
    this.draw(this.#client.view());
  }
}
