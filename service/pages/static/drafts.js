// What somebody had begun to say of an item, kept while the page is loaded again.

/** @typedef {import("./queue.js").Draft} Draft */

const NAME = "regrade.draft";

/**
 * Keep what was begun; nothing where nothing was.
 * @param {string} item
 * @param {Draft} draft
 */
export function keepDraft(item, draft) {
  if (draft.labels.length || draft.comment) sessionStorage.setItem(NAME, JSON.stringify({ item, draft }));
  else sessionStorage.removeItem(NAME);
}

/**
 * Return what was begun of this item, if it was the last.
 * @param {string} item
 * @returns {Draft | undefined}
 */
export function findDraft(item) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    return kept?.item === item ? kept.draft : undefined;
  } catch {
    return undefined;
  }
}
