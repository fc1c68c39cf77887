// Lets the reader sort the tables marked `data-sortable` by any column; cells say what they count as in `data-value`.

/**
 * @param {HTMLTableRowElement} row
 * @param {number} column
 * @returns {string}
 */
function counted(row, column) {
  return row.cells[column]?.dataset.value ?? "";
}

/**
 * @param {string} one
 * @param {string} other
 * @returns {number} below 0 where `one` comes first: numbers by size, anything else by the alphabet
 */
function compare(one, other) {
  const [a, b] = [Number(one), Number(other)];
  return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other, document.documentElement.lang) : a - b;
}

/**
 * Sort a table by a column, the other way round if it is sorted by it already; figures begin with the greatest.
 * @param {HTMLTableElement} table
 * @param {HTMLTableCellElement} head
 */
function sort(table, head) {
  const column = head.cellIndex;
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? second : first;
  for (const other of table.tHead?.rows[0]?.cells ?? []) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const body = table.tBodies[0];
  if (!body) return;
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => sign * compare(counted(a, column), counted(b, column)));
  body.append(...rows);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (!(table instanceof HTMLTableElement)) continue;
  for (const head of table.tHead?.rows[0]?.cells ?? []) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}
