// Try it: asks the model by the API, shows what it says and why somebody is asked, and takes "this is wrong".

import { call, NetworkError, Problem } from "./api.js";
import { find, make, makeText, word } from "./elements.js";
import { bar } from "./try_bars.js";

/** @typedef {{id: string, label: string, confidence: number, scores: {label: string, score: number}[],
 *   out_of_scope: number, truncated: boolean, review: {item_id: string, reason: string} | null}} Prediction */
/** @typedef {{thresholds: Record<string, number>, scope_threshold: number | null, live_version: string | null}} About */
/** @typedef {{text: string, prediction: Prediction, version: string, about: About, saw: string | null}} Try */

const PAGE = JSON.parse(find("try-data", HTMLElement).textContent ?? "{}");
const SHOWN_SCORES = 5;
const EARLIER = 30;

const form = find("try", HTMLFormElement);
const message = find("message", HTMLTextAreaElement);
const send = find("send", HTMLButtonElement);
const problem = find("problem", HTMLElement);
const result = find("result", HTMLElement);

const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", minimumFractionDigits: 1 });

/** @type {About | null} Thresholds of the version that answered last. */
let known = null;

/**
 * The thresholds of a version; asked for again when another one answers.
 * @param {string} version
 * @returns {Promise<About>}
 */
async function aboutVersion(version) {
  if (known?.live_version !== version) {
    const { tasks } = await call("GET", "/v1/tasks");
    known = tasks.find((/** @type {{name: string}} */ one) => one.name === PAGE.task);
  }
  return known ?? { thresholds: {}, scope_threshold: null, live_version: null };
}

/**
 * The text as it was judged and is kept; null where nothing is recorded.
 * @param {string} id
 * @returns {Promise<string | null>}
 */
async function judgedText(id) {
  try {
    return (await call("GET", `/v1/predictions/${id}`)).text;
  } catch (error) {
    if (error instanceof Problem || error instanceof NetworkError) return null;
    throw error;
  }
}

async function ask() {
  const text = message.value;
  if (send.disabled || !text.trim()) return;
  problem.hidden = true;
  send.disabled = true;
  try {
    const reply = await call("POST", `/v1/tasks/${PAGE.task}/predict`, { text, top_k: SHOWN_SCORES });
    const [prediction] = reply.predictions;
    const about = await aboutVersion(reply.model_version);
    const tried = { text, prediction, version: reply.model_version, about, saw: null };
    remember(tried);
    const card = show(tried);
    if (PAGE.records) void judgedText(prediction.id).then((saw) => fillText(card, tried, saw));
  } catch (error) {
    complain(problem, error);
  } finally {
    send.disabled = false;
  }
}

/**
 * @param {HTMLElement} place
 * @param {unknown} error
 */
function complain(place, error) {
  if (!(error instanceof Problem || error instanceof NetworkError)) throw error;
  const later = error instanceof Problem && error.retryAfter ? word("wait", { n: error.retryAfter }) : "";
  place.textContent = error instanceof Problem ? `${error.detail} ${later}`.trim() : word("away");
  place.hidden = false;
}

/**
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement}
 */
function slot(root, name) {
  return /** @type {HTMLElement} */ (root.querySelector(`[data-slot="${name}"]`));
}

/**
 * Show what the model said.
 * @param {Try} tried
 * @returns {HTMLElement}
 */
function show(tried) {
  const copy = /** @type {DocumentFragment} */ (find("answer", HTMLTemplateElement).content.cloneNode(true));
  const card = /** @type {HTMLElement} */ (copy.firstElementChild);
  const { prediction, about } = tried;
  slot(card, "label").textContent = prediction.label;
  slot(card, "confidence").textContent = percent.format(prediction.confidence);
  slot(card, "version").textContent = tried.version;
  slot(card, "truncated").textContent = word("truncated");
  slot(card, "truncated").hidden = !prediction.truncated;
  for (const { label, score } of prediction.scores) {
    const needed = label === prediction.label ? (about.thresholds[label] ?? null) : null;
    const told = needed === null ? "" : word("threshold", { share: percent.format(needed) });
    slot(card, "scores").append(bar(label, score, percent.format(score), needed, told));
  }
  const limit = about.scope_threshold;
  const told = limit === null ? "" : word("limit", { share: percent.format(limit) });
  const outside = prediction.out_of_scope;
  slot(card, "outside").append(bar(word("out_of_scope"), outside, percent.format(outside), limit, told));
  tellReview(card, tried);
  fillText(card, tried, tried.saw);
  takeFeedback(card, tried);
  result.replaceChildren(card);
  const spoken = [slot(card, "label"), slot(card, "confidence"), slot(card, "asked"), slot(card, "why")];
  find("said", HTMLElement).textContent = spoken.map((one) => one.textContent).join(" ");
  return card;
}

/**
 * @param {HTMLElement} card
 * @param {Try} tried
 */
function tellReview(card, { prediction, about }) {
  const { review } = prediction;
  slot(card, "asked").textContent = word(review ? "asked" : "not_asked");
  const threshold = about.thresholds[prediction.label] ?? 0;
  const isSure = prediction.confidence >= threshold && prediction.out_of_scope <= (about.scope_threshold ?? 1);
  const whyNot = PAGE.records ? (isSure ? "sure" : "doubt") : "unrecorded";
  slot(card, "why").textContent = word(review ? `reason_${review.reason}` : whyNot);
  linkItem(/** @type {HTMLAnchorElement} */ (slot(card, "item")), review?.item_id ?? null);
}

/**
 * @param {HTMLAnchorElement} link
 * @param {string | null} id
 */
function linkItem(link, id) {
  link.hidden = !id || !PAGE.is_reviewer;
  if (id) link.href = `/app/items/${id}`;
}

/**
 * @param {HTMLElement} card
 * @param {Try} tried
 * @param {string | null} saw Null while it is not known.
 */
function fillText(card, tried, saw) {
  tried.saw = saw;
  slot(card, "text").textContent = saw ?? tried.text;
  slot(card, "saw").textContent = saw === null ? "" : word(saw === tried.text ? "as_judged" : "redacted");
}

/**
 * Let somebody say whether the prediction was right.
 * @param {HTMLElement} card
 * @param {Try} tried
 */
function takeFeedback(card, tried) {
  const wrong = /** @type {HTMLButtonElement} */ (slot(card, "wrong"));
  const correction = /** @type {HTMLFormElement} */ (slot(card, "correction"));
  for (const option of correction.querySelectorAll("option[data-label]")) {
    if (option instanceof HTMLOptionElement && option.value === tried.prediction.label) option.remove();
  }
  slot(card, "feedback").hidden = !PAGE.records;
  slot(card, "right").addEventListener("click", () => void report(card, tried, { correct: true }));
  const open = (/** @type {boolean} */ isOpen) => {
    correction.hidden = !isOpen;
    wrong.setAttribute("aria-expanded", String(isOpen));
    const first = isOpen ? correction.querySelector("select, input") : wrong;
    if (first instanceof HTMLElement) first.focus();
  };
  wrong.addEventListener("click", () => open(correction.hidden === true));
  slot(card, "cancel").addEventListener("click", () => open(false));
  correction.addEventListener("submit", (event) => {
    event.preventDefault();
    void report(card, tried, said(correction));
  });
}

/**
 * What somebody filled in.
 * @param {HTMLFormElement} correction
 */
function said(correction) {
  const fields = new FormData(correction);
  const comment = String(fields.get("comment") ?? "").trim();
  const label = fields.get("label");
  const right = label === null ? { labels: fields.getAll("labels") } : label === "?" ? { correct: false } : { label };
  return comment ? { ...right, comment } : right;
}

/**
 * @param {HTMLElement} card
 * @param {Try} tried
 * @param {Record<string, unknown>} content
 */
async function report(card, tried, content) {
  const refused = slot(card, "refused");
  const buttons = [...card.querySelectorAll("button")];
  refused.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    const body = { prediction_id: tried.prediction.id, source: "try-it", ...content };
    const { item_id } = await call("POST", "/v1/feedback", body);
    slot(card, "feedback").hidden = true;
    slot(card, "correction").hidden = true;
    const thanks = slot(card, "thanks");
    thanks.textContent = word(content.correct === true ? "thanks_right" : item_id ? "thanks_item" : "thanks");
    thanks.hidden = false;
    linkItem(/** @type {HTMLAnchorElement} */ (slot(card, "item")), item_id);
  } catch (error) {
    complain(refused, error);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/**
 * Keep a try in the list of this visit.
 * @param {Try} tried
 */
function remember(tried) {
  const list = find("tries", HTMLElement);
  const item = document.createElement("li");
  const again = document.createElement("button");
  again.type = "button";
  again.className = "again";
  again.append(makeText("span", tried.text), make("bdi", "badge", tried.prediction.label));
  again.append(make("span", "muted number", percent.format(tried.prediction.confidence)));
  again.addEventListener("click", () => {
    message.value = tried.text;
    show(tried);
    message.focus();
  });
  item.append(again);
  list.prepend(item);
  while (list.children.length > EARLIER) list.lastElementChild?.remove();
  find("history", HTMLElement).hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void ask();
});
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || event.repeat) return;
  event.preventDefault();
  form.requestSubmit();
});
