// How a dispute looks: the text, what everybody said side by side, and what the model thinks.

import { find, make, makeText, word } from "./elements.js";
import { showTimes } from "./times.js";

/** @typedef {import("./labels.js").Suggestion} Suggestion */
/** @typedef {{label: string | null, labels: string[] | null}} Said */
/** @typedef {Said & {answer_id: string, person: string, role: string, round: number, kind: string,
 *   comment: string | null, proposed_label: string | null, counted: string, seconds: number | null, at: string}} Vote */
/** @typedef {Said & {correct: boolean | null, comment: string | null, source: string | null, at: string}} Report */
/** @typedef {Said & {item_id: string, state: string, text: string | null, language: string | null, reason: string,
 *   round: number, asked: number, held: boolean, suggestions: Suggestion[], votes: Vote[], reports: Report[],
 *   created_at: string}} Dispute */

/** Nobody has read a text this soon: a key that is pressed earlier was meant for the one before. */
const UNREAD_MS = 150;
const LONG = 600;
const SUGGESTED = 5;
const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });

/** The page's elements. */
export class DisputeView {
  constructor() {
    this.desk = find("desk", HTMLElement);
    this.text = find("text", HTMLElement);
    this.comment = find("comment", HTMLTextAreaElement);
    this.list = find("list", HTMLElement);
    this.arming = 0;
  }

  /** Whether a decision is taken for what is shown. */
  get isArmed() {
    return this.desk.dataset.armed === "yes";
  }

  /** @param {"asking" | "work" | "empty" | "away"} state */
  state(state) {
    this.desk.dataset.state = state;
    find("work", HTMLElement).hidden = state !== "work";
    find("nothing", HTMLElement).hidden = state === "work";
  }

  /**
   * Show nothing, and say why.
   * @param {"asking" | "empty" | "away"} state
   * @param {string} why
   */
  showNothing(state, why) {
    this.desk.dataset.armed = "no";
    delete this.desk.dataset.item;
    find("nothing-name", HTMLElement).textContent = word(state === "asking" ? "asking" : "empty");
    find("nothing-why", HTMLElement).textContent = why;
    this.state(state);
  }

  /**
   * Show a dispute, and nothing typed.
   * @param {Dispute} dispute
   */
  show(dispute) {
    this.desk.dataset.armed = "no";
    clearTimeout(this.arming);
    this.arming = setTimeout(() => {
      this.desk.dataset.armed = "yes";
    }, UNREAD_MS);
    this.desk.dataset.item = dispute.item_id;
    this.text.textContent = dispute.text ?? word("erased");
    this.text.lang = dispute.language ?? "";
    this.text.scrollTop = 0;
    this.text.classList.toggle("long", (dispute.text ?? "").length > LONG);
    this.comment.value = "";
    tell("reason", word(`reason_${dispute.reason}`));
    tell("item-language", dispute.language ?? "");
    tell("held", dispute.held ? word("held") : "");
    tell("asked", word("asked", { n: number.format(dispute.asked) }));
    tell("resolved", dispute.state === "resolved" ? word("resolved", { said: saidOf(dispute) }) : "");
    const votes = dispute.votes.map((vote) => voteCard(vote, dispute.round));
    find("votes", HTMLElement).replaceChildren(...votes, modelCard(dispute), ...dispute.reports.map(reportCard));
    showTimes(find("votes", HTMLElement));
    this.state("work");
    if (this.text.getBoundingClientRect().top < 0) this.desk.scrollIntoView();
  }

  /**
   * Show what there is to decide.
   * @param {Dispute[]} disputes
   * @param {string} opened Id of the one that is shown.
   * @param {(dispute: Dispute) => void} onOpen
   */
  showList(disputes, opened, onOpen) {
    const entries = disputes.map((dispute) => {
      const entry = document.createElement("li");
      const button = make("button", "dispute", "");
      button.append(makeText("span", dispute.text ?? word("erased")), summary(dispute));
      if (dispute.item_id === opened) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => onOpen(dispute));
      entry.append(button);
      return entry;
    });
    this.list.replaceChildren(...entries);
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }
}

/**
 * Return what somebody said, in words.
 * @param {Said & {kind?: string}} said
 */
export function saidOf(said) {
  if (said.kind === "skip" || said.kind === "flag") return word(said.kind);
  if (said.label === "out_of_scope") return word("out_of_scope");
  return said.label ?? (said.labels?.join(", ") || word("no_label"));
}

/** @param {Dispute} dispute */
function summary(dispute) {
  const row = make("span", "row", "");
  const present = dispute.votes.filter((vote) => vote.round === dispute.round);
  for (const said of new Set(present.map(saidOf))) row.append(name(said));
  return row;
}

/**
 * Return a badge with a name of unknown direction.
 * @param {string} said
 */
function name(said) {
  const badge = make("span", "badge", "");
  badge.append(makeText("bdi", said));
  return badge;
}

/**
 * @param {Vote} vote
 * @param {number} round The present one: what was said in others counts no more.
 */
function voteCard(vote, round) {
  const card = make("article", `card vote${vote.round === round ? "" : " past"}`, "");
  const head = make("h3", "", "");
  head.append(makeText("bdi", vote.person));
  card.append(head, name(saidOf(vote)));
  if (vote.proposed_label) card.append(makeText("p", word("proposes", { label: vote.proposed_label })));
  if (vote.comment) card.append(makeText("p", vote.comment));
  const about = make("p", "muted", "");
  about.append(moment(vote.at));
  if (vote.seconds !== null) about.append(` · ${word("seconds", { n: number.format(vote.seconds) })}`);
  if (vote.round !== round) about.append(` · ${word("round", { n: number.format(vote.round) })}`);
  if (vote.counted === "extra") about.append(` · ${word("extra")}`);
  card.append(about);
  return card;
}

/** @param {Dispute} dispute */
function modelCard(dispute) {
  const card = make("article", "card vote model", "");
  card.append(make("h3", "", word("model")));
  if (dispute.suggestions.length === 0) card.append(make("p", "muted", word("model_silent")));
  for (const one of dispute.suggestions.slice(0, SUGGESTED)) {
    const row = make("div", "share", "");
    const bar = document.createElement("progress");
    bar.className = "bar";
    bar.max = 1;
    bar.value = one.score;
    bar.setAttribute("aria-hidden", "true");
    row.append(makeText("bdi", one.label), make("span", "number", percent.format(one.score)), bar);
    card.append(row);
  }
  return card;
}

/** @param {Report} report */
function reportCard(report) {
  const card = make("article", "card vote", "");
  const head = make("h3", "", "");
  head.append(makeText("bdi", report.source ?? word("report")));
  const judged = report.correct ? "reported_right" : "reported_wrong";
  card.append(head, name(report.correct === null ? saidOf(report) : word(judged)));
  if (report.comment) card.append(makeText("p", report.comment));
  const about = make("p", "muted", "");
  about.append(moment(report.at));
  card.append(about);
  return card;
}

/** @param {string} at */
function moment(at) {
  const time = document.createElement("time");
  time.dateTime = at;
  return time;
}

/**
 * @param {string} id
 * @param {string} said Nothing hides the element.
 */
function tell(id, said) {
  const element = find(id, HTMLElement);
  element.hidden = !said;
  element.textContent = said;
}
