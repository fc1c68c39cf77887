// Which items somebody wants to be given, remembered for each task.

import { find } from "./elements.js";

/** @typedef {import("./supply.js").Wish} Wish */

const FIELDS = /** @type {const} */ (["label", "language"]);

/** The selects by which items are chosen. */
export class WishForm {
  /**
   * @param {string} task
   * @param {(wish: Wish) => void} onChange
   */
  constructor(task, onChange) {
    this.name = `regrade.desk.${task}`;
    for (const field of FIELDS) {
      select(field)?.addEventListener("change", () => {
        localStorage.setItem(this.name, JSON.stringify(this.#show()));
        onChange(this.#show());
      });
    }
  }

  /** Choose again what was chosen last, as far as it is still there to choose; return it. */
  restore() {
    const remembered = this.#remembered();
    for (const field of FIELDS) {
      const element = select(field);
      const known = Array.from(element?.options ?? []).some((option) => option.value === remembered[field]);
      if (element && known) element.value = remembered[field] ?? "";
    }
    return this.#show();
  }

  /** @returns {Partial<Wish>} */
  #remembered() {
    try {
      return JSON.parse(localStorage.getItem(this.name) ?? "{}") ?? {};
    } catch {
      return {};
    }
  }

  /** @returns {Wish} */
  #show() {
    const wish = { label: select("label")?.value ?? "", language: select("language")?.value ?? "" };
    find("wishes", HTMLElement).classList.toggle("on", Boolean(wish.label || wish.language));
    return wish;
  }
}

/** @param {"label" | "language"} field Of a select that the page may not have. */
function select(field) {
  const element = document.getElementById(`wish-${field}`);
  return element instanceof HTMLSelectElement ? element : null;
}
