// Keys: made by a form, shown once, and revoked after a question.

import { call, NetworkError, Problem } from "./api.js";
import { find, word } from "./elements.js";

const DAY_END = "T23:59:59.999";

/**
 * Say what went wrong in `place`.
 * @param {HTMLElement} place
 * @param {unknown} error
 */
function complain(place, error) {
  if (!(error instanceof Problem || error instanceof NetworkError)) throw error;
  place.textContent = error instanceof Problem ? error.detail : word("lost");
  place.hidden = false;
}

/**
 * The key that the form asks for.
 * @param {HTMLFormElement} form
 */
function wanted(form) {
  const fields = new FormData(form);
  const tasks = fields.getAll("tasks");
  const expires = String(fields.get("expires") ?? "");
  return {
    person: String(fields.get("person") ?? "").trim(),
    role: fields.get("role"),
    tasks: tasks.length ? tasks : null,
    expires_at: expires ? new Date(`${expires}${DAY_END}`).toISOString() : null,
    note: String(fields.get("note") ?? "").trim(),
  };
}

/** @param {string} secret Shown until the dialog is closed; then the page is loaded anew, and has it no more. */
function showSecret(secret) {
  const field = find("secret", HTMLInputElement);
  const dialog = find("made", HTMLDialogElement);
  field.value = secret;
  dialog.addEventListener("close", () => {
    field.value = "";
    location.reload();
  });
  dialog.showModal();
  field.select();
}

/** @param {HTMLFormElement} form */
async function make(form) {
  const problem = find("key-problem", HTMLElement);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  problem.hidden = true;
  button.disabled = true;
  try {
    const made = await call("POST", "/v1/keys", wanted(form));
    form.reset();
    showSecret(made.key);
  } catch (error) {
    complain(problem, error);
  } finally {
    button.disabled = false;
  }
}

async function copy() {
  const field = find("secret", HTMLInputElement);
  const told = find("copied", HTMLElement);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    told.textContent = word("copied");
  } catch {
    told.textContent = word("copy");
  }
}

/**
 * @param {string} id
 * @param {string} person
 */
function askToRevoke(id, person) {
  const dialog = find("sure", HTMLDialogElement);
  const problem = find("sure-problem", HTMLElement);
  problem.hidden = true;
  find("sure-words", HTMLElement).textContent = word("revoke", { person });
  find("sure-no", HTMLButtonElement).onclick = () => dialog.close();
  find("sure-yes", HTMLButtonElement).onclick = async () => {
    try {
      await call("DELETE", `/v1/keys/${id}`);
      location.reload();
    } catch (error) {
      complain(problem, error);
    }
  };
  dialog.showModal();
}

const form = document.getElementById("new-key");
if (form instanceof HTMLFormElement) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void make(form);
  });
}
find("copy", HTMLButtonElement).addEventListener("click", () => void copy());
for (const button of document.querySelectorAll("button[data-revoke]")) {
  if (!(button instanceof HTMLButtonElement)) continue;
  button.addEventListener("click", () => askToRevoke(button.dataset.revoke ?? "", button.dataset.person ?? ""));
}
