// Writes on their way, one after the other, each until the service has taken or refused it.

import { delay, newKey, renewSession, send, verdict } from "./insist.js";

/** @typedef {"saved" | "saving" | "away" | "signed-out"} State How it stands with what was sent. */

/** Sends what one person does on a page; while something is on its way, leaving the page asks first. */
export class Courier {
  /**
   * @param {string} person
   * @param {(state: State, waiting: number) => void} onChange
   */
  constructor(person, onChange) {
    this.person = person;
    this.onChange = onChange;
    this.waiting = 0;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
    /** @type {() => void} Ends the wait before the next try. */
    this.hurry = () => {};
    addEventListener("online", () => this.hurry());
    addEventListener("focus", () => this.hurry());
    addEventListener("beforeunload", (event) => {
      if (this.waiting > 0) event.preventDefault();
    });
  }

  /**
   * Send a write after those that are on their way.
   * @param {string} path
   * @param {unknown} body
   * @returns {Promise<any>} What the service answers.
   * @throws {import("./api.js").Problem} It was refused.
   */
  deliver(path, body) {
    const key = newKey();
    this.waiting += 1;
    this.onChange("saving", this.waiting);
    const done = this.last.then(() => this.#insist(path, body, key));
    this.last = done.catch(() => {});
    return done;
  }

  /**
   * @param {string} path
   * @param {unknown} body
   * @param {string} key
   */
  async #insist(path, body, key) {
    try {
      for (let failures = 1; ; failures += 1) {
        try {
          return await send(path, body, key);
        } catch (error) {
          const what = verdict(error);
          if (what === "refused") throw error;
          this.onChange(what === "busy" ? "saving" : what, this.waiting);
          await this.#pause(delay(failures, error));
          if (what === "signed-out") await renewSession(this.person);
        }
      }
    } finally {
      this.waiting -= 1;
      this.onChange(this.waiting ? "saving" : "saved", this.waiting);
    }
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), ms);
      this.hurry = () => {
        clearTimeout(timer);
        resolve(null);
      };
    });
  }
}
