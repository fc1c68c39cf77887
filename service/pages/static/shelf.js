// Answers kept in the browser until the service has them: on disk, so that they outlive reloads and restarts.

/**
 * @typedef {object} Entry An answer that was given.
 * @property {string} key Its Idempotency-Key, by which it counts once however often it is sent.
 * @property {string} person Who gave it; nobody else's session may send it.
 * @property {string} task
 * @property {string} item
 * @property {Record<string, unknown>} body What is sent.
 * @property {string} text Of the item, to show where the answer is refused.
 * @property {string} said The answer in words, likewise.
 * @property {number} given When, in milliseconds since 1970.
 * @property {number} attempts How often it was sent, beginning before the first.
 * @property {string} refused Why it was refused for good; empty while it waits.
 */

const NAME = "regrade";
const ENTRIES = "answers";

/** Where entries lie, by key. */
export class Shelf {
  /** Open the shelf; without a disk (some private windows have none) what is on it lasts as long as the page. */
  constructor() {
    /** @type {Map<string, Entry>} */
    this.memory = new Map();
    /** Whether entries outlive the page. */
    this.lasts = true;
    this.opened = Promise.resolve()
      .then(open)
      .catch(() => {
        this.lasts = false;
        return null;
      });
  }

  /**
   * Return every entry, in the order in which they were given.
   * @returns {Promise<Entry[]>}
   */
  async all() {
    return [...(await this.#kept()), ...this.memory.values()].sort((one, other) => one.given - other.given);
  }

  /** @returns {Promise<Entry[]>} What is on disk; nothing once that is gone: what is in memory still goes out. */
  async #kept() {
    try {
      const database = await this.opened;
      return database ? await done(store(database, "readonly").getAll()) : [];
    } catch {
      this.lasts = false;
      return [];
    }
  }

  /**
   * Put entries on the shelf, all or none; they are on disk when this returns.
   * @param {Entry[]} entries
   */
  async put(entries) {
    try {
      const database = await this.opened;
      if (!database) throw new Error("no disk");
      const shelf = store(database, "readwrite");
      for (const entry of entries) shelf.put(entry);
      await finished(shelf.transaction);
    } catch {
      this.lasts = false;
      for (const entry of entries) this.memory.set(entry.key, entry);
    }
  }

  /**
   * Change an entry that is there, at one stroke with looking at it, so that two tabs do not do it both.
   * @param {string} key
   * @param {(entry: Entry) => Entry | null} change Returns what the entry becomes, or null to take it off the shelf.
   * @returns {Promise<Entry | null>} The entry before; null where there was none.
   */
  async change(key, change) {
    const remembered = this.memory.get(key);
    if (remembered) {
      const changed = change(remembered);
      if (changed) this.memory.set(key, changed);
      else this.memory.delete(key);
      return remembered;
    }
    const database = await this.opened;
    if (!database) return null;
    const entries = store(database, "readwrite");
    /** @type {Entry | undefined} */
    const found = await done(entries.get(key));
    if (!found) return null;
    const changed = change(found);
    if (changed) entries.put(changed);
    else entries.delete(key);
    await finished(entries.transaction);
    return found;
  }
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(ENTRIES, { keyPath: "key" });
  return done(request);
}

/**
 * @param {IDBDatabase} database
 * @param {"readonly" | "readwrite"} mode
 */
function store(database, mode) {
  return database.transaction(ENTRIES, mode, { durability: "strict" }).objectStore(ENTRIES);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Write what was changed now rather than when nothing else comes, because the page may be closed at any moment.
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.commit();
  });
}
