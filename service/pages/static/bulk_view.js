// How many texts at once look: a row for each, with a box to tick.

import { find, make, makeText, word } from "./elements.js";

/** @typedef {import("./queue.js").Item} Item */
/** @typedef {{item: Item, element: HTMLElement, box: HTMLInputElement, lost: boolean}} Row */

/** Nobody has read so much this soon: a key that is pressed earlier was meant for the group before. */
const UNREAD_MS = 300;
const SUGGESTED = 2;
const number = new Intl.NumberFormat(document.documentElement.lang);
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });

/** The page's elements, and the rows that are shown. */
export class BulkView {
  constructor() {
    this.desk = find("desk", HTMLElement);
    this.texts = find("texts", HTMLElement);
    /** @type {Row[]} */
    this.rows = [];
    this.shownAt = 0;
    this.arming = 0;
    this.texts.addEventListener("change", () => this.count());
  }

  /** Whether an answer is taken for what is shown. */
  get isArmed() {
    return this.desk.dataset.armed === "yes";
  }

  /** Seconds since the group was shown. */
  get seconds() {
    return (performance.now() - this.shownAt) / 1000;
  }

  /** The rows that are ticked and still held. */
  get ticked() {
    return this.rows.filter((row) => row.box.checked && !row.lost);
  }

  /** The rows that are held. */
  get held() {
    return this.rows.filter((row) => !row.lost);
  }

  /**
   * Show a group, all ticked.
   * @param {Item[]} items
   */
  show(items) {
    this.rows = items.map((item, index) => makeRow(item, index === 0 && items.length > 1));
    this.texts.replaceChildren(...this.rows.map((row) => row.element));
    this.shownAt = performance.now();
    find("alike", HTMLElement).textContent = word(items.length > 1 ? "alike" : "alone");
    this.desk.dataset.group = items.map((item) => item.id).join(" ");
    this.#arm();
    this.count();
    this.#state("work");
    scrollTo({ top: 0 });
  }

  /**
   * Show nothing, and say why.
   * @param {"asking" | "empty" | "refused"} state
   * @param {string} why
   */
  showNothing(state, why) {
    this.rows = [];
    this.texts.replaceChildren();
    this.desk.dataset.armed = "no";
    delete this.desk.dataset.group;
    clearTimeout(this.arming);
    find("nothing-name", HTMLElement).textContent = word(state === "asking" ? "asking" : "empty");
    find("nothing-why", HTMLElement).textContent = why;
    this.#state(state);
  }

  /** Tell how many are ticked. */
  count() {
    const counts = { n: number.format(this.ticked.length), all: number.format(this.held.length) };
    find("ticked", HTMLElement).textContent = word("ticked", counts);
  }

  /** Tick every row, or none if all are. */
  toggleAll() {
    const all = this.ticked.length === this.held.length;
    for (const row of this.held) row.box.checked = !all;
    this.count();
  }

  /**
   * Move to the text before or after the one that has the keyboard.
   * @param {number} step
   */
  move(step) {
    const held = this.held;
    const from = held.findIndex((row) => row.box === document.activeElement);
    const row = from < 0 ? held[0] : held[(from + step + held.length) % held.length];
    row?.box.focus();
    row?.element.scrollIntoView({ block: "nearest" });
  }

  /** @param {Row} row What somebody else was given, or was settled meanwhile. */
  lose(row) {
    if (row.lost) return;
    row.lost = true;
    row.box.checked = false;
    row.box.disabled = true;
    row.element.classList.add("lost");
    row.element.append(make("span", "badge warn", word("lost")));
    this.count();
  }

  /**
   * Tell how far the answers are.
   * @param {number} saved
   * @param {number} all 0 hides it.
   */
  progress(saved, all) {
    const bar = find("progress", HTMLProgressElement);
    find("going", HTMLElement).hidden = saved >= all;
    bar.max = Math.max(1, all);
    bar.value = saved;
  }

  #arm() {
    this.desk.dataset.armed = "no";
    clearTimeout(this.arming);
    this.arming = setTimeout(() => {
      this.desk.dataset.armed = "yes";
    }, UNREAD_MS);
  }

  /** @param {"work" | "asking" | "empty" | "refused"} state */
  #state(state) {
    this.desk.dataset.state = state;
    find("work", HTMLElement).hidden = state !== "work";
    find("nothing", HTMLElement).hidden = state === "work";
  }
}

/**
 * @param {Item} item
 * @param {boolean} first Whether it is the one that the others are alike to.
 * @returns {Row}
 */
function makeRow(item, first) {
  const element = make("li", "bulk-row", "");
  element.dataset.item = item.id;
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  const text = makeText("span", item.text);
  text.lang = item.language ?? "";
  label.append(box, text);
  element.append(label);
  if (first) element.append(make("span", "badge", word("first")));
  for (const one of item.suggestions.slice(0, SUGGESTED)) {
    const badge = make("span", "bulk-suggestion muted number", "");
    badge.append(makeText("bdi", one.label), ` ${percent.format(one.score)}`);
    element.append(badge);
  }
  return { item, element, box, lost: false };
}
