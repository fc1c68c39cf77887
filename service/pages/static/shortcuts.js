// The desk's keys beside those of the label picker: punctuation, which begins no label's name.

/** @typedef {"scope" | "propose" | "skip" | "flag" | "later" | "comment" | "undo" | "help" | "filter" | "up" | "down"} Command */

/** @type {Record<string, Command>} */
const COMMANDS = {
  ".": "scope",
  "。": "scope",
  "+": "propose",
  "＋": "propose",
  "-": "skip",
  "－": "skip",
  "!": "flag",
  "！": "flag",
  ";": "later",
  "；": "later",
  ",": "comment",
  "，": "comment",
  "?": "help",
  "？": "help",
  "/": "filter",
};
/** Input methods hide which key it was; its place tells. The rest of the desk's keys are the same in all of them. */
/** @type {Record<string, Command>} */
const PLACES = { Period: "scope", Minus: "skip", Semicolon: "later", Comma: "comment", NumpadAdd: "propose" };

/**
 * Return what a key asks for.
 * @param {KeyboardEvent} event
 * @param {boolean} idle Whether nothing is typed into the filter: else punctuation belongs to what is typed.
 * @returns {Command | null}
 */
export function commandOf(event, idle) {
  if (event.isComposing) return null;
  if (event.ctrlKey || event.metaKey || event.altKey) {
    const undo = event.key.toLowerCase() === "z" && !event.altKey && !event.shiftKey;
    return undo && idle ? "undo" : null;
  }
  if (event.key === "PageUp") return "up";
  if (event.key === "PageDown") return "down";
  if (!idle) return null;
  if (event.key === "Process") return event.shiftKey ? null : (PLACES[event.code] ?? null);
  return COMMANDS[event.key] ?? null;
}

/**
 * Tell whether a key belongs to what has the focus: a field, or a button that it presses.
 * @param {KeyboardEvent} event
 * @param {HTMLElement} filter The label picker's own field, which shares its keys with the page.
 */
export function isTaken(event, filter) {
  const target = event.target;
  if (!(target instanceof HTMLElement) || target === filter) return false;
  if (target.closest("dialog")) return true;
  if (target.matches("input, textarea, select, [contenteditable]")) return true;
  if (target.matches("[tabindex][role=region]")) return /^(Arrow|Page|Home$|End$| $)/.test(event.key); // it scrolls
  const presses = event.key === "Enter" || event.key === " ";
  return presses && target.matches("button, a, summary");
}
