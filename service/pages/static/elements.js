// Elements of a page, found and made, and the words that go into them.

import { pageWords, say } from "./api.js";

const WORDS = pageWords();

/**
 * Return one of the page's words, or sentences, with values in its places.
 * @param {string} name
 * @param {Record<string, string | number>} values
 */
export function word(name, values = {}) {
  return say(WORDS[name] ?? name, values);
}

/**
 * Return the element with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} with the id ${id}`);
  return element;
}

/**
 * Make an element that shows text, whatever it holds.
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/**
 * Make an element for a text of unknown language and direction.
 * @param {string} tag
 * @param {string} text
 */
export function makeText(tag, text) {
  const element = make(tag, "text", text);
  element.dir = "auto";
  return element;
}

/**
 * Open a dialog and wait for what somebody chooses there.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<boolean>} Whether they went on: false where they cancelled, or pressed Esc.
 */
export function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

/**
 * Round to thousandths, as far as a browser's clock is to be trusted.
 * @param {number} seconds
 */
export function thousandths(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
