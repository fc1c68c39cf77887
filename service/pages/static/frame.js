// What every page has: the switch between light and dark, and moments in the reader's own time zone.

import { showTimes } from "./times.js";

/** @returns {boolean} whether the page is dark now */
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const button = document.querySelector("button#theme");
if (button instanceof HTMLButtonElement) {
  const name = () => {
    button.textContent = (isDark() ? button.dataset.light : button.dataset.dark) ?? "";
  };
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("regrade.theme", theme);
    name();
    document.dispatchEvent(new CustomEvent("regrade:theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    name();
    document.dispatchEvent(new CustomEvent("regrade:theme"));
  });
  name();
  button.hidden = false;
}

showTimes(document);
