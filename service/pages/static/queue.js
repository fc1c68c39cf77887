// What an annotator holds: the item that is shown, and those ahead of it. Pure: every function returns a new queue.

/** @typedef {import("./labels.js").Suggestion} Suggestion */

/**
 * @typedef {object} Item An item that is held.
 * @property {string} id
 * @property {string} text
 * @property {string | null} language
 * @property {Suggestion[]} suggestions
 * @property {string | null} reason Null for those who may not know it.
 * @property {string} token
 * @property {number} until When the lease ends, in milliseconds of the server's clock.
 * @property {Draft} [draft] What had been said of it, where an answer was taken back.
 */

/** @typedef {{labels: string[], comment: string}} Draft */
/** @typedef {{shown: Item | null, ahead: Item[]}} Queue */

/** @type {Queue} */
export const NOTHING = { shown: null, ahead: [] };

/**
 * Return an item as a claim gave it.
 * @param {{item_id: string, text: string, language: string | null, suggestions: Suggestion[], reason: string | null,
 *   lease_token: string, lease_expires_at: string}} claimed
 * @returns {Item}
 */
export function itemOf(claimed) {
  return {
    id: claimed.item_id,
    text: claimed.text,
    language: claimed.language,
    suggestions: claimed.suggestions,
    reason: claimed.reason,
    token: claimed.lease_token,
    until: Date.parse(claimed.lease_expires_at),
  };
}

/** @param {Queue} queue */
export function held(queue) {
  return queue.shown ? [queue.shown, ...queue.ahead] : queue.ahead;
}

/**
 * Return how many items to claim, so that `wanted` lie ahead.
 * @param {Queue} queue
 * @param {number} wanted
 */
export function lacking(queue, wanted) {
  return Math.max(0, wanted - queue.ahead.length) + (queue.shown || queue.ahead.length ? 0 : 1);
}

/**
 * Add items behind those that are there; the first is shown where nothing was.
 * @param {Queue} queue
 * @param {Item[]} items
 * @returns {Queue}
 */
export function take(queue, items) {
  const ahead = [...queue.ahead, ...items];
  return queue.shown ? { shown: queue.shown, ahead } : next({ shown: null, ahead });
}

/**
 * Let the shown item go and show the next.
 * @param {Queue} queue
 * @returns {Queue}
 */
export function next(queue) {
  return { shown: queue.ahead[0] ?? null, ahead: queue.ahead.slice(1) };
}

/**
 * Show the next item first; the shown one comes after all that are held.
 * @param {Queue} queue
 * @returns {Queue}
 */
export function later(queue) {
  if (!queue.shown || queue.ahead.length === 0) return queue;
  return next({ shown: null, ahead: [...queue.ahead, queue.shown] });
}

/**
 * Show an item whose answer was taken back; what was shown comes after it.
 * @param {Queue} queue
 * @param {Item} item
 * @returns {Queue}
 */
export function putBack(queue, item) {
  return { shown: item, ahead: held(queue) };
}

/**
 * Forget an item that is not held any more.
 * @param {Queue} queue
 * @param {string} token The lease that ended.
 * @returns {Queue}
 */
export function drop(queue, token) {
  const left = { shown: queue.shown, ahead: queue.ahead.filter((item) => item.token !== token) };
  return queue.shown?.token === token ? next(left) : left;
}

/**
 * Note until when a lease is held.
 * @param {Queue} queue
 * @param {string} token
 * @param {number} until
 * @returns {Queue}
 */
export function renew(queue, token, until) {
  const renewed = (/** @type {Item} */ item) => (item.token === token ? { ...item, until } : item);
  return { shown: queue.shown && renewed(queue.shown), ahead: queue.ahead.map(renewed) };
}

/**
 * Return the items whose lease is past its half.
 * @param {Queue} queue
 * @param {number} now Milliseconds of the server's clock.
 * @param {number} length Of a lease, in milliseconds.
 */
export function due(queue, now, length) {
  return held(queue).filter((item) => item.until - now < length / 2);
}
