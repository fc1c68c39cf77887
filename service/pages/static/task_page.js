// What can be done on the task page: versions made live, kept or let go, runs asked for, sources released.

import { call, NetworkError, Problem } from "./api.js";
import { find, word } from "./elements.js";
import { newKey } from "./insist.js";

/** @typedef {"promote" | "rollback" | "pin" | "unpin" | "full" | "fast" | "release"} Act */

const LOOK_MS = 2_000;
const OVER = new Set(["promoted", "passed", "rejected", "inconclusive", "unchanged", "failed", "cancelled"]);

const task = decodeURIComponent(location.pathname.split("/").pop() ?? "");
const dialog = find("act", HTMLDialogElement);
const problem = find("act-problem", HTMLElement);
const reason = find("act-reason", HTMLInputElement);
const force = find("act-force", HTMLInputElement);
const yes = find("act-yes", HTMLButtonElement);

/** What the dialog asks about, and the Idempotency-Key of it: asked twice, it is done once. */
let asked = { act: /** @type {Act} */ ("pin"), version: "", id: "", key: "" };

/**
 * The request that does what was asked.
 * @returns {{path: string, body: object | undefined}}
 */
function request() {
  const { act, version, id } = asked;
  const models = `/v1/models/${encodeURIComponent(task)}`;
  const why = reason.value.trim();
  switch (act) {
    case "promote":
      return { path: `${models}/promote`, body: { version, reason: why, force: force.checked } };
    case "rollback":
      return { path: `${models}/rollback`, body: { to: version, reason: why } };
    case "full":
    case "fast":
      return {
        path: `${models}/retrain`,
        body: { mode: act, promote: find("act-promote", HTMLInputElement).checked },
      };
    case "release":
      return { path: `/v1/queue/${encodeURIComponent(task)}/quarantines/${id}/release`, body: undefined };
    default:
      return { path: `${models}/${act}`, body: { version } };
  }
}

/** @param {HTMLElement} button */
function open(button) {
  const act = /** @type {Act} */ (button.dataset.act);
  asked = { act, version: button.dataset.version ?? "", id: button.dataset.id ?? "", key: newKey() };
  const retrains = act === "full" || act === "fast";
  find("act-words", HTMLElement).textContent = word(act, {
    version: asked.version,
    person: button.dataset.person ?? "",
  });
  find("act-promote-field", HTMLElement).hidden = !retrains;
  find("act-reason-field", HTMLElement).hidden = act !== "promote" && act !== "rollback";
  find("act-force-field", HTMLElement).hidden = true;
  problem.hidden = true;
  force.checked = false;
  reason.required = false;
  reason.value = "";
  dialog.showModal();
  if (!find("act-reason-field", HTMLElement).hidden) reason.focus();
}

/** @param {unknown} error */
function complain(error) {
  if (!(error instanceof Problem || error instanceof NetworkError)) throw error;
  problem.textContent = error instanceof Problem ? error.detail : word("lost");
  problem.hidden = false;
  const refused = error instanceof Problem && error.status === 409 && asked.act === "promote";
  if (refused) find("act-force-field", HTMLElement).hidden = false;
  if (error instanceof Problem) asked.key = newKey(); // the next try is another request
}

async function act() {
  const { path, body } = request();
  yes.disabled = true;
  problem.hidden = true;
  try {
    await call("POST", path, body, { key: asked.key });
    location.reload();
  } catch (error) {
    complain(error);
  } finally {
    yes.disabled = false;
  }
}

/**
 * Show how far a run is; when it is over, the whole page is fetched again.
 * @param {HTMLElement} row
 */
async function look(row) {
  let run;
  try {
    run = await call("GET", `/v1/runs/${row.dataset.openRun}`);
  } catch (error) {
    if (error instanceof Problem && !error.isPassing) return;
    setTimeout(look, LOOK_MS, row);
    return;
  }
  const said = row.querySelector("[data-said]");
  if (said && said.textContent !== run.message) said.textContent = run.message;
  const bar = row.querySelector("progress");
  if (bar) bar.value = run.progress;
  if (OVER.has(run.status) && !dialog.open) location.reload();
  else setTimeout(look, LOOK_MS, row);
}

for (const button of document.querySelectorAll("button[data-act]")) {
  if (button instanceof HTMLElement) button.addEventListener("click", () => open(button));
}
for (const row of document.querySelectorAll("[data-open-run]")) {
  if (row instanceof HTMLElement) setTimeout(look, LOOK_MS, row);
}
force.addEventListener("change", () => {
  reason.required = force.checked;
});
find("act-no", HTMLButtonElement).addEventListener("click", () => dialog.close());
find("act-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void act();
});
