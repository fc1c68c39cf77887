// Who answers, while the service has no keys and cannot know.

import { ask, find } from "./elements.js";

/**
 * Ask for a name until there is one.
 * @param {string} known The name so far; with one, the question can be left as it was.
 * @returns {Promise<string>}
 */
export async function askName(known) {
  const field = find("who-person", HTMLInputElement);
  field.value = known;
  for (;;) {
    const given = await ask(find("who-dialog", HTMLDialogElement));
    const name = field.value.normalize("NFC").trim();
    if (given && name) return name;
    if (known) return known;
  }
}
