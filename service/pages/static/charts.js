// Draws the charts of a page with plotly.js in the page's own colours, and again when it turns light or dark.

/**
 * What is used of plotly.js, which the page loads before this.
 * @typedef {object} Plotly
 * @property {(root: HTMLElement, data: object[], layout: object, config: object) => Promise<unknown>} react
 */

/** @typedef {{data: any[], layout: any}} Figure */

/**
 * Return `value` with every name of a custom property, such as `--accent`, replaced by its value.
 * @param {any} value
 * @param {CSSStyleDeclaration} style
 * @returns {any}
 */
export function coloured(value, style) {
  if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
  if (Array.isArray(value)) return value.map((one) => coloured(one, style));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one, style)]));
}

/**
 * Return moments as the reader's clock has them, which is how plotly.js writes what has no time zone; days stay.
 * @param {any} x
 * @returns {any}
 */
export function inLocalTime(x) {
  if (typeof x !== "string" || !/T.*(Z|[+-]\d\d:\d\d)$/.test(x)) return x;
  const moment = new Date(x);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/**
 * @param {Figure} figure
 * @param {CSSStyleDeclaration} style
 * @returns {Figure} the figure in the colours and letters of the page
 */
function dressed(figure, style) {
  const axis = { gridcolor: "--line", linecolor: "--line", zerolinecolor: "--line", tickcolor: "--line" };
  const layout = {
    ...figure.layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size: 13, color: "--muted" },
    hoverlabel: { bgcolor: "--surface", bordercolor: "--line", font: { color: "--ink" } },
    xaxis: { ...axis, fixedrange: true, ...figure.layout.xaxis },
    yaxis: { ...axis, fixedrange: true, ...figure.layout.yaxis },
  };
  const data = figure.data.map((trace) => ({ ...trace, x: trace.x.map(inLocalTime) }));
  return coloured({ data, layout }, style);
}

/**
 * Draw every chart of the page; where there is no plotly.js, open the tables instead.
 */
function draw() {
  /** @type {Plotly | undefined} */
  const plotly = Reflect.get(globalThis, "Plotly");
  const style = getComputedStyle(document.body);
  for (const root of document.querySelectorAll("[data-figure]")) {
    if (!(root instanceof HTMLElement)) continue;
    const text = document.getElementById(root.dataset.figure ?? "")?.textContent;
    if (!text) continue;
    if (!plotly) {
      root.hidden = true;
      for (const table of root.parentElement?.querySelectorAll("details") ?? []) table.open = true;
      continue;
    }
    const { data, layout } = dressed(JSON.parse(text), style);
    void plotly.react(root, data, layout, { displayModeBar: false, responsive: true }).then(() => {
      root.dataset.drawn = "yes";
    });
  }
}

document.addEventListener("regrade:theme", draw);
draw();
