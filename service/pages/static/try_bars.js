// One row of a bar chart: a name, a bar with a mark where a threshold is, the figure, and what to say of the threshold.

import { find } from "./elements.js";

/**
 * @param {string} name
 * @param {number} share 0 to 1
 * @param {string} figure The share in words.
 * @param {number | null} mark Threshold, 0 to 1; null for none.
 * @param {string} about What is said of the threshold.
 * @returns {HTMLElement}
 */
export function bar(name, share, figure, mark, about) {
  const copy = /** @type {DocumentFragment} */ (find("bar", HTMLTemplateElement).content.cloneNode(true));
  const row = /** @type {HTMLElement} */ (copy.firstElementChild);
  const words = { name, share: figure, about };
  for (const [slot, text] of Object.entries(words)) {
    const place = row.querySelector(`[data-slot="${slot}"]`);
    if (place) place.textContent = text;
  }
  const fill = /** @type {HTMLElement} */ (row.querySelector(".bar-fill"));
  fill.style.setProperty("--share", `${Math.round(share * 1000) / 10}%`);
  const line = /** @type {HTMLElement} */ (row.querySelector(".bar-mark"));
  line.hidden = mark === null;
  line.style.setProperty("--mark", `${Math.round((mark ?? 0) * 1000) / 10}%`);
  return row;
}
