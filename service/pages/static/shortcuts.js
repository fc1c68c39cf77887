// The desk's keys beside those of the label picker: punctuation, which begins no label's name.

import { find } from "./elements.js";

/** @typedef {import("./labels.js").LabelPicker} LabelPicker */
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

/**
 * What the keys of a page do that shows one text above a label picker and a comment.
 * @param {{text: HTMLElement, comment: HTMLTextAreaElement}} view
 * @param {LabelPicker} picker
 * @returns {Record<string, () => void>}
 */
export function readingActions(view, picker) {
  return {
    help: () => find("keys-dialog", HTMLDialogElement).showModal(),
    comment: () => view.comment.focus(),
    filter: () => picker.filter.focus(),
    up: () => view.text.scrollBy({ top: -view.text.clientHeight * 0.8 }),
    down: () => view.text.scrollBy({ top: view.text.clientHeight * 0.8 }),
  };
}

/**
 * Do what a key asks for on such a page: one of its `actions`, or what the picker makes of it.
 * @param {KeyboardEvent} event
 * @param {LabelPicker} picker
 * @param {HTMLTextAreaElement} comment
 * @param {Record<string, () => void>} actions
 * @param {boolean} works Whether there is anything to answer; undo and help are there in any case.
 */
export function obey(event, picker, comment, actions, works) {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && event.target === comment) return picker.focus();
  if (isTaken(event, picker.filter)) return;
  const command = commandOf(event, picker.isIdle);
  if (command && actions[command] && (works || command === "undo" || command === "help")) {
    event.preventDefault();
    if (!event.repeat || command === "up" || command === "down") actions[command]?.();
  } else if (works) {
    picker.handle(event);
  }
}
