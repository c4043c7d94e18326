/** Sending tokens to another player: written, looked over, sent. What it costs and takes is what the server tells. */

import { FreshRead } from "./fresh_read.js";
import { Panel, drawButton, isEnabled, notify, setText } from "./panel.js";
import { parseTokens, tokensText } from "./tokens.js";
import { refusalText, resultText } from "./words.js";

const BP = 10_000;
const PUBLIC_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class Transfer {
  #client;
  #panel;
  #part;
  #terms; // of `transfer.terms`
  #order = null; // what is being looked over
  #wasTried = false; // faults are told from the first attempt on

  /** @param {import("./client.js").GameClient} client @param {HTMLDialogElement} dialog @param {HTMLButtonElement} opener */
  constructor(client, dialog, opener) {
    this.#client = client;
    const part = Object.fromEntries([...dialog.querySelectorAll("[id^=transfer-]")].map((node) => [node.id.slice("transfer-".length), node]));
    this.#part = part;
    this.#terms = new FreshRead(client, "transfer.terms", () => this.#panel.isOpen, (fault) => this.#toldTerms(fault));
    this.#panel = new Panel(dialog, opener, () => this.#opened());
    part.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#lookOver();
    });
    part.form.addEventListener("input", () => this.#drawForm());
    part.back.addEventListener("click", () => {
      this.#ask(null);
      part.amount.focus();
    });
    part.send.addEventListener("click", () => this.#send());
    part.own.addEventListener("focus", () => part.own.select());
    part.copy.hidden = navigator.clipboard === undefined; // only https and localhost have one
    part.copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(part.own.value).then(() => notify("Your id was copied."), () => part.own.focus());
    });
    client.addEventListener("result", ({ detail }) => this.#answered(detail, resultText(detail), true));
    client.addEventListener("refused", ({ detail }) => this.#answered(detail, refusalText(detail), false));
  }

  /** @param {object | null} view the client's */
  draw(view) {
    if (!this.#panel.isOpen || view === null) return;
    this.#panel.draw(view);
    if (this.#part.own.value !== this.#client.player) this.#part.own.value = this.#client.player;
    this.#terms.checkClock();
    const why = this.#whyNot(view);
    const text = this.#isPending ? "Sending …" : "Look it over";
    drawButton(this.#part.review, this.#part.reason, { text, why, enabled: why === "" });
    this.#drawForm();
  }

  get #isPending() {
    return this.#client.pendingActions.some(({ name }) => name === "transfer.send");
  }

  #opened() {
    this.#wasTried = false;
    this.#ask(null);
    this.#terms.outdated();
    this.draw(this.#client.view());
  }

  /** @returns {string} why nothing can be sent now, whatever is written; empty if it can */
  #whyNot(view) {
    if (this.#client.state === "stopped") return "The game is not connected";
    if (this.#isPending) return this.#client.state === "live" ? "Waiting until it is safe" : "Waiting for the connection";
    if (this.#terms.value === null) return "Asking the server …";
    const { min_level: minLevel, from_ms: fromMs, left_today_mpt: left, min_mpt: least, resets_ms: resetsMs } = this.#terms.value;
    if (view.level < minLevel) return `Sending tokens takes level ${minLevel}`;
    if (this.#client.serverNow() < fromMs) return `Your account may send tokens from ${new Date(fromMs).toLocaleString()}`;
    if (left < least) return `You may send more from ${new Date(resetsMs).toLocaleTimeString()}`;
    return "";
  }

  #fee(amount) {
    return Math.ceil((amount * this.#terms.value.fee_bp) / BP);
  }

  /** What is written, and what is wrong with it. */
  #read() {
    const { to: toField, amount: amountField } = this.#part;
    const to = toField.value.trim().toLowerCase();
    const amount = parseTokens(amountField.value);
    const faults = { to: "", amount: "" };
    if (!PUBLIC_ID.test(to)) faults.to = "An id looks like 7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d.";
    else if (to === this.#client.player) faults.to = "This is your own id.";
    const { min_mpt: least, left_today_mpt: left } = this.#terms.value;
    if (amount === null) faults.amount = "Write an amount like 12.5.";
    else if (amount < least) faults.amount = `At least ${tokensText(least)}.`;
    else if (amount > left) faults.amount = `At most ${tokensText(left)} more today.`;
    else if (amount + this.#fee(amount) > this.#client.view().tokens) faults.amount = "With its fee that is more than you have.";
    return { to, amount, faults };
  }

  #drawForm() {
    if (this.#terms.value === null) return;
    const { amount, faults } = this.#read();
    const isPriced = amount !== null && amount >= this.#terms.value.min_mpt && amount <= this.#terms.value.left_today_mpt;
    const cost = isPriced ? `Fee ${tokensText(this.#fee(amount))} · ${tokensText(amount + this.#fee(amount))} in all` : `Fee ${this.#terms.value.fee_bp / 100}\u00a0%`;
    setText(this.#part.cost, cost);
    for (const name of ["to", "amount"]) {
      setText(this.#part[`${name}-fault`], this.#wasTried ? faults[name] : "");
      this.#part[name].setAttribute("aria-invalid", String(this.#wasTried && faults[name] !== ""));
    }
  }

  #lookOver() {
    if (!isEnabled(this.#part.review)) return;
    const { to, amount, faults } = this.#read();
    this.#wasTried = true;
    this.#drawForm();
    if (faults.to !== "") this.#part.to.focus();
    else if (faults.amount !== "") this.#part.amount.focus();
    else this.#ask({ to, amount });
  }

  /** Shows the question instead of the form, or the form again for null. */
  #ask(order) {
    this.#order = order;
    this.#part.form.hidden = order !== null;
    this.#part.confirm.hidden = order === null;
    if (order === null) return;
    const { to, amount } = order;
    const fee = this.#fee(amount);
    const costs = `With the fee of ${tokensText(fee)} it costs you ${tokensText(amount + fee)}.`;
    setText(this.#part.question, `Send ${tokensText(amount)} to ${to}? ${costs} It cannot be taken back.`);
    this.#part.question.focus();
  }

  #send() {
    const { to, amount } = this.#order;
    this.#client
      .action("transfer.send", { to, amount_mpt: amount })
      .catch((error) => error.code === 0 && notify(`That could not be sent: ${error.message}.`));
    this.#ask(null);
    this.draw(this.#client.view());
    this.#part.review.focus();
  }

  #answered({ name, args }, text, isDone) {
    if (name !== "transfer.send") return;
    if (isDone && this.#part.to.value.trim().toLowerCase() === args.to && parseTokens(this.#part.amount.value) === args.amount_mpt) {
      this.#part.form.reset();
      this.#wasTried = false;
    }
    notify(text);
    this.#terms.outdated();
  }

  #toldTerms(fault) {
    if (fault !== "") notify(`What sending takes could not be read: ${fault}.`);
    this.draw(this.#client.view());
  }
}
