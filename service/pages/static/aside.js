// What stands beside an item: what labels mean, examples of them, and similar texts that were decided.

import { call } from "./api.js";
import { find, make, makeText, word } from "./elements.js";

/** @typedef {import("./labels.js").Label} Label */

const SHOWN = 5;

/** The column beside the item. */
export class Aside {
  /**
   * @param {string} task
   * @param {Label[]} labels
   */
  constructor(task, labels) {
    this.task = task;
    this.labels = new Map(labels.map((label) => [label.name, label]));
    this.text = "";
    this.about = find("about", HTMLSelectElement);
    this.description = find("description", HTMLElement);
    this.examples = find("example-texts", HTMLElement);
    this.similar = find("similar", HTMLDetailsElement);
    this.alike = find("similar-texts", HTMLElement);
    this.about.addEventListener("change", () => this.look(this.about.value));
    find("examples", HTMLElement).addEventListener("click", () => this.#showExamples());
    this.similar.addEventListener("toggle", () => {
      this.alike.replaceChildren();
      if (this.similar.open) this.#showSimilar();
    });
    this.look(this.about.value);
  }

  /**
   * Begin with another text: what was decided about texts like the last one is put away.
   * @param {string} text
   */
  show(text) {
    this.text = text;
    this.similar.open = false;
    this.alike.replaceChildren();
  }

  /**
   * Tell about a label.
   * @param {string} name
   */
  look(name) {
    const label = this.labels.get(name);
    if (!label) return;
    if (this.about.value !== name || this.examples.dataset.label !== name) {
      this.examples.hidden = true;
      this.examples.replaceChildren();
    }
    this.examples.dataset.label = name;
    this.about.value = name;
    this.description.textContent = label.description || word("no_description");
    this.description.classList.toggle("muted", !label.description);
  }

  async #showExamples() {
    const label = this.about.value;
    const query = new URLSearchParams({ label, count: String(SHOWN) });
    const found = await this.#get("GET", `/v1/queue/${this.task}/examples?${query}`);
    if (this.about.value !== label) return;
    const shown = (found.examples ?? []).map((/** @type {{text: string, source: string}} */ one) =>
      entry(one.text, word(one.source === "people" ? "from_people" : "from_data")),
    );
    fill(this.examples, shown, found.error ?? word("no_examples"));
    this.examples.hidden = false;
  }

  async #showSimilar() {
    const text = this.text;
    const found = await this.#get("POST", `/v1/queue/${this.task}/similar`, { text, count: SHOWN });
    if (this.text !== text) return;
    /** @typedef {{text: string, label: string | null, labels: string[] | null}} Alike */
    const shown = (found.texts ?? []).map((/** @type {Alike} */ one) => entry(one.text, said(one)));
    fill(this.alike, shown, found.error ?? word("no_similar"));
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} What the service answers, or `error` in words.
   */
  async #get(method, path, body) {
    try {
      return await call(method, path, body);
    } catch (error) {
      return { error: word("cannot_load", { why: error instanceof Error ? error.message : "" }) };
    }
  }
}

/** @param {{label: string | null, labels: string[] | null}} one */
function said(one) {
  if (one.label === "out_of_scope") return word("out_of_scope");
  return one.label ?? (one.labels?.join(", ") || word("no_label"));
}

/**
 * @param {string} text
 * @param {string} note
 */
function entry(text, note) {
  const item = document.createElement("li");
  const name = make("span", "badge", "");
  name.append(makeText("bdi", note));
  item.append(makeText("p", text), name);
  return item;
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement[]} entries
 * @param {string} otherwise What is said where there are none.
 */
function fill(list, entries, otherwise) {
  list.replaceChildren(...(entries.length ? entries : [make("li", "muted", otherwise)]));
}
