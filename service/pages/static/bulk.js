// Many at once: claims an item and what is alike to it, and gives one answer to all that are ticked.
//
// Answers go through the desk's outbox: each is kept in the browser until the service has it.

import { annotatorName, call, isOpen, serverNow, setAnnotatorName } from "./api.js";
import { BulkView } from "./bulk_view.js";
import { find, thousandths, word } from "./elements.js";
import { delay, newKey, renewSession, send, verdict } from "./insist.js";
import { LabelPicker } from "./labels.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { itemOf } from "./queue.js";
import { commandOf, isTaken } from "./shortcuts.js";
import { askName } from "./who.js";

/** @typedef {import("./queue.js").Item} Item */
/** @typedef {import("./labels.js").Label} Label */
/** @typedef {import("./bulk_view.js").Row} Row */
/** @typedef {{key: string, item: Item}} Given */
/** @typedef {{task: string, kind: string, labels: Label[], lease_seconds: number, person: string}} Data */

/** Items beside the first. */
const ALIKE = 29;
const LOOK_AGAIN_MS = 20_000;
const TICK_MS = 1000;
/** Labels that are suggested for a group. */
const SUGGESTED = 5;
const number = new Intl.NumberFormat(document.documentElement.lang);

class Bulk {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.multiple = data.kind === "multi_label";
    this.person = isOpen() ? annotatorName() : data.person;
    this.view = new BulkView();
    this.notices = new Notices();
    /** @type {Given[][]} Groups that were answered, the last one last. */
    this.given = [];
    /** @type {Set<string>} Keys of answers of the last groups that are not saved yet. */
    this.going = new Set();
    this.sent = 0;
    this.signedOut = false;
    this.busy = false;
    this.lookAt = 0;
    this.failures = 0;
    /** @type {Set<string>} Leases that are being renewed. */
    this.renewing = new Set();
    this.picker = new LabelPicker(find("labels", HTMLElement), {
      labels: data.labels,
      multiple: this.multiple,
      onPick: (names) => this.#pick(names),
    });
    this.outbox = new Outbox(this.person, {
      onChange: (standing) => this.#showStanding(standing),
      onSaved: (_, saved) => saved.counted === "extra" && this.notices.say("extra", "", word("extra")),
      onSignedOut: () => this.#signOut(),
    });
  }

  /** Begin to work. */
  async start() {
    this.#listen();
    if (isOpen() && !this.person) this.#become(await askName(""));
    await this.outbox.tell();
    this.outbox.kick();
    this.#claim();
    setInterval(() => this.#tick(), TICK_MS);
  }

  #listen() {
    const actions = this.#actions();
    for (const [id, act] of Object.entries(actions))
      document.getElementById(id)?.addEventListener("click", () => act());
    document.addEventListener("keydown", (event) => this.#key(event, actions));
    addEventListener("pagehide", () => this.#release(this.view.held));
    addEventListener("pageshow", (event) => event.persisted && this.#claim());
    addEventListener("focus", () => this.signedOut && this.#lookForSession());
    addEventListener("storage", (event) => {
      if (!isOpen() || event.key !== "regrade.annotator") return;
      this.view.showNothing("asking", ""); // held under the old name, which cannot give it back any more
      location.reload();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#renew(true));
  }

  /** @returns {Record<string, () => void>} */
  #actions() {
    return {
      submit: () => this.#pick(this.picker.chosen),
      scope: () => this.#say({ out_of_scope: true }, word("out_of_scope")),
      skip: () => this.#say({ skip: true }, word("skip")),
      undo: () => this.#undo(),
      all: () => this.view.toggleAll(),
      later: () => this.view.move(0),
      filter: () => this.picker.filter.focus(),
      help: () => find("keys-dialog", HTMLDialogElement).showModal(),
    };
  }

  /**
   * @param {KeyboardEvent} event
   * @param {Record<string, () => void>} actions
   */
  #key(event, actions) {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const inTexts = event.target instanceof HTMLElement && this.view.texts.contains(event.target);
    if (inTexts && this.#keyInTexts(event)) return event.preventDefault();
    if (!inTexts && isTaken(event, this.picker.filter)) return;
    const all = event.key === "*" && this.picker.isIdle;
    const command = all ? "all" : commandOf(event, this.picker.isIdle);
    const works = this.view.desk.dataset.state === "work";
    if (command && actions[command] && (works || command === "undo" || command === "help")) {
      event.preventDefault();
      if (!event.repeat) actions[command]?.();
    } else if (works && !(inTexts && event.key === " ")) {
      this.picker.handle(event);
    }
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} Whether the key moved the keyboard among the texts, or away from them.
   */
  #keyInTexts(event) {
    if (event.key === "ArrowDown") this.view.move(1);
    else if (event.key === "ArrowUp") this.view.move(-1);
    else if (event.key === "Escape") this.picker.focus();
    else return false;
    return true;
  }

  /** Claim an item, and what is alike to it. */
  async #claim() {
    if (this.busy) return;
    this.busy = true;
    this.view.showNothing("asking", "");
    try {
      const [first] = await this.#take({ count: 1 });
      const more = first ? await this.#take({ count: ALIKE, like: first.id }) : [];
      this.failures = 0;
      this.notices.unsay("claim");
      if (first) this.#show([first, ...more]);
      else this.#wait("empty", word("empty_why"), LOOK_AGAIN_MS);
    } catch (error) {
      this.failures += 1;
      if (verdict(error) === "signed-out") this.#signOut();
      const why = error instanceof Error ? error.message : "";
      this.#wait("refused", word("cannot_claim", { why }), delay(this.failures, error));
    } finally {
      this.busy = false;
    }
  }

  /**
   * @param {object} wish
   * @returns {Promise<Item[]>}
   */
  async #take(wish) {
    const reply = await send(`/v1/queue/${this.data.task}/claim`, wish, newKey());
    return reply.items.map(itemOf);
  }

  /** @param {Item[]} items */
  #show(items) {
    this.view.show(items);
    this.picker.show(together(items));
    if (!document.querySelector("dialog[open]")) this.picker.focus();
  }

  /**
   * @param {"empty" | "refused"} state
   * @param {string} why
   * @param {number} ms Until it is tried again.
   */
  #wait(state, why, ms) {
    this.view.showNothing(state, why);
    this.lookAt = Date.now() + ms;
  }

  /** @param {string[]} names */
  #pick(names) {
    if (this.multiple) this.#say({ labels: names }, names.join(", ") || word("no_label"));
    else this.#say({ label: names[0] }, names[0] ?? "");
  }

  /**
   * Say the same of all that are ticked, give the others back, and claim the next group.
   * @param {Record<string, unknown>} body
   * @param {string} said In words.
   */
  async #say(body, said) {
    if (!this.view.isArmed) return;
    const { ticked } = this.view;
    if (ticked.length === 0) return this.notices.say("last", "warn", word("nothing_ticked"));
    const { seconds } = this.view;
    const left = this.view.held.filter((row) => !ticked.includes(row));
    const group = ticked.map((row) => ({ key: newKey(), item: row.item }));
    this.given.push(group);
    this.view.showNothing("asking", "");
    const counts = { n: number.format(group.length), said };
    const told = [word("skip" in body ? "skipped" : "given", counts)];
    if (left.length) told.push(word("released", { n: number.format(left.length) }));
    this.notices.say("last", "", told.join(" · "));
    await this.#send(group, { ...body, seconds: thousandths(seconds / group.length) }, said);
    await this.#release(left);
    this.#claim();
  }

  /**
   * @param {Given[]} group
   * @param {Record<string, unknown>} body
   * @param {string} said
   */
  async #send(group, body, said) {
    const { task } = this.data;
    const given = Date.now();
    const entries = group.map(({ key, item }, place) => {
      const sent = { lease_token: item.token, ...body };
      return { key, task, item: item.id, body: sent, text: item.text, said, given: given + place / 100 };
    });
    await this.outbox.add(entries);
    if (this.going.size === 0) this.sent = 0;
    for (const { key } of group) this.going.add(key);
    this.sent += group.length;
  }

  /** Take every answer to the last group back, and show the group again. */
  async #undo() {
    const group = this.given.pop();
    if (!group) return this.notices.say("last", "", word("nothing_to_undo"));
    if (this.busy) return void this.given.push(group);
    this.busy = true;
    this.notices.say("last", "", word("undoing"));
    await this.#release(this.view.held);
    this.view.showNothing("asking", "");
    const items = [];
    let why = "";
    for (const { key, item } of group) {
      try {
        const undone = await this.outbox.takeBack(key, item.id);
        const lease = undone && { token: undone.lease_token, until: Date.parse(undone.lease_expires_at) };
        items.push({ ...item, ...lease });
      } catch (error) {
        why = error instanceof Error ? error.message : "";
      }
    }
    this.busy = false;
    const failed = group.length - items.length;
    const told = items.length ? [word("undone", { n: number.format(items.length) })] : [];
    if (failed) told.push(word("undo_failed", { n: number.format(failed), why }));
    this.notices.say("last", failed ? "warn" : "", told.join(" "));
    if (items.length) this.#show(items);
    else this.#claim();
  }

  /** @param {Row[]} rows Given back; where that fails, their leases run out. */
  #release(rows) {
    const sent = rows.map(({ item }) =>
      call("POST", `/v1/queue/items/${item.id}/release`, { lease_token: item.token }, { keepalive: true }).catch(
        () => {},
      ),
    );
    return Promise.all(sent);
  }

  #tick() {
    if (this.signedOut && Date.now() > this.lookAt) this.#lookForSession();
    const idle = this.view.desk.dataset.state === "empty" || this.view.desk.dataset.state === "refused";
    if (idle && Date.now() > this.lookAt) this.#claim();
    this.#renew(false);
  }

  /**
   * Hold the leases that are past their half for longer.
   * @param {boolean} all Whether to ask about every lease: much may have happened meanwhile.
   */
  #renew(all) {
    const half = (this.data.lease_seconds * 1000) / 2;
    for (const row of this.view.held) {
      if (all || row.item.until - serverNow() < half) this.#hold(row);
    }
  }

  /** @param {Row} row */
  async #hold(row) {
    const { item } = row;
    if (this.renewing.has(item.token)) return;
    this.renewing.add(item.token);
    try {
      const path = `/v1/queue/items/${item.id}/heartbeat`;
      const reply = await call("POST", path, { lease_token: item.token }, { signal: AbortSignal.timeout(10_000) });
      item.until = Date.parse(reply.lease_expires_at);
    } catch (error) {
      const what = verdict(error);
      if (what === "signed-out") this.#signOut();
      if (what === "refused" && this.view.rows.includes(row)) this.view.lose(row);
    } finally {
      this.renewing.delete(item.token);
    }
  }

  /** @param {import("./outbox.js").Standing} standing */
  #showStanding(standing) {
    const n = standing.waiting.length + standing.adding;
    const state = n === 0 ? "saved" : standing.trouble || "saving";
    const names = { saved: "saved", saving: "saving", away: "away", "signed-out": "signed_out" };
    const status = find("status", HTMLElement);
    const fleeting = standing.lasts || n === 0 ? "" : word("fleeting");
    status.textContent = [word(names[state], { n: number.format(n) }), fleeting].filter(Boolean).join(" ");
    status.dataset.state = state;
    this.view.desk.dataset.waiting = String(n);
    const waiting = new Set(standing.waiting.map((entry) => entry.key));
    for (const key of standing.adding ? [] : this.going) if (!waiting.has(key)) this.going.delete(key);
    this.view.progress(this.sent - this.going.size, this.sent);
    for (const entry of standing.refused) {
      const texts = [entry.text, word("you_said", { said: entry.said })];
      this.notices.say(`refused ${entry.key}`, "bad", word("refused", { why: entry.refused }), {
        texts,
        onDismiss: () => this.outbox.dismiss(entry.key),
      });
    }
  }

  #signOut() {
    if (this.signedOut) return;
    this.signedOut = true;
    const link = { href: `/app/sign-in?next=${encodeURIComponent(location.pathname)}`, name: word("sign_in") };
    this.notices.say("signed-out", "warn", word("signed_out", { n: this.view.desk.dataset.waiting ?? "0" }), { link });
  }

  async #lookForSession() {
    this.lookAt = Date.now() + LOOK_AGAIN_MS;
    if (!(await renewSession(this.person))) return;
    this.signedOut = false;
    this.notices.unsay("signed-out");
    this.outbox.kick();
    if (this.view.held.length === 0) this.#claim();
  }

  /** @param {string} person Who answers, in open mode. */
  #become(person) {
    setAnnotatorName(person);
    this.person = person;
    this.outbox.person = person;
  }
}

/**
 * Return what the model suggests for a group: the mean of what it says of those items that show it, best first.
 * @param {Item[]} items
 * @returns {import("./labels.js").Suggestion[]}
 */
function together(items) {
  const shown = items.filter((item) => item.suggestions.length > 0);
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { label, score } of shown.flatMap((item) => item.suggestions)) {
    sums.set(label, (sums.get(label) ?? 0) + score / shown.length);
  }
  const means = Array.from(sums, ([label, score]) => ({ label, score }));
  return means.sort((one, other) => other.score - one.score).slice(0, SUGGESTED);
}

new Bulk(JSON.parse(find("desk-data", HTMLElement).textContent ?? "null")).start();
