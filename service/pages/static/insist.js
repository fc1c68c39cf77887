// Trying again: what is worth it, when, and with a session that somebody renewed meanwhile.

import { call, Problem } from "./api.js";

const LONGEST_MS = 30_000;
/** A request that takes longer than this is sent again. */
const PATIENCE_MS = 30_000;

/** @returns {string} A new Idempotency-Key; also where the page did not come by HTTPS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @typedef {"away" | "busy" | "signed-out" | "refused"} Verdict */

/**
 * Say what an error of `call` means for the request: `away`: the service cannot be reached or take it now; `busy`: the
 * same request is still at work; `signed-out`: the session has ended, or another has begun; `refused`: for good.
 * @param {unknown} error
 * @returns {Verdict}
 */
export function verdict(error) {
  if (!(error instanceof Problem)) return "away";
  if (error.isPassing || error.status === 408) return "away";
  if (error.status === 409 && error.retryAfter !== null) return "busy";
  if (error.status === 401) return "signed-out";
  if (error.status === 403 && error.detail.startsWith("X-Regrade-CSRF")) return "signed-out";
  return "refused";
}

/**
 * Return how long to wait before trying again, in milliseconds: twice as long each time, and never all at once.
 * @param {number} failures How often in a row it has failed, 1 or more.
 * @param {unknown} error
 */
export function delay(failures, error) {
  const asked = error instanceof Problem ? (error.retryAfter ?? 0) * 1000 : 0;
  const backoff = Math.min(LONGEST_MS, 1000 * 2 ** Math.min(failures - 1, 10));
  return Math.max(Math.min(asked, LONGEST_MS), backoff * (0.75 + Math.random() / 2));
}

/**
 * Send a write that must count once; as `call`, but it gives up on a reply that does not come.
 * @param {string} path
 * @param {unknown} body
 * @param {string} key
 */
export function send(path, body, key) {
  // Browsers let a page that is closed finish only small requests.
  const keepalive = JSON.stringify(body).length < 30_000;
  return call("POST", path, body, { key, keepalive, signal: AbortSignal.timeout(PATIENCE_MS) });
}

/**
 * Send a write until the service has taken or refused it for good.
 * @param {string} path
 * @param {unknown} body
 * @param {string} key
 * @throws {Problem} It was refused.
 */
export async function insist(path, body, key) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await send(path, body, key);
    } catch (error) {
      if (verdict(error) === "refused") throw error;
      await new Promise((resolve) => setTimeout(resolve, delay(failures, error)));
    }
  }
}

/**
 * Look whether `person` is signed in (again), perhaps in another tab, and go on with that session.
 * @param {string} person
 * @returns {Promise<boolean>}
 */
export async function renewSession(person) {
  try {
    const reply = await fetch(location.pathname, { cache: "no-store", credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const known = JSON.parse(page.getElementById("desk-data")?.textContent ?? "null");
    if (known?.person !== person) return false;
    const fresh = page.querySelector('meta[name="regrade-csrf"]')?.getAttribute("content") ?? "";
    document.querySelector('meta[name="regrade-csrf"]')?.setAttribute("content", fresh);
    return true;
  } catch {
    return false;
  }
}
