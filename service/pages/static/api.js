// The one way to the service's JSON API.

/** What the service refused, and why. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {{loc: (string | number)[], msg: string}[]} errors
   * @param {number | null} retryAfter seconds after which to try again, if the service said so
   */
  constructor(status, detail, errors, retryAfter) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** @returns {boolean} whether the same request may be taken later */
  get isPassing() {
    return this.status === 429 || this.status >= 500;
  }
}

/** The service could not be reached at all. */
export class NetworkError extends Error {}

const ANNOTATOR = "regrade.annotator";

/** @returns {boolean} whether the service has no keys yet, so that people say who they are */
export function isOpen() {
  return meta("regrade-open") === "yes";
}

/** @returns {string} who answers in open mode; empty if nobody said so */
export function annotatorName() {
  return localStorage.getItem(ANNOTATOR) ?? "";
}

/** @param {string} name who answers in open mode from now on */
export function setAnnotatorName(name) {
  localStorage.setItem(ANNOTATOR, name);
}

/**
 * @param {string} name
 * @returns {string}
 */
function meta(name) {
  return document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "";
}

/** Milliseconds that the server's clock is ahead of this one, by its latest reply; to the second. */
let ahead = 0;

/** @returns {number} the server's time now, in milliseconds since 1970, as well as is known */
export function serverNow() {
  return Date.now() + ahead;
}

/**
 * Send a request to the API and return what it answers.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON; none if undefined
 * @param {{key?: string, signal?: AbortSignal, keepalive?: boolean}} [options] `key` is an Idempotency-Key
 * @returns {Promise<any>} the parsed reply; null where there is none
 * @throws {Problem} the service refused
 * @throws {NetworkError} the service could not be reached; or a proxy or sign-in page before it answered in its place,
 *   which must not be taken for its word
 */
export async function call(method, path, body, options = {}) {
  const { key, signal, keepalive } = options;
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const csrf = meta("regrade-csrf");
  if (csrf) headers["X-Regrade-CSRF"] = csrf;
  if (isOpen() && annotatorName()) headers["X-Regrade-Annotator"] = utf8Header(annotatorName());
  /** @type {RequestInit} */
  const request = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) request.body = JSON.stringify(body);
  if (signal) request.signal = signal;
  if (keepalive) request.keepalive = true;
  let reply;
  try {
    reply = await fetch(path, request);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new NetworkError("the service cannot be reached");
  }
  const date = Date.parse(reply.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) ahead = date - Date.now();
  const answer = await parsed(reply);
  if (reply.ok && (answer !== null || reply.status === 204)) return answer;
  if (answer === null) throw new NetworkError(`something else than the service answered, with ${reply.status}`);
  const retryAfter = Number.parseInt(reply.headers.get("Retry-After") ?? "", 10);
  throw new Problem(
    reply.status,
    answer.detail ?? reply.statusText,
    answer.errors ?? [],
    Number.isNaN(retryAfter) ? null : retryAfter,
  );
}

/**
 * @param {Response} reply
 * @returns {Promise<any>} its JSON; null where there is none
 */
async function parsed(reply) {
  let text;
  try {
    text = await reply.text();
  } catch {
    throw new NetworkError("the reply was cut short");
  }
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Headers hold bytes: write each UTF-8 byte of `text` as one character.
 * @param {string} text
 * @returns {string}
 */
function utf8Header(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** @returns {Record<string, string>} the words that the page brought for its scripts, in its language */
export function pageWords() {
  return JSON.parse(document.getElementById("words")?.textContent ?? "{}");
}

/**
 * Put values into the places `{name}` of a sentence.
 * @param {string} sentence
 * @param {Record<string, string | number>} values
 * @returns {string}
 */
export function say(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}
