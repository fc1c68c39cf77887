// How the desk looks: the item, its time, and what is said where there is nothing to do.

import { serverNow } from "./api.js";
import { find, word } from "./elements.js";
import { Notices } from "./notices.js";

/** @typedef {import("./queue.js").Item} Item */
/** @typedef {import("./supply.js").Lack} Lack */
/** @typedef {import("./outbox.js").Standing} Standing */
/** @typedef {import("./tally.js").Tally} Tally */

/** Nobody has read a text this soon: a key that is pressed earlier was meant for the one before. */
const UNREAD_MS = 150;
const SOON_MS = 60_000;
const LONG = 600;

const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });

/** The desk's elements. */
export class DeskView {
  /** @param {boolean} mixed Whether items come in several languages, so that each tells its own. */
  constructor(mixed) {
    this.mixed = mixed;
    this.desk = find("desk", HTMLElement);
    this.text = find("text", HTMLElement);
    this.lease = find("lease", HTMLElement);
    this.comment = find("comment", HTMLTextAreaElement);
    this.status = find("status", HTMLElement);
    this.notices = new Notices();
    this.shownAt = 0;
    /** Whether anything was done in this session. */
    this.anything = false;
    this.arming = 0;
  }

  /** Whether an answer is taken for what is shown. */
  get isArmed() {
    return this.desk.dataset.armed === "yes";
  }

  /** Seconds since the item was shown. */
  get seconds() {
    return (performance.now() - this.shownAt) / 1000;
  }

  /**
   * Show an item.
   * @param {Item} item
   * @param {string} comment To go on with.
   */
  show(item, comment) {
    this.desk.dataset.armed = "no";
    clearTimeout(this.arming);
    this.arming = setTimeout(() => {
      this.desk.dataset.armed = "yes";
    }, UNREAD_MS);
    this.shownAt = performance.now();
    this.desk.dataset.item = item.id;
    this.text.textContent = item.text;
    this.text.lang = item.language ?? "";
    this.text.scrollTop = 0;
    this.text.classList.toggle("long", item.text.length > LONG);
    this.comment.value = comment;
    badge("reason", item.reason && word(`reason_${item.reason}`));
    badge("item-language", this.mixed ? item.language : null);
    this.state("work");
    if (this.text.getBoundingClientRect().top < 0) this.desk.scrollIntoView();
  }

  /**
   * Show nothing, and say why.
   * @param {Lack} lack
   * @param {string} why
   */
  showNothing(lack, why) {
    this.desk.dataset.armed = "no";
    delete this.desk.dataset.item;
    const names = { empty: "empty", away: "away_nothing", refused: "refused_claim", asking: "asking" };
    find("nothing-name", HTMLElement).textContent = word(names[/** @type {"asking"} */ (lack)] ?? "no_items");
    find("nothing-why", HTMLElement).textContent = why;
    this.state(lack);
  }

  /** @param {"work" | Lack} state What the page shows. */
  state(state) {
    this.desk.dataset.state = state;
    find("work", HTMLElement).hidden = state !== "work";
    find("nothing", HTMLElement).hidden = state === "work" || state === "stopped";
    find("summary", HTMLElement).hidden = !(state === "stopped" || (state !== "work" && this.anything));
    find("foot", HTMLElement).hidden = state !== "work";
    find("go-on", HTMLElement).hidden = state !== "stopped";
    find("finish", HTMLButtonElement).disabled = state === "stopped";
  }

  /**
   * Tell how long the item is held: quietly, until the time gets short.
   * @param {Item} item
   * @param {number} length Of a lease, in milliseconds.
   */
  showLease(item, length) {
    const left = Math.min(length, item.until - serverNow()); // clocks are told in whole seconds
    const soon = left < Math.min(SOON_MS, length / 4);
    this.lease.classList.toggle("soon", soon);
    const time = clock(left);
    const said = left <= 0 ? word("ended") : word(soon ? "ends_soon" : "time_left", { time });
    if (this.lease.textContent !== said) this.lease.textContent = said;
  }

  /**
   * Tell how the answers stand.
   * @param {Standing} standing
   */
  showStanding(standing) {
    const n = standing.waiting.length + standing.adding;
    const state = n === 0 ? "saved" : standing.trouble || "saving";
    const names = { saved: "saved", saving: "saving", away: "away", "signed-out": "signed_out" };
    const others = standing.others.length ? word("others", { names: standing.others.join(", ") }) : "";
    const fleeting = standing.lasts || n === 0 ? "" : word("fleeting");
    const said = [word(names[state], { n: number.format(n) }), fleeting, others].filter(Boolean).join(" ");
    if (this.status.textContent !== said) this.status.textContent = said;
    this.status.dataset.state = state;
    this.desk.dataset.waiting = String(n);
  }

  /**
   * Show what was done in this session.
   * @param {Tally} tally
   */
  showTally(tally) {
    const { answers, skips, flags } = tally.figures;
    this.anything = answers + skips + flags > 0;
    const pace = tally.pace === null ? "" : number.format(tally.pace);
    const median = tally.median === null ? "" : number.format(tally.median);
    put("sum-answers", number.format(answers));
    put("sum-skips", number.format(skips));
    put("sum-flags", number.format(flags));
    put("sum-pace", pace || "–");
    put("sum-median", median || "–");
    const said = [word("done", { n: number.format(answers) })];
    if (pace) said.push(word("pace", { n: pace }));
    if (median) said.push(word("median", { n: median }));
    put("foot", said.join(" · "));
  }

  /**
   * Show how many check items were answered rightly, where the task shows it.
   * @param {{checks: number | null, agreement: number | null}} mine
   */
  showChecks(mine) {
    const shown = mine.agreement !== null && mine.checks !== null;
    find("sum-checks-row", HTMLElement).hidden = !shown;
    find("sum-checks-hint", HTMLElement).hidden = !shown;
    if (shown) {
      const share = percent.format(mine.agreement ?? 0);
      put("sum-checks", word("of_checks", { share, n: number.format(mine.checks ?? 0) }));
    }
  }
}

/**
 * @param {string} id
 * @param {string | null} said
 */
function badge(id, said) {
  const element = find(id, HTMLElement);
  element.hidden = !said;
  element.textContent = said ?? "";
}

/**
 * @param {string} id
 * @param {string} said
 */
function put(id, said) {
  find(id, HTMLElement).textContent = said;
}

/** @param {number} ms */
function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
