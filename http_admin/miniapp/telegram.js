/**
 * The little of Telegram's Mini App interface this page needs, without loading Telegram's script: the launch parameters lie in the URL
 * fragment, and events go to whichever bridge the app offers (core.telegram.org/bots/webapps and core.telegram.org/api/web-events).
 */

const parameters = new Map(
  location.hash.slice(1).split("&").map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
  }),
);

function parameter(name) {
  try {
    return decodeURIComponent(parameters.get(name) ?? "");
  } catch {
    return ""; // not percent-encoding: not from Telegram
  }
}

/** The raw `initData`, percent-decoded once as the server's signature check needs it; empty outside Telegram. */
export const initData = parameter("tgWebAppData");

/** @returns {Record<string, string>} Telegram's colours, like `bg_color: "#ffffff"`; only real colours */
export function themeParams() {
  try {
    const theme = Object.entries(JSON.parse(parameter("tgWebAppThemeParams") || "{}"));
    return Object.fromEntries(theme.filter(([, colour]) => /^#[0-9a-f]{6}$/i.test(colour)));
  } catch {
    return {};
  }
}

function post(eventType, eventData = {}) {
  const json = JSON.stringify(eventData);
  if (window.TelegramWebviewProxy !== undefined) window.TelegramWebviewProxy.postEvent(eventType, json);
  else if (typeof window.external?.notify === "function") window.external.notify(JSON.stringify({ eventType, eventData }));
  else if (window.parent !== window) window.parent.postMessage(JSON.stringify({ eventType, eventData }), "*"); // carries nothing secret
}

/** Tells Telegram that the page is drawn, and asks for its full height. */
export function announceReady() {
  if (initData === "") return;
  post("web_app_ready");
  post("web_app_expand");
}

/** A short knock in the hand, where the device has one. */
export function knock() {
  if (initData !== "") post("web_app_trigger_haptic_feedback", { type: "impact", impact_style: "light" });
}
