// Moments, which the server writes in UTC, as the reader's clock and language have them.

/**
 * Write every `<time datetime>` under `root` in the reader's own time zone; the exact moment is its title.
 * `data-style="day"` leaves the time of day out.
 * @param {ParentNode} root
 */
export function showTimes(root) {
  const language = document.documentElement.lang;
  const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
  const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
  for (const element of root.querySelectorAll("time[datetime]")) {
    if (!(element instanceof HTMLTimeElement)) continue;
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.textContent = (element.dataset.style === "day" ? day : short).format(moment);
    element.title = full.format(moment);
  }
}
