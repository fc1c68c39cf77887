// Keeps items ready: claims a few ahead, holds their leases while somebody works, and gives back what is not needed.

import { call, serverNow } from "./api.js";
import { delay, newKey, send, verdict } from "./insist.js";
import * as queue from "./queue.js";

/** @typedef {import("./queue.js").Item} Item */
/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {{label: string, language: string}} Wish Empty where any will do. */
/** @typedef {"asking" | "empty" | "away" | "signed-out" | "refused" | "stopped"} Lack Why nothing is shown. */

/** Items held ahead of the one that is shown: enough to hide a slow reply, few enough to leave others theirs. */
export const AHEAD = 5;
const LOOK_AGAIN_MS = 20_000;
const SOON_MS = 3_000;
const FIRST_LOOKS = 2;

/** Holds one person's items of a task. */
export class Supply {
  /**
   * @param {string} task
   * @param {number} leaseMs How long a lease holds.
   * @param {{onChange: (queue: Queue) => void, onLost: (item: Item) => void, onSignedOut: () => void}} on
   */
  constructor(task, leaseMs, on) {
    this.task = task;
    this.leaseMs = leaseMs;
    this.on = on;
    this.queue = queue.NOTHING;
    /** @type {Wish} */
    this.wish = { label: "", language: "" };
    /** @type {Lack} */
    this.lack = "stopped";
    /** @type {{key: string, body: object} | null} A claim whose reply never came: asked again, not anew. */
    this.unanswered = null;
    this.claiming = false;
    this.era = 0;
    this.failures = 0;
    this.claimAt = 0;
    /** How often it has looked since the start and found less than it wanted. */
    this.looks = 0;
    /** @type {Set<string>} Leases that are being renewed. */
    this.renewing = new Set();
    this.message = "";
  }

  /** Begin, or begin again. */
  start() {
    this.lack = "asking";
    this.looks = 0;
    this.kick();
    this.on.onChange(this.queue);
  }

  /** Hold nothing any more, and claim nothing. */
  stop() {
    this.#giveUp();
    this.lack = "stopped";
    this.on.onChange(this.queue);
  }

  /** Hold nothing any more, without giving anything back. */
  forget() {
    this.queue = queue.NOTHING;
  }

  /**
   * Give back what was claimed under the old wish, and claim under another.
   * @param {Wish} wish
   */
  choose(wish) {
    this.wish = wish;
    this.#giveUp();
    this.start();
  }

  /** Give back what lies ahead; the shown item's lease runs on as long as it lasts. */
  rest() {
    for (const item of this.queue.ahead) this.#release(item);
    this.queue = { shown: this.queue.shown, ahead: [] };
  }

  /** Claim now, whatever went wrong before. */
  kick() {
    this.claimAt = 0;
    this.fill();
  }

  /** @param {string} token Of an item that is done with: where it is shown, the next one is. */
  done(token) {
    this.#set(queue.drop(this.queue, token));
  }

  /** Show the next item first. */
  later() {
    this.#set(queue.later(this.queue));
  }

  /** @param {Item} item An item whose answer was taken back. */
  putBack(item) {
    if (this.lack === "stopped") this.lack = "asking";
    this.#set(queue.putBack(this.queue, item));
  }

  /** Do what time asks for: renew leases, claim again. Called every second or so while somebody works. */
  tick() {
    if (this.lack === "stopped") return;
    for (const item of queue.due(this.queue, serverNow(), this.leaseMs)) this.#renew(item);
    this.fill();
  }

  /** Renew every lease, because nobody knows what happened meanwhile. */
  check() {
    if (this.lack === "stopped") return;
    for (const item of queue.held(this.queue)) this.#renew(item);
    this.kick();
  }

  /** Claim what is lacking, unless that is under way or must wait. */
  async fill() {
    const count = queue.lacking(this.queue, AHEAD);
    if (this.lack === "stopped" || this.claiming || count === 0 || Date.now() < this.claimAt) return;
    this.claiming = true;
    const era = this.era;
    const claim = this.unanswered ?? { key: newKey(), body: this.#body(count) };
    this.unanswered = claim;
    try {
      const reply = await send(`/v1/queue/${this.task}/claim`, claim.body, claim.key);
      if (era === this.era) this.unanswered = null;
      this.#arrived(reply.items.map(queue.itemOf), era, count);
    } catch (error) {
      if (era === this.era) this.#failed(error);
    } finally {
      this.claiming = false;
      if (era !== this.era) this.fill();
    }
  }

  /** @param {number} count */
  #body(count) {
    const { label, language } = this.wish;
    return { count, ...(label && { label }), ...(language && { language }) };
  }

  /**
   * @param {Item[]} items
   * @param {number} era When they were asked for: what was wished then may not be wished now.
   * @param {number} count How many were asked for.
   */
  #arrived(items, era, count) {
    if (era !== this.era) {
      for (const item of items) this.#release(item);
      return;
    }
    this.failures = 0;
    this.lack = "empty";
    if (items.length < count) this.claimAt = Date.now() + this.#patience();
    this.#set(queue.take(this.queue, items));
  }

  /** Look again soon at first: what the page before this one gave back may not have arrived yet. */
  #patience() {
    this.looks += 1;
    return this.looks <= FIRST_LOOKS ? SOON_MS : LOOK_AGAIN_MS;
  }

  /** @param {unknown} error */
  #failed(error) {
    const what = verdict(error);
    this.failures += 1;
    this.claimAt = Date.now() + delay(this.failures, error);
    // A worker that died in the middle keeps the key busy for a minute; what it leased runs out by itself.
    if (what === "refused" || (what === "busy" && this.failures > 2)) this.unanswered = null;
    if (what === "refused") {
      this.message = error instanceof Error ? error.message : "";
    }
    this.lack = what === "busy" ? "away" : what;
    if (what === "signed-out") this.on.onSignedOut();
    this.on.onChange(this.queue);
  }

  /** @param {Item} item */
  async #renew(item) {
    if (this.renewing.has(item.token)) return;
    this.renewing.add(item.token);
    try {
      const path = `/v1/queue/items/${item.id}/heartbeat`;
      const reply = await call("POST", path, { lease_token: item.token }, { signal: AbortSignal.timeout(10_000) });
      this.queue = queue.renew(this.queue, item.token, Date.parse(reply.lease_expires_at));
    } catch (error) {
      const what = verdict(error);
      if (what === "signed-out") this.on.onSignedOut();
      if (what === "refused") this.#lost(item);
    } finally {
      this.renewing.delete(item.token);
    }
  }

  /** @param {Item} item It is somebody else's now, or was settled or erased. */
  #lost(item) {
    const held = queue.held(this.queue).some((one) => one.token === item.token);
    if (!held) return; // it was answered or given back meanwhile
    const shown = this.queue.shown?.token === item.token;
    this.#set(queue.drop(this.queue, item.token));
    if (shown) this.on.onLost(item);
  }

  #giveUp() {
    for (const item of queue.held(this.queue)) this.#release(item);
    this.queue = queue.NOTHING;
    this.unanswered = null;
    this.era += 1;
  }

  /** @param {Item} item Given back; where that fails, its lease runs out. */
  #release(item) {
    call("POST", `/v1/queue/items/${item.id}/release`, { lease_token: item.token }, { keepalive: true }).catch(
      () => {},
    );
  }

  /** @param {Queue} changed */
  #set(changed) {
    const emptied = this.queue.shown && !changed.shown;
    this.queue = changed;
    if (emptied && this.lack === "empty") this.claimAt = Math.min(this.claimAt, Date.now() + SOON_MS);
    this.on.onChange(changed);
    this.fill();
  }
}
