// Notices above what somebody works at: each stays until it is dismissed, or said again.

import { find, make, makeText, word } from "./elements.js";

/** Those of one page, in its element `notices`. */
export class Notices {
  constructor() {
    this.root = find("notices", HTMLElement);
  }

  /**
   * Say something.
   * @param {string} name What it is about: another notice of the same name replaces it.
   * @param {"good" | "warn" | "bad" | ""} tone
   * @param {string} said
   * @param {{texts?: string[], link?: {href: string, name: string}, onDismiss?: () => void}} [more] `link` opens
   *   beside the page.
   */
  say(name, tone, said, more = {}) {
    if (this.#said(name)?.dataset.said === said) return;
    const notice = make("div", `notice ${tone} desk-notice`, "");
    notice.dataset.said = said;
    notice.dataset.name = name;
    const words = make("div", "", "");
    words.append(make("p", "", said), ...(more.texts ?? []).map((text) => makeText("p", text)));
    notice.append(words);
    if (more.link) {
      const link = document.createElement("a");
      link.className = "button small";
      link.href = more.link.href;
      link.target = "_blank";
      link.textContent = more.link.name;
      notice.append(link);
    }
    const dismiss = make("button", "quiet small", word("dismiss"));
    dismiss.addEventListener("click", () => {
      notice.remove();
      more.onDismiss?.();
    });
    notice.append(dismiss);
    this.unsay(name);
    this.root.append(notice);
  }

  /** @param {string} name Of a notice that is over. */
  unsay(name) {
    this.#said(name)?.remove();
  }

  /** @param {string} name */
  #said(name) {
    const notices = /** @type {HTMLElement[]} */ (Array.from(this.root.children));
    return notices.find((notice) => notice.dataset.name === name);
  }
}
