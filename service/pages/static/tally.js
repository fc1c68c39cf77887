// What was done in this session: counted here, because only the page knows how long somebody looked at a text.

/** @typedef {"answers" | "skips" | "flags"} Done */
/** @typedef {{since: string, answers: number, skips: number, flags: number, seconds: number[]}} Figures */

const REMEMBERED = 500;
/** A look that takes longer than this was a pause. */
const LONGEST_S = 300;

/** Counts one person's work at one task, until the tab is closed. */
export class Tally {
  /**
   * @param {string} task
   * @param {string} person
   */
  constructor(task, person) {
    this.name = `regrade.session.${task}.${person}`;
    this.figures = this.#read();
  }

  /**
   * Count something done.
   * @param {Done} what
   * @param {number} seconds That it took.
   */
  add(what, seconds) {
    this.figures[what] += 1;
    this.figures.seconds = [...this.figures.seconds, Math.min(seconds, LONGEST_S)].slice(-REMEMBERED);
    this.#write();
  }

  /**
   * Count something no more, because it was taken back.
   * @param {Done} what
   */
  subtract(what) {
    this.figures[what] = Math.max(0, this.figures[what] - 1);
    this.#write();
  }

  /** Begin a new session. */
  reset() {
    this.figures = fresh();
    this.#write();
  }

  /** Median seconds for one item, of the latest; null where nothing was done. */
  get median() {
    const sorted = this.figures.seconds.toSorted((one, other) => one - other);
    const middle = sorted.length >> 1;
    const upper = sorted[middle];
    if (upper === undefined) return null;
    return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  }

  /** Items done in an hour of work, pauses left out; null where that is not known yet. */
  get pace() {
    const { seconds } = this.figures;
    const total = seconds.reduce((sum, one) => sum + one, 0);
    return seconds.length >= 5 && total > 0 ? (seconds.length * 3600) / total : null;
  }

  /** @returns {Figures} */
  #read() {
    try {
      return { ...fresh(), ...JSON.parse(sessionStorage.getItem(this.name) ?? "{}") };
    } catch {
      return fresh();
    }
  }

  #write() {
    sessionStorage.setItem(this.name, JSON.stringify(this.figures));
  }
}

/** @returns {Figures} */
function fresh() {
  return { since: new Date().toISOString(), answers: 0, skips: 0, flags: 0, seconds: [] };
}
