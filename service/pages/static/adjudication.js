// Adjudication: wires the list of disputes, the one that is open, the label picker, the keys and what is sent.

import { call } from "./api.js";
import { Courier } from "./courier.js";
import { DisputeView } from "./dispute_view.js";
import { ask, find, word } from "./elements.js";
import { verdict } from "./insist.js";
import { LabelPicker } from "./labels.js";
import { Notices } from "./notices.js";
import { obey, readingActions } from "./shortcuts.js";

/** @typedef {import("./dispute_view.js").Dispute} Dispute */
/** @typedef {import("./labels.js").Label} Label */
/** @typedef {{dispute: Dispute, reply: Promise<{answer_id: string}>}} Given */
/** @typedef {{task: string, kind: string, labels: Label[], asks_one: boolean, usual: number, person: string,
 *   opened: Dispute | null}} Data */

const AT_ONCE = 20;
/** Disputes in the list from which it is not filled up. */
const ENOUGH = 5;
const MANY = 1000;
const LOOK_AGAIN_MS = 20_000;
const number = new Intl.NumberFormat(document.documentElement.lang);

class Adjudication {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.multiple = data.kind === "multi_label";
    this.view = new DisputeView();
    this.notices = new Notices();
    /** @type {Dispute[]} */
    this.disputes = data.opened ? [data.opened] : [];
    /** @type {Dispute | null} */
    this.opened = null;
    /** @type {string | null} Where the list goes on; null at its end. */
    this.after = null;
    /** @type {Map<string, number>} Rounds in which items were settled here: an older list does not bring them back. */
    this.settled = new Map();
    /** @type {Given[]} */
    this.given = [];
    this.waiting = 0;
    this.loading = false;
    this.courier = new Courier(data.person, (state, waiting) => this.#tell(state, waiting));
    this.picker = new LabelPicker(find("labels", HTMLElement), {
      labels: data.labels,
      multiple: this.multiple,
      onPick: (names) => this.#pick(names),
    });
  }

  /** Begin to work. */
  start() {
    /** @type {Record<string, () => void>} */
    const actions = this.#actions();
    for (const [id, act] of Object.entries({ ...actions, back: actions.skip, next: actions.later })) {
      document.getElementById(id)?.addEventListener("click", () => act?.());
    }
    find("more", HTMLElement).addEventListener("click", () => this.#load());
    document.addEventListener("keydown", (event) =>
      obey(event, this.picker, this.view.comment, actions, Boolean(this.opened)),
    );
    if (this.data.opened) this.#open(this.data.opened);
    this.#load();
    setInterval(() => this.opened || this.#load(), LOOK_AGAIN_MS);
  }

  #actions() {
    return {
      submit: () => this.#pick(this.picker.chosen),
      scope: () => this.#decide({ out_of_scope: true }, word("out_of_scope")),
      propose: () => this.#propose(),
      skip: () => this.#sendBack(),
      later: () => this.#next(),
      undo: () => this.#undo(),
      ...readingActions(this.view, this.picker),
    };
  }

  /** Fetch the disputes that follow those in the list. */
  async #load() {
    if (this.loading) return;
    this.loading = true;
    try {
      const query = new URLSearchParams({ limit: String(AT_ONCE), ...(this.after && { after: this.after }) });
      const found = await call("GET", `/v1/queue/${this.data.task}/disputes?${query}`);
      this.after = found.after;
      const known = new Set(this.disputes.map((one) => one.item_id));
      /** @type {Dispute[]} */
      const fresh = found.disputes;
      this.disputes.push(...fresh.filter((one) => !known.has(one.item_id) && !this.#isSettled(one)));
      this.#count(found.waiting);
      this.notices.unsay("load");
    } catch (error) {
      const why = error instanceof Error ? error.message : "";
      const link = { href: `/app/sign-in?next=${encodeURIComponent(location.pathname)}`, name: word("sign_in") };
      this.notices.say("load", "warn", word("cannot_load", { why }), verdict(error) === "signed-out" ? { link } : {});
    } finally {
      this.loading = false;
    }
    this.#show();
  }

  /** @param {Dispute} dispute */
  #isSettled(dispute) {
    return dispute.round <= (this.settled.get(dispute.item_id) ?? 0);
  }

  /** Show the list, and its first dispute where none is open. */
  #show() {
    const first = this.disputes[0];
    find("more", HTMLElement).hidden = this.after === null;
    if (!this.opened && first) this.#open(first);
    else if (!first) this.view.showNothing("empty", word("empty_why"));
    else this.#list();
  }

  #list() {
    this.view.showList(this.disputes, this.opened?.item_id ?? "", (dispute) => this.#open(dispute));
  }

  /** @param {Dispute} dispute */
  #open(dispute) {
    this.opened = dispute;
    this.view.show(dispute);
    this.picker.show(dispute.suggestions);
    this.#list();
    if (!document.querySelector("dialog[open]")) this.picker.focus();
  }

  #next() {
    const place = this.opened ? this.disputes.indexOf(this.opened) : -1;
    const next = this.disputes[(place + 1) % this.disputes.length];
    if (next) this.#open(next);
  }

  /** @param {string[]} names */
  #pick(names) {
    if (this.multiple) this.#decide({ labels: names }, names.join(", ") || word("no_label"));
    else this.#decide({ label: names[0] }, names[0] ?? "");
  }

  async #propose() {
    if (!this.view.isArmed) return;
    const field = find("propose-label", HTMLInputElement);
    field.value = "";
    if (!(await ask(find("propose-dialog", HTMLDialogElement))) || !field.value.trim()) return;
    const said = `${word("out_of_scope")}: ${field.value.trim()}`;
    this.#decide({ out_of_scope: true, proposed_label: field.value.trim() }, said);
  }

  /**
   * Decide what is open, and show the next.
   * @param {Record<string, unknown>} body
   * @param {string} said In words.
   */
  #decide(body, said) {
    const comment = this.view.comment.value.trim();
    const sent = this.#settle("decide", { ...body, ...(comment && { comment }) }, said);
    if (!sent) return;
    this.given.push(sent);
    sent.reply.catch(() => {
      this.given = this.given.filter((one) => one !== sent);
    });
  }

  async #sendBack() {
    if (!this.view.isArmed) return;
    if (!(await ask(find("back-dialog", HTMLDialogElement)))) return;
    const field = document.getElementById("back-answers");
    const answers = field instanceof HTMLInputElement ? { answers: field.valueAsNumber } : {};
    this.#settle("send-back", answers, word("send_back"));
  }

  /**
   * Send what settles the open dispute, take it off the list, and show the next.
   * @param {"decide" | "send-back"} how
   * @param {Record<string, unknown>} body
   * @param {string} said
   * @returns {Given | null} Null where nothing is open.
   */
  #settle(how, body, said) {
    const dispute = this.opened;
    if (!dispute || !this.view.isArmed) return null;
    const reopen = dispute.state === "resolved" && { reopen: true };
    const reply = this.courier.deliver(`/v1/queue/items/${dispute.item_id}/${how}`, { ...body, ...reopen });
    reply.catch((error) => this.#refused(dispute, said, error));
    this.notices.say("last", "", how === "decide" ? word("decided", { said }) : word("sent"));
    this.settled.set(dispute.item_id, dispute.round);
    const place = this.disputes.indexOf(dispute);
    this.disputes = this.disputes.filter((one) => one !== dispute);
    this.#count(this.waiting - 1);
    this.opened = null;
    const next = this.disputes[place] ?? this.disputes[0];
    if (next) this.#open(next);
    if (this.disputes.length < ENOUGH) reply.catch(() => {}).then(() => this.#load());
    if (!next) this.#show();
    return { dispute, reply };
  }

  /**
   * @param {Dispute} dispute
   * @param {string} said
   * @param {unknown} error
   */
  #refused(dispute, said, error) {
    const why = error instanceof Error ? error.message : "";
    const texts = [dispute.text ?? word("erased"), word("you_said", { said })];
    this.notices.say(`refused ${dispute.item_id}`, "bad", word("refused", { why }), { texts });
    this.settled.delete(dispute.item_id);
  }

  /** Take the last decision back, and open its item again. */
  async #undo() {
    const last = this.given.pop();
    if (!last) return this.notices.say("last", "", word("nothing_to_undo"));
    this.notices.say("last", "", word("undoing"));
    const path = `/v1/queue/items/${last.dispute.item_id}`;
    try {
      const { answer_id } = await last.reply;
      const undone = await this.courier.deliver(`${path}/undo`, { answer_id });
      await this.courier.deliver(`${path}/release`, { lease_token: undone.lease_token });
    } catch (error) {
      const why = error instanceof Error ? error.message : "";
      return this.notices.say("last", "warn", word("undo_failed", { why }));
    }
    const again = { ...last.dispute, state: "open", held: false };
    this.settled.delete(again.item_id);
    this.disputes = [again, ...this.disputes.filter((one) => one.item_id !== again.item_id)];
    this.#count(this.waiting + 1);
    this.notices.say("last", "", word("undone"));
    this.#open(again);
  }

  /** @param {number} waiting How many disputes there are, as far as is known. */
  #count(waiting) {
    this.waiting = Math.max(waiting, this.disputes.length);
    const badge = find("waiting", HTMLElement);
    badge.hidden = false;
    badge.textContent = word(this.waiting < MANY ? "waiting" : "waiting_many", { n: number.format(this.waiting) });
  }

  /**
   * @param {import("./courier.js").State} state
   * @param {number} waiting
   */
  #tell(state, waiting) {
    const status = find("status", HTMLElement);
    status.textContent = word(state);
    status.dataset.state = state;
    this.view.desk.dataset.waiting = String(waiting);
    const link = { href: `/app/sign-in?next=${encodeURIComponent(location.pathname)}`, name: word("sign_in") };
    if (state === "signed-out") this.notices.say("signed-out", "warn", word("signed-out"), { link });
    else this.notices.unsay("signed-out");
  }
}

new Adjudication(JSON.parse(find("desk-data", HTMLElement).textContent ?? "null")).start();
