// The label picker: every label of a task, by number key, by typing part of its name, by arrow keys, by mouse or touch.
// The desk, the bulk page and adjudication share it; `labels.html.j2` has its markup and `labels.css` its looks.

/** @typedef {{name: string, description: string}} Label */
/** @typedef {{label: string, score: number}} Suggestion `score` is a probability, 0 to 1. */
/** @typedef {{label: Label, element: HTMLElement, key: HTMLElement, bar: HTMLElement, share: HTMLElement}} Option */

/**
 * @typedef {object} PickerOptions
 * @property {Label[]} labels In the task's order.
 * @property {boolean} multiple Whether any number of labels holds: picking toggles, and Enter submits what is ticked.
 * @property {(names: string[]) => void} onPick Called with the picked label, or with all that are ticked.
 * @property {(name: string | null) => void} [onLook] Called with the label somebody points at or has marked.
 */

/** Labels up to this number keep their places and number keys whatever is suggested, so that hands learn them. */
export const FEW = 10;

const DIGITS = "1234567890";

/** Picks one label, or several. */
export class LabelPicker {
  /**
   * @param {HTMLElement} root What the macro `label_picker` made.
   * @param {PickerOptions} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.filter = /** @type {HTMLInputElement} */ (root.querySelector("input"));
    this.list = /** @type {HTMLElement} */ (root.querySelector("[role=listbox]"));
    this.none = /** @type {HTMLElement} */ (root.querySelector(".picker-none"));
    this.percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
    this.all = options.labels.map((label, index) => this.#option(label, index));
    /** @type {Option[]} What the filter lets through, in the order shown. */
    this.visible = this.all;
    /** @type {Option | null} What Enter would pick. */
    this.marked = null;
    /** @type {Set<string>} */
    this.ticked = new Set();
    this.order = this.all;
    root.classList.toggle("dense", this.all.length > FEW);
    this.list.setAttribute("aria-multiselectable", String(options.multiple));
    this.filter.addEventListener("input", (event) => {
      if (!(/** @type {InputEvent} */ (event).isComposing)) this.#narrow();
    });
    this.filter.addEventListener("compositionend", () => this.#narrow());
    this.show();
  }

  /** The labels that are ticked, in the task's order. */
  get chosen() {
    return this.options.labels.map((label) => label.name).filter((name) => this.ticked.has(name));
  }

  /** Whether nothing is typed: then punctuation keys are free for other commands. */
  get isIdle() {
    return this.filter.value === "";
  }

  /**
   * Begin anew, for another text.
   * @param {Suggestion[]} suggestions Best first; none where they are held back.
   * @param {string[]} chosen Labels that are ticked, or marked, to begin with.
   */
  show(suggestions = [], chosen = []) {
    const scores = new Map(suggestions.map((one) => [one.label, one.score]));
    const rank = new Map(suggestions.map((one, index) => [one.label, index]));
    const place = (/** @type {Option} */ option) => rank.get(option.label.name) ?? suggestions.length;
    this.order = this.all.length > FEW ? this.all.toSorted((one, other) => place(one) - place(other)) : this.all;
    for (const option of this.all) this.#score(option, scores.get(option.label.name));
    this.list.append(...this.order.map((option) => option.element));
    this.ticked = new Set(this.options.multiple ? chosen : []);
    this.filter.value = "";
    this.#narrow();
    if (!this.options.multiple) this.#mark(this.order.find((option) => option.label.name === chosen[0]) ?? null);
    this.list.scrollTop = 0;
  }

  /** Take the keyboard, unless that would open a keyboard on a touch screen. */
  focus() {
    if (!matchMedia("(pointer: coarse)").matches) this.filter.focus({ preventScroll: true });
  }

  /**
   * Do what a key asks for. The page calls this for every key that is pressed outside its own fields and dialogs.
   * @param {KeyboardEvent} event
   * @returns {boolean} Whether the key was for the picker.
   */
  handle(event) {
    if (event.isComposing || event.key === "Process" || event.ctrlKey || event.metaKey || event.altKey) return false;
    const used = this.#pressed(event);
    if (used) event.preventDefault();
    else if (event.key.length === 1) this.filter.focus({ preventScroll: true });
    return used;
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const digit = digitOf(event);
    if (digit) return this.#number(DIGITS.indexOf(digit), event.repeat);
    if (event.key === "ArrowDown") return this.#move(1);
    if (event.key === "ArrowUp") return this.#move(-1);
    if (event.key === "Enter") return event.repeat || this.#enter();
    if (event.key === " " && this.isIdle) {
      return event.repeat || !this.options.multiple || !this.marked || this.#toggle(this.marked);
    }
    if (event.key === "Escape" && (this.filter.value || this.marked)) return this.#clear();
    return false;
  }

  /**
   * @param {number} number Place of the key among the digits: "1" is 0, "0" is 9.
   * @param {boolean} held A key that is held down picks once.
   */
  #number(number, held) {
    const option = this.#numbered()[number];
    if (option && !held && !option.element.hidden) this.#pick(option);
    return true;
  }

  /** The options that have number keys, in their order. */
  #numbered() {
    return this.all.length > FEW ? this.visible.slice(0, FEW) : this.all;
  }

  #enter() {
    if (this.options.multiple && (this.isIdle || !this.marked)) {
      if (this.isIdle) this.options.onPick(this.chosen);
    } else if (this.marked) {
      this.#pick(this.marked);
    }
    return true;
  }

  /** @param {Option} option */
  #pick(option) {
    if (this.options.multiple) this.#toggle(option);
    else this.options.onPick([option.label.name]);
  }

  /** @param {Option} option */
  #toggle(option) {
    const name = option.label.name;
    if (!this.ticked.delete(name)) this.ticked.add(name);
    if (!this.isIdle) this.#clear();
    this.#tell();
    return true;
  }

  #clear() {
    this.filter.value = "";
    this.#narrow();
    return true;
  }

  /** @param {number} step */
  #move(step) {
    const count = this.visible.length;
    if (count === 0) return true;
    const from = this.marked ? this.visible.indexOf(this.marked) : step > 0 ? -1 : 0;
    this.#mark(this.visible[(from + step + count) % count] ?? null);
    this.marked?.element.scrollIntoView({ block: "nearest" });
    return true;
  }

  /** @param {Option | null} option */
  #mark(option) {
    this.marked = option;
    if (option) this.filter.setAttribute("aria-activedescendant", option.element.id);
    else this.filter.removeAttribute("aria-activedescendant");
    this.options.onLook?.(option ? option.label.name : null);
    this.#tell();
  }

  /** Show what matches the typed words, the best match marked. */
  #narrow() {
    const words = plain(this.filter.value).split(/\s+/).filter(Boolean);
    const found = this.order.map((option) => ({ option, rank: match(option.label, words) }));
    this.visible = found.filter((one) => one.rank !== null).map((one) => one.option);
    for (const { option, rank } of found) option.element.hidden = rank === null;
    this.none.hidden = this.visible.length > 0;
    const best = Math.min(...found.map((one) => one.rank ?? Number.POSITIVE_INFINITY));
    this.#mark(words.length ? (found.find((one) => one.rank === best && one.rank !== null)?.option ?? null) : null);
    const numbered = this.#numbered();
    for (const option of this.all) {
      const number = numbered.indexOf(option);
      option.key.textContent = DIGITS[number] ?? "";
    }
  }

  /** Tell by attributes what is marked and ticked. */
  #tell() {
    for (const option of this.all) {
      const marked = option === this.marked;
      option.element.classList.toggle("marked", marked);
      const selected = this.options.multiple ? this.ticked.has(option.label.name) : marked;
      option.element.setAttribute("aria-selected", String(selected));
    }
  }

  /**
   * @param {Option} option
   * @param {number | undefined} score
   */
  #score(option, score) {
    option.element.classList.toggle("suggested", score !== undefined);
    option.share.textContent = score === undefined ? "" : this.percent.format(score);
    option.bar.style.setProperty("--share", `${Math.round((score ?? 0) * 100)}%`);
  }

  /**
   * @param {Label} label
   * @param {number} index
   * @returns {Option}
   */
  #option(label, index) {
    const element = document.createElement("div");
    element.className = "picker-option";
    element.id = `${this.root.id}-${index}`;
    element.setAttribute("role", "option");
    const key = piece(element, "kbd", "picker-key");
    key.setAttribute("aria-hidden", "true");
    const words = piece(element, "span", "picker-words");
    const name = piece(words, "bdi", "picker-name");
    name.textContent = label.name;
    if (label.description) piece(words, "bdi", "picker-about muted").textContent = label.description;
    const share = piece(element, "span", "picker-share number");
    const bar = piece(element, "span", "picker-bar");
    const option = { label, element, key, bar, share };
    element.addEventListener("mousedown", (event) => event.preventDefault()); // the filter keeps the keyboard
    element.addEventListener("click", (event) => {
      if (event.detail < 2) this.#pick(option); // the second of a double click would answer the next text
    });
    element.addEventListener("pointerenter", () => this.options.onLook?.(label.name));
    element.addEventListener("pointerleave", () => this.options.onLook?.(this.marked?.label.name ?? null));
    return option;
  }
}

/**
 * Say how well a label fits typed words: 0 its name begins with them, 1 its name has them, 2 its description helps.
 * @param {Label} label
 * @param {string[]} words As `plain` makes them; without any, every label fits.
 * @returns {number | null} Null where it does not fit.
 */
export function match(label, words) {
  const name = plain(label.name);
  const about = `${name} ${plain(label.description)}`;
  if (!words.every((word) => about.includes(word))) return null;
  if (!words.every((word) => name.includes(word))) return 2;
  return name.startsWith(words[0] ?? "") ? 0 : 1;
}

/**
 * Bring text into the form in which it is compared: no case, no width, no underscores or hyphens.
 * @param {string} text
 */
function plain(text) {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[_\-\s]+/g, " ")
    .trim();
}

/**
 * Return the digit of a key, or "": the digits' row counts without Shift, also where a layout has others there.
 * @param {KeyboardEvent} event
 */
function digitOf(event) {
  if (/^[0-9]$/.test(event.key)) return event.key;
  return event.shiftKey ? "" : (/^Digit([0-9])$/.exec(event.code)?.[1] ?? "");
}

/**
 * @param {HTMLElement} parent
 * @param {string} tag
 * @param {string} className
 */
function piece(parent, tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}
