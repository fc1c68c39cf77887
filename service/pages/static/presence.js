// Whether somebody is at the page: when they left, came back, fell idle, or the machine slept.

/** Nobody is there any more. */
const IDLE_MS = 15 * 60_000;
/** A gap between ticks that means that the machine was asleep, or the page frozen. */
const SLEPT_MS = 20_000;
const TICK_MS = 1000;

/**
 * @typedef {object} Changes
 * @property {() => void} onTick Called each second or so; a page in the background has fewer.
 * @property {() => void} onWake Much may have happened meanwhile: look at once how things stand.
 * @property {() => void} onIdle Nobody has touched the page for a quarter of an hour; `onWake` follows when they do.
 * @property {() => void} onHide The page is seen no more, and may not come back.
 * @property {() => void} onLeave The page is left.
 * @property {() => void} onReturn The page was left, and is back as it was.
 */

/** Watches the page. */
export class Presence {
  /** @param {Changes} on */
  constructor(on) {
    this.on = on;
    /** Whether nobody is there. */
    this.isIdle = false;
    this.activeAt = Date.now();
    this.tickedAt = Date.now();
  }

  /** Begin to watch. */
  start() {
    addEventListener("pagehide", () => this.on.onLeave());
    addEventListener("pageshow", (event) => event.persisted && this.on.onReturn());
    addEventListener("focus", () => this.#wake());
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#wake();
      else this.on.onHide();
    });
    for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      addEventListener(kind, () => this.#active(), { passive: true });
    }
    setInterval(() => this.#tick(), TICK_MS);
  }

  #tick() {
    const slept = Date.now() - this.tickedAt > SLEPT_MS;
    this.tickedAt = Date.now();
    if (!this.isIdle && this.tickedAt - this.activeAt > IDLE_MS) {
      this.isIdle = true;
      this.on.onIdle();
    }
    if (slept) this.#wake();
    this.on.onTick();
  }

  #active() {
    this.activeAt = Date.now();
    if (!this.isIdle) return;
    this.isIdle = false;
    this.#wake();
  }

  #wake() {
    this.tickedAt = Date.now();
    if (!this.isIdle) this.on.onWake();
  }
}
