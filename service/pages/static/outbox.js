// Answers on their way: each is put on the shelf first, sent in the background, and taken off when it was taken in.
//
// Two tabs may send the same answer: its Idempotency-Key lets it count once, and both get the same reply.

import { annotatorName, isOpen, Problem } from "./api.js";
import { delay, insist, newKey, send, verdict } from "./insist.js";
import { Shelf } from "./shelf.js";

/** @typedef {import("./shelf.js").Entry} Entry */
/** @typedef {{answer_id: string, counted: true | "extra"}} Saved */
/** @typedef {{item_id: string, lease_token: string, lease_expires_at: string}} Undone */
/** @typedef {{saved: Saved} | {refused: string} | {unsent: true}} Outcome */

/**
 * @typedef {object} Standing How the outbox stands.
 * @property {Entry[]} waiting This person's answers that the service does not have yet, as far as is known.
 * @property {number} adding How many more are just being put on the shelf.
 * @property {Entry[]} refused Those that it will not take.
 * @property {string[]} others Whose answers wait until they come back; not this person.
 * @property {"" | "away" | "signed-out"} trouble Why nothing goes out at the moment.
 * @property {boolean} lasts Whether what waits outlives the page.
 */

/** Answers that are under way together, so that slow replies do not pile up more; one while nothing gets through. */
const AT_ONCE = 4;

/** Sends one person's answers. */
export class Outbox {
  /**
   * @param {string} person
   * @param {{onChange: (standing: Standing) => void, onSaved: (entry: Entry, saved: Saved) => void,
   *   onSignedOut: () => void}} on
   */
  constructor(person, on) {
    this.person = person;
    this.on = on;
    this.shelf = new Shelf();
    /** @type {"" | "away" | "signed-out"} */
    this.trouble = "";
    this.adding = 0;
    /** @type {Omit<Standing, "adding">} */
    this.standing = { waiting: [], refused: [], others: [], trouble: "", lasts: this.shelf.lasts };
    this.failures = 0;
    this.draining = false;
    this.again = false;
    this.timer = 0;
    /** @type {Map<string, {promise: Promise<Outcome>, resolve: (outcome: Outcome) => void}>} */
    this.outcomes = new Map();
    this.tabs = new BroadcastChannel("regrade-answers");
    this.tabs.addEventListener("message", (event) => {
      const { key, outcome } = event.data;
      if (outcome) this.#outcome(key).resolve(outcome);
      this.tell();
    });
    addEventListener("online", () => this.kick());
  }

  /**
   * Keep answers, and send them. What they need is on disk, all at once, when this returns; the service has it later.
   * @param {Omit<Entry, "person" | "attempts" | "refused">[]} entries
   */
  async add(entries) {
    this.adding += entries.length;
    this.#announce();
    try {
      await this.shelf.put(entries.map((entry) => ({ ...entry, person: this.person, attempts: 0, refused: "" })));
      await this.#look();
    } finally {
      this.adding -= entries.length;
      this.#announce();
    }
    this.kick();
  }

  /** Try now, whatever went wrong before. */
  kick() {
    clearTimeout(this.timer);
    this.again = this.draining;
    if (!this.draining) this.#drain();
  }

  /**
   * Take an answer back.
   * @param {string} key Of the answer.
   * @param {string} item What it was about.
   * @returns {Promise<Undone | null>} The lease by which its item is held again; null where it was never sent, so that
   *   the old one still holds.
   * @throws {Problem} The service will not.
   */
  async takeBack(key, item) {
    const before = await this.shelf.change(key, (entry) => (entry.attempts === 0 ? null : entry));
    if (before?.attempts === 0) {
      this.#settle(key, { unsent: true });
      return null;
    }
    const outcome = await this.#outcome(key).promise;
    if (!("saved" in outcome)) throw new Problem(409, "refused" in outcome ? outcome.refused : "", [], null);
    return insist(`/v1/queue/items/${item}/undo`, { answer_id: outcome.saved.answer_id }, newKey());
  }

  /**
   * Forget a refused answer, once its person has seen that it was refused.
   * @param {string} key
   */
  async dismiss(key) {
    await this.shelf.change(key, (entry) => (entry.refused ? null : entry));
    this.tabs.postMessage({ key });
    await this.tell();
  }

  /** Tell how the outbox stands. */
  async tell() {
    await this.#look();
    this.#announce();
  }

  async #look() {
    const entries = await this.shelf.all();
    const mine = entries.filter((entry) => entry.person === this.person);
    const others = new Set(entries.filter((entry) => entry.person !== this.person).map((entry) => entry.person));
    this.standing = {
      waiting: mine.filter((entry) => !entry.refused),
      refused: mine.filter((entry) => entry.refused),
      others: [...others],
      trouble: this.trouble,
      lasts: this.shelf.lasts,
    };
  }

  #announce() {
    this.on.onChange({ ...this.standing, adding: this.adding });
  }

  async #drain() {
    this.draining = true;
    let wait = 0;
    try {
      do {
        this.again = false;
        wait = await this.#pass();
      } while (this.again);
    } finally {
      this.draining = false;
      if (wait > 0) this.timer = setTimeout(() => this.kick(), wait);
      await this.tell();
    }
  }

  /**
   * Send what waits, oldest first.
   * @returns {Promise<number>} Milliseconds until the next try; 0 where nothing is left.
   */
  async #pass() {
    if (isOpen() && annotatorName() !== this.person) return 0; // renamed in another tab; this page is about to know
    const entries = await this.shelf.all();
    const waiting = entries.filter((entry) => entry.person === this.person && !entry.refused);
    let wait = 0;
    while (waiting.length) {
      const batch = waiting.splice(0, this.trouble ? 1 : AT_ONCE);
      for (const error of await Promise.all(batch.map((entry) => this.#send(entry)))) {
        const what = error === null ? null : verdict(error);
        if (what === "busy") wait = 1000;
        if (what === "away" || what === "signed-out") return this.#pause(what, error);
      }
      this.trouble = "";
    }
    this.trouble = "";
    this.failures = 0;
    return wait;
  }

  /**
   * @param {"away" | "signed-out"} trouble
   * @param {unknown} error
   */
  #pause(trouble, error) {
    this.trouble = trouble;
    this.failures += 1;
    if (trouble === "signed-out") this.on.onSignedOut();
    return delay(this.failures, error);
  }

  /**
   * Send one answer.
   * @param {Entry} entry
   * @returns {Promise<unknown>} Why it waits or was refused; null where it was taken in, or is not there any more.
   */
  async #send(entry) {
    const there = await this.shelf.change(entry.key, (one) => ({ ...one, attempts: one.attempts + 1 }));
    if (!there || there.refused) return null;
    try {
      const saved = await send(`/v1/queue/items/${entry.item}/answer`, entry.body, entry.key);
      await this.shelf.change(entry.key, () => null);
      this.#settle(entry.key, { saved });
      this.on.onSaved(entry, saved);
      return null;
    } catch (error) {
      if (!(error instanceof Problem) || verdict(error) !== "refused") return error;
      await this.shelf.change(entry.key, (one) => ({ ...one, refused: error.detail }));
      this.#settle(entry.key, { refused: error.detail });
      return error;
    }
  }

  /** @param {string} key */
  #outcome(key) {
    const known = this.outcomes.get(key);
    if (known) return known;
    /** @type {(outcome: Outcome) => void} */
    let resolve = () => {};
    /** @type {Promise<Outcome>} */
    const promise = new Promise((done) => {
      resolve = done;
    });
    const made = { promise, resolve };
    this.outcomes.set(key, made);
    return made;
  }

  /**
   * Say here and in other tabs what became of an answer.
   * @param {string} key
   * @param {Outcome} outcome
   */
  #settle(key, outcome) {
    this.#outcome(key).resolve(outcome);
    this.tabs.postMessage({ key, outcome });
    this.tell();
  }
}
