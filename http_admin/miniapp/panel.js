/** Panels over the page, and what is said to the player in whichever of them he is, or on the page. */

import { tokensText } from "./tokens.js";

const NOTICE_MS = 8_000;

/** Sets text only when it changed, so that a screen reader and the layout are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Says something that just happened. An open panel hides the page from everybody, so it is said there then.
 *
 * @param {string} text nothing is said where it is empty
 */
export function notify(text) {
  if (text === "") return;
  const said = document.createElement("p");
  said.textContent = text;
  const ofPanel = document.querySelector("dialog[open] .said");
  if (ofPanel !== null) {
    ofPanel.replaceChildren(said);
    return;
  }
  document.querySelector("#notices").append(said);
  setTimeout(() => said.remove(), NOTICE_MS);
}

/**
 * A button that says why it does nothing. It keeps the focus meanwhile, which a disabled one would lose.
 *
 * @param {HTMLButtonElement} button @param {HTMLElement} reason its `aria-describedby`
 * @param {{text: string, label?: string, why?: string, enabled: boolean}} state
 */
export function drawButton(button, reason, { text, label = text, why = "", enabled }) {
  setText(button, text);
  setText(reason, why);
  for (const [name, value] of [["aria-label", label], ["aria-disabled", String(!enabled)]]) {
    if (button.getAttribute(name) !== value) button.setAttribute(name, value);
  }
}

export const isEnabled = (button) => button.getAttribute("aria-disabled") !== "true";

export class Panel {
  #dialog;

  /** @param {HTMLDialogElement} dialog with `.close`, `.said` and `.balance` @param {HTMLButtonElement} opener @param {() => void} opened */
  constructor(dialog, opener, opened) {
    this.#dialog = dialog;
    opener.addEventListener("click", () => {
      dialog.querySelector(".said").replaceChildren();
      dialog.showModal();
      dialog.scrollTop = 0;
      opened();
    });
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    // Beside it is on it: its content covers it. A press that began inside, like one that selects text, closes nothing.
    let began = null;
    dialog.addEventListener("pointerdown", ({ target }) => (began = target));
    dialog.addEventListener("click", ({ target }) => target === dialog && began === dialog && dialog.close());
  }

  /** @param {{tokens: number}} view the client's */
  draw({ tokens }) {
    setText(this.#dialog.querySelector(".balance b"), tokensText(tokens));
  }

  get isOpen() {
    return this.#dialog.open;
  }
}
