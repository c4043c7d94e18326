/** The page: shows what GameClient says, and turns fingers and keys into taps. */

import { Account, LoginFailed } from "./account.js";
import { GameClient } from "./client.js";
import { levelSpan, comboBonusBp, estimateTaps } from "./client/prediction.js";
import { fullJitterMs } from "./client/reconnect.js";
import { DoubleClock } from "./double.js";
import { notify, setText } from "./panel.js";
import { recallName, rememberName } from "./remembered_name.js";
import { Shop } from "./shop.js";
import { announceReady, initData, knock, themeParams } from "./telegram.js";
import { splitTokens } from "./tokens.js";
import { Transfer } from "./transfer.js";
import { grantText } from "./words.js";

const REFRESH_MS = 250;

const element = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
const whole = new Intl.NumberFormat("en");
const STATE_WORDS = { idle: "Connecting", connecting: "Connecting", live: "Live", offline: "Offline", stopped: "Stopped" };
const STOP_WORDS = {
  4501: "Your login was not accepted. Reload to log in again.",
  4503: "This account is blocked.",
  4509: "The game is open in too many places.",
  4510: "The game goes on in another tab.",
  4526: "This version of the game is too old. Reload the page.",
};

let client = null;
let parts = []; // of the page, each drawn from the view
let shownLevel = null;

// ---- numbers on the screen -------------------------------------------------------------------------------------------------------

function setBar(bar, share) {
  const percent = Math.max(0, Math.min(100, share * 100));
  bar.firstElementChild.style.transform = `translateX(${percent - 100}%)`;
  bar.setAttribute("aria-valuenow", String(Math.round(percent)));
}

function showTokens(mpt) {
  const [integer, decimals] = splitTokens(mpt);
  if (element.tokens.textContent === integer + decimals) return;
  const fraction = document.createElement("span");
  fraction.className = "fraction";
  fraction.textContent = decimals;
  element.tokens.replaceChildren(integer, fraction);
}

function show() {
  const view = client.view();
  element.pending.dataset.pending = String(client.pending);
  element.pending.hidden = client.pending === 0;
  setText(element.pending, String(client.pending));
  if (view === null) return;
  const { confirmed } = client;
  showTokens(view.tokens);
  element.tokens.dataset.mpt = String(confirmed.tokens);
  element.xp.dataset.confirmed = String(confirmed.xp);
  element.energy.dataset.energy = String(confirmed.energy);
  const { fromXp, toXp } = levelSpan(view.level);
  setText(element.xp, whole.format(view.xp));
  setText(element["xp-next"], whole.format(toXp));
  setText(element.level, String(view.level));
  setText(element.rank, view.rank);
  setBar(element["level-progress"], (view.xp - fromXp) / (toXp - fromXp));
  setText(element.energy, whole.format(Math.floor(view.energy)));
  setText(element["energy-cap"], whole.format(view.energy_cap));
  setBar(element["energy-bar"], view.energy / view.energy_cap);
  element.combo.dataset.combo = String(view.combo);
  element.combo.hidden = view.combo < 2;
  const bonusBp = comboBonusBp(view.combo);
  setText(element.combo, bonusBp > 0 ? `Combo ${view.combo} · +${bonusBp / 100} %` : `Combo ${view.combo}`);
  element.multiplier.hidden = view.multiplier_bp === 10_000;
  setText(element.multiplier, `× ${(view.multiplier_bp / 10_000).toFixed(2)}`);
  const tired = view.energy < 1;
  element.tap.classList.toggle("tired", tired);
  setText(element.hint, tired ? "Out of energy – rest a moment" : "Tap to raise your power");
  if (shownLevel !== null && view.level > shownLevel) celebrate(view);
  shownLevel = view.level;
  for (const part of parts) part.draw(view);
}

function celebrate({ level, rank }) {
  setText(element.announcement, `Level ${level}, ${rank}`);
  const box = element["level-progress"].getBoundingClientRect();
  float(`Level ${level}!`, box.x + box.width / 2, box.y + 100, "big");
}

function showMessage(text) {
  element.message.hidden = text === "";
  setText(element.message, text);
}

function showState({ state, code, reason }) {
  element.state.dataset.state = state;
  setText(element.state, STATE_WORDS[state]);
  element.resume.hidden = !(state === "stopped" && (code === 4509 || code === 4510));
  if (state === "stopped") showMessage(STOP_WORDS[code] ?? (reason || "The connection was ended. Reload the page."));
  else if (state === "live") showMessage("");
}

// ---- fingers and keys ------------------------------------------------------------------------------------------------------------

const pressing = new Set();

function pressed(by, isDown) {
  if (isDown) pressing.add(by);
  else pressing.delete(by);
  element.tap.classList.toggle("pressed", pressing.size > 0);
}

/** Lets a word rise from a point of the window and vanish. */
function float(text, x, y, size = "") {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const node = document.createElement("p");
  node.className = `float ${size}`;
  node.setAttribute("aria-hidden", "true");
  node.textContent = text;
  node.style.left = `${x}px`;
  node.style.top = `${y}px`;
  node.addEventListener("animationend", () => node.remove());
  document.body.append(node);
}

function tap(x, y) {
  const before = client.view();
  if (!client.tap()) return;
  knock();
  if (before === null) return;
  const [integer, decimals] = splitTokens(estimateTaps(before, 1).incomeMpt);
  float(`+${integer}${decimals.slice(0, 3)}`, x + (Math.random() - 0.5) * 30, y);
}

function listenForTaps() {
  const button = element.tap;
  button.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    pressed(event.pointerId, true); // every finger has its own id
    tap(event.clientX, event.clientY);
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
    button.addEventListener(type, (event) => pressed(event.pointerId, false));
  }
  const isTapKey = ({ code }) => code === "Space" || code === "Enter" || code === "NumpadEnter";
  button.addEventListener("keydown", (event) => {
    if (!isTapKey(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (event.repeat) return;
    pressed(event.code, true);
    const box = button.getBoundingClientRect();
    tap(box.x + box.width / 2, box.y + box.height / 3);
  });
  button.addEventListener("keyup", (event) => {
    if (isTapKey(event)) event.preventDefault(); // or the key would click, too
    pressed(event.code, false);
  });
  button.addEventListener("blur", () => [...pressing].forEach((by) => pressed(by, false)));
  // A screen reader's "activate" is a click that no pointer and no key made.
  button.addEventListener("click", ({ detail, clientX, clientY }) => detail === 0 && tap(clientX, clientY));
  for (const type of ["contextmenu", "dragstart", "selectstart", "dblclick"]) {
    button.addEventListener(type, (event) => event.preventDefault());
  }
}

// ---- logging in ------------------------------------------------------------------------------------------------------------------

/** Repeats `attempt` until it succeeds; the waits grow like those of the socket. */
async function patiently(attempt) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof LoginFailed) throw error;
      showMessage("The server cannot be reached. Trying again …");
      showState({ state: "offline" });
      await new Promise((resolve) => setTimeout(resolve, fullJitterMs(failures, Math.random)));
    }
  }
}

async function socketUrl() {
  const response = await fetch("/config.json");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()).socket_url;
}

async function play(way) {
  showState({ state: "connecting" });
  const account = new Account(way);
  const url = await patiently(socketUrl);
  await patiently(() => account.login());
  showMessage("");
  element["login-form"].hidden = true;
  element.game.hidden = false;
  element["switch-player"].hidden = way.initData !== undefined;
  client = new GameClient({ socketUrl: url, account: account.player, credentials: (need) => account.credentials(need) });
  client.addEventListener("state", ({ detail }) => showState(detail));
  client.addEventListener("change", show);
  client.addEventListener("event", ({ detail }) => detail.name === "grant.received" && notify(grantText(detail.data)));
  parts = [
    new DoubleClock(client, element.double),
    new Shop(client, element.shop, element["open-shop"]),
    new Transfer(client, element.transfer, element["open-transfer"]),
  ];
  client.addEventListener("problem", ({ detail }) => console.warn(`${detail.where}: ${detail.message}`));
  setInterval(show, REFRESH_MS);
  client.start();
  show();
  element.tap.focus({ preventScroll: true, focusVisible: false });
}

function askForName(message = "") {
  showMessage(message);
  element.state.parentElement.hidden = true;
  element["login-form"].hidden = false;
  element.name.focus();
}

async function enter(way) {
  element.state.parentElement.hidden = false;
  try {
    await play(way);
  } catch (error) {
    if (!(error instanceof LoginFailed)) throw error;
    if (way.initData === undefined) {
      rememberName(null);
      askForName(error.message);
    } else {
      showMessage(error.message);
      showState({ state: "stopped", reason: error.message });
    }
  }
}

function listenForLogin() {
  const submit = element["login-form"].querySelector("button");
  element["login-form"].addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = element.name.value.trim();
    if (name === "") return;
    rememberName(name);
    submit.disabled = true;
    await enter({ name });
    submit.disabled = false;
  });
  element["switch-player"].addEventListener("click", () => {
    rememberName(null);
    location.reload();
  });
  element.resume.addEventListener("click", () => client.start());
}

// ---- colours ---------------------------------------------------------------------------------------------------------------------

/** Telegram's colours win over the system's; whether they are dark is told by the brightness of the background. */
function applyTheme(theme) {
  const names = { bg_color: "--card", secondary_bg_color: "--ground", text_color: "--ink", hint_color: "--quiet" };
  const root = document.documentElement;
  for (const [telegram, ours] of Object.entries(names)) {
    if (theme[telegram] !== undefined) root.style.setProperty(ours, theme[telegram]);
  }
  if (theme.bg_color === undefined) return;
  const [red, green, blue] = theme.bg_color.slice(1).match(/../g).map((pair) => Number.parseInt(pair, 16));
  root.dataset.scheme = red * 299 + green * 587 + blue * 114 < 128_000 ? "dark" : "light";
}

applyTheme(themeParams());
listenForTaps();
listenForLogin();
const storedName = recallName();
if (initData !== "") enter({ initData });
else if (storedName !== null) enter({ name: storedName });
else askForName();
document.documentElement.dataset.ready = "true";
announceReady();
