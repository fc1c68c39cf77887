// The review desk: wires the items, the label picker, the keys and the outgoing answers together.

import { annotatorName, call, isOpen, setAnnotatorName } from "./api.js";
import { Aside } from "./aside.js";
import { DeskView } from "./desk_view.js";
import { findDraft, keepDraft } from "./drafts.js";
import { ask, find, thousandths, word } from "./elements.js";
import { newKey, renewSession } from "./insist.js";
import { LabelPicker } from "./labels.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { obey, readingActions } from "./shortcuts.js";
import { Supply } from "./supply.js";
import { Tally } from "./tally.js";
import { askName } from "./who.js";
import { WishForm } from "./wish.js";

/** @typedef {import("./queue.js").Item} Item */
/** @typedef {import("./labels.js").Label} Label */
/** @typedef {import("./shelf.js").Entry} Entry */
/** @typedef {import("./tally.js").Done} Done */
/** @typedef {{key: string, item: Item, what: Done}} Given */
/** @typedef {{task: string, kind: string, labels: Label[], lease_seconds: number,
 *   languages: string[], person: string}} Data */

/** Answers that can be taken back, the last first. */
const REMEMBERED = 50;
const LOOK_FOR_SESSION_MS = 5_000;

class Desk {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.multiple = data.kind === "multi_label";
    this.person = isOpen() ? annotatorName() : data.person;
    this.view = new DeskView(data.languages.length > 1);
    this.aside = new Aside(data.task, data.labels);
    this.tally = new Tally(data.task, this.person);
    /** @type {Given[]} */
    this.given = [];
    this.undoing = Promise.resolve();
    /** Answers that are being taken back. */
    this.takingBack = 0;
    this.token = "";
    this.signedOut = false;
    this.lookedAt = 0;
    this.picker = new LabelPicker(find("labels", HTMLElement), {
      labels: data.labels,
      multiple: this.multiple,
      onPick: (names) => this.#pick(names),
      onLook: (name) => name && this.aside.look(name),
    });
    this.outbox = new Outbox(this.person, {
      onChange: (standing) => this.#showStanding(standing),
      onSaved: (_, saved) => saved.counted === "extra" && this.view.notices.say("extra", "", word("extra")),
      onSignedOut: () => this.#signedOut(),
    });
    this.supply = new Supply(data.task, data.lease_seconds * 1000, {
      onChange: () => this.#show(),
      onLost: () => this.view.notices.say("lost", "warn", word("lost")),
      onSignedOut: () => this.#signedOut(),
    });
    this.wishes = new WishForm(data.task, (wish) => this.supply.choose(wish));
    this.presence = new Presence({
      onTick: () => this.#tick(),
      onWake: () => this.#wake(),
      onIdle: () => this.supply.rest(),
      onHide: () => this.#keepDraft(),
      onLeave: () => this.#leave(),
      onReturn: () => this.supply.start(),
    });
  }

  /** Begin to work. */
  async start() {
    this.#listen();
    this.supply.wish = this.wishes.restore();
    if (isOpen() && !this.person) this.#become(await askName(""));
    this.#showName();
    this.view.showTally(this.tally);
    await this.outbox.tell();
    this.outbox.kick();
    this.supply.start();
    this.presence.start();
  }

  #listen() {
    /** @type {Record<string, () => void>} */
    const actions = this.#actions();
    for (const [id, act] of Object.entries(actions)) {
      document.getElementById(id)?.addEventListener("click", (event) => {
        if (event.detail < 2 || id === "undo") act(); // the second of a double click was not meant for the next item
      });
    }
    document.addEventListener("keydown", (event) =>
      obey(event, this.picker, this.view.comment, actions, this.view.desk.dataset.state === "work"),
    );
    find("finish", HTMLElement).addEventListener("click", () => this.#finish());
    find("go-on", HTMLElement).addEventListener("click", () => this.supply.start());
    find("anew", HTMLElement).addEventListener("click", () => {
      this.tally.reset();
      this.view.showTally(this.tally);
    });
    document.getElementById("who")?.addEventListener("click", () => this.#rename());
    addEventListener("storage", (event) => {
      if (!isOpen() || event.key !== "regrade.annotator") return;
      this.supply.forget(); // held under the old name, which cannot give it back any more
      location.reload();
    });
    addEventListener("beforeunload", (event) => {
      if (!this.outbox.shelf.lasts && this.view.desk.dataset.waiting !== "0") event.preventDefault();
    });
  }

  #actions() {
    return {
      submit: () => this.#pick(this.picker.chosen),
      scope: () => this.#say("answers", { out_of_scope: true }, word("out_of_scope")),
      propose: () => this.#propose(),
      skip: () => this.#say("skips", { skip: true }, word("skip")),
      flag: () => this.#flag(),
      later: () => this.#later(),
      undo: () => this.#undo(),
      ...readingActions(this.view, this.picker),
    };
  }

  /** @param {string[]} names */
  #pick(names) {
    if (this.multiple) this.#say("answers", { labels: names }, names.join(", ") || word("no_label"));
    else this.#say("answers", { label: names[0] }, names[0] ?? "");
  }

  /**
   * Say something of the shown item, and show the next.
   * @param {Done} what
   * @param {Record<string, unknown>} body
   * @param {string} said In words.
   */
  #say(what, body, said) {
    const item = this.supply.queue.shown;
    if (item && this.view.isArmed) this.#send(item, what, body, said, this.view.comment.value);
  }

  /**
   * Send what is said of an item, which may be shown no more when a dialog took long: it counts if it still can.
   * @param {Item} item
   * @param {Done} what
   * @param {Record<string, unknown>} body
   * @param {string} said
   * @param {string} typed The comment.
   */
  #send(item, what, body, said, typed) {
    const comment = typed.trim();
    const key = newKey();
    const draft = { labels: drafted(body), comment };
    this.given = [...this.given, { key, item: { ...item, draft }, what }].slice(-REMEMBERED);
    const { seconds } = this.view;
    this.tally.add(what, seconds);
    this.view.showTally(this.tally);
    const sent = { lease_token: item.token, ...body, ...(comment && { comment }), seconds: thousandths(seconds) };
    const { task } = this.data;
    this.outbox.add([{ key, task, item: item.id, body: sent, text: item.text, said, given: Date.now() }]);
    this.view.notices.unsay("lost");
    this.view.notices.unsay("undo");
    this.supply.done(item.token);
  }

  /**
   * Ask for words in a dialog.
   * @param {string} dialog
   * @param {HTMLInputElement | HTMLTextAreaElement} field
   * @param {(words: string, item: Item, comment: string) => void} then Called with them, and with the item that was
   *   shown when the dialog opened.
   */
  async #ask(dialog, field, then) {
    const { shown } = this.supply.queue;
    if (!shown || !this.view.isArmed) return;
    const comment = this.view.comment.value;
    field.value = "";
    const given = await ask(find(dialog, HTMLDialogElement));
    const words = field.value.trim();
    if (given && words) then(words, shown, comment);
    this.picker.focus();
  }

  #flag() {
    return this.#ask("flag-dialog", find("flag-why", HTMLTextAreaElement), (why, item, comment) =>
      this.#send(item, "flags", { flag: why }, `${word("flag")}: ${why}`, comment),
    );
  }

  #propose() {
    return this.#ask("propose-dialog", find("propose-label", HTMLInputElement), (name, item, comment) => {
      const body = { out_of_scope: true, proposed_label: name };
      this.#send(item, "answers", body, `${word("out_of_scope")}: ${name}`, comment);
    });
  }

  #later() {
    if (this.supply.queue.ahead.length) this.supply.later();
    else this.view.notices.say("later", "", word("no_later"));
  }

  /** Take the last answer back, after those that are being taken back already. */
  #undo() {
    const last = this.given.pop();
    if (!last) return this.view.notices.say("undo", "", word("nothing_to_undo"));
    this.view.notices.say("undo", "", word("undoing"));
    this.takingBack += 1;
    this.undoing = this.undoing.then(() => this.#takeBack(last));
  }

  /** @param {Given} last */
  async #takeBack(last) {
    try {
      const undone = await this.outbox.takeBack(last.key, last.item.id);
      const lease = undone && { token: undone.lease_token, until: Date.parse(undone.lease_expires_at) };
      this.tally.subtract(last.what);
      this.view.showTally(this.tally);
      this.supply.putBack({ ...last.item, ...lease });
      this.view.notices.say("undo", "", word(this.takingBack > 1 ? "undoing" : "undone"));
    } catch (error) {
      const why = error instanceof Error ? error.message : "";
      this.view.notices.say("undo", "warn", word("undo_failed", { why }));
    } finally {
      this.takingBack -= 1;
    }
  }

  /** Show what the queue has; the same item stays as it is, with what was typed. */
  #show() {
    const { shown } = this.supply.queue;
    if (!shown) {
      this.token = "";
      const wished = this.supply.wish.label || this.supply.wish.language;
      const why = { empty: word(wished ? "empty_wish" : "empty_why"), refused: this.supply.message };
      this.view.showNothing(this.supply.lack, why[/** @type {"empty"} */ (this.supply.lack)] ?? "");
      if (this.supply.lack === "empty") this.#showChecks();
      return;
    }
    this.view.showLease(shown, this.supply.leaseMs);
    if (shown.token === this.token) return;
    this.token = shown.token;
    this.view.notices.unsay("later");
    const draft = shown.draft ?? findDraft(shown.id);
    this.view.show(shown, draft?.comment ?? "");
    this.aside.show(shown.text);
    this.picker.show(shown.suggestions, draft?.labels ?? []);
    if (!document.querySelector("dialog[open], #wishes:focus-within")) this.picker.focus();
  }

  /** @param {import("./outbox.js").Standing} standing */
  #showStanding(standing) {
    this.view.showStanding(standing);
    for (const entry of standing.refused) {
      this.view.notices.say(`refused ${entry.key}`, "bad", word("refused", { why: entry.refused }), {
        texts: [entry.text, word("you_said", { said: entry.said })],
        onDismiss: () => this.outbox.dismiss(entry.key),
      });
    }
  }

  async #showChecks() {
    try {
      this.view.showChecks(await call("GET", `/v1/queue/${this.data.task}/mine`));
    } catch {
      // It is told where it can be; nothing depends on it.
    }
  }

  #finish() {
    this.supply.stop();
    this.#showChecks();
    find("summary-name", HTMLElement).focus();
  }

  #tick() {
    if (this.signedOut && Date.now() - this.lookedAt > LOOK_FOR_SESSION_MS) this.#lookForSession();
    if (!this.presence.isIdle) this.supply.tick();
    const { shown } = this.supply.queue;
    if (shown) this.view.showLease(shown, this.supply.leaseMs);
  }

  /** Look at once how things stand: much may have happened meanwhile. */
  #wake() {
    if (this.signedOut) this.#lookForSession();
    this.outbox.kick();
    this.supply.check();
  }

  #leave() {
    this.#keepDraft();
    this.supply.stop();
  }

  #keepDraft() {
    const { shown } = this.supply.queue;
    if (shown) keepDraft(shown.id, { labels: this.picker.chosen, comment: this.view.comment.value });
  }

  #signedOut() {
    if (this.signedOut) return;
    this.signedOut = true;
    this.lookedAt = 0;
    const href = `/app/sign-in?next=${encodeURIComponent(location.pathname)}`;
    this.view.notices.say("signed-out", "warn", word("signed_out", { n: this.view.desk.dataset.waiting ?? "0" }), {
      link: { href, name: word("sign_in") },
    });
  }

  async #lookForSession() {
    this.lookedAt = Date.now();
    if (!(await renewSession(this.person))) return;
    this.signedOut = false;
    this.view.notices.unsay("signed-out");
    this.outbox.kick();
    this.supply.check();
  }

  /** @param {string} person */
  #become(person) {
    setAnnotatorName(person);
    this.person = person;
    this.outbox.person = person;
    this.tally = new Tally(this.data.task, person);
  }

  /** Go on as somebody else; what is held goes back first, under the old name. */
  async #rename() {
    const person = await askName(this.person);
    if (person === this.person) return;
    this.supply.stop();
    setAnnotatorName(person);
    location.reload();
  }

  #showName() {
    const who = document.getElementById("who");
    if (who) who.textContent = this.person;
  }
}

/**
 * Return the labels of an answer, to tick or mark them where it is taken back.
 * @param {Record<string, unknown>} body
 * @returns {string[]}
 */
function drafted(body) {
  if (Array.isArray(body.labels)) return body.labels;
  return typeof body.label === "string" ? [body.label] : [];
}

new Desk(JSON.parse(find("desk-data", HTMLElement).textContent ?? "null")).start();
