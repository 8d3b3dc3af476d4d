// Strokes that are not saved yet, kept in this browser (IndexedDB) and owned by one tab at a time.
//
// heads: one record per analysis and digest of the labels that the strokes start from. strokes: by that key and their
// number. Every write checks in the same transaction that this tab still owns the strokes, so that two tabs cannot mix
// theirs. A BroadcastChannel only tells whether the owner is still there.

/** @import { Stroke } from "./history.js" */

/**
 * @typedef {object} Head
 * @property {string} key
 * @property {string} owner token of the tab
 * @property {number} position strokes in force
 * @property {number} changed ms since 1970
 *
 * @typedef {{strokes: Stroke[], position: number, changed: number}} Kept
 * @typedef {{ask?: string, alive?: string, taken?: string, from: string}} Message keys
 */

const NAME = "kneebox.edits";
const ANSWER_MS = 300;
const KEPT_MS = 30 * 24 * 3600 * 1000;

/** Another tab has taken the strokes. */
export class Taken extends Error {}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => failed(request.error);
});

/** @returns {Promise<IDBDatabase>} */
function database() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("heads", { keyPath: "key" });
    request.result.createObjectStore("strokes");
  };
  return result(request);
}

/** Every stroke of a key. @param {string} key @param {number} from */
const all = (key, from = 0) => IDBKeyRange.bound([key, from], [key, Infinity]);

/** Keys of the strokes in force that are kept for an analysis. @param {string} job */
export async function keysOf(job) {
  const base = await database();
  const range = IDBKeyRange.bound(`${job} `, `${job} \uffff`);
  const heads = /** @type {Head[]} */ (await result(base.transaction("heads").objectStore("heads").getAll(range)));
  base.close();
  return heads.filter(({ position }) => position > 0).map(({ key }) => key);
}

export class Store {
  /**
   * @param {IDBDatabase} base @param {string} key
   * @param {{shown: () => boolean, taken: () => void}} tab shown: whether the viewer is on the page; taken: called when another tab has taken over
   */
  constructor(base, key, { shown, taken }) {
    this.base = base;
    this.key = key;
    this.token = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    this.owned = false;
    this.channel = new BroadcastChannel(NAME);
    this.channel.addEventListener("message", (/** @type {MessageEvent<Message>} */ { data }) => {
      if (data.from === this.token || !this.owned) return;
      if (data.ask === key && shown()) this.#tell({ alive: key });
      if (data.taken === key) {
        this.owned = false;
        taken();
      }
    });
  }

  /** @param {string} key @param {{shown: () => boolean, taken: () => void}} tab */
  static async open(key, tab) {
    const store = new Store(await database(), key, tab);
    await store.#forgetOld();
    return store;
  }

  /** @param {Partial<Message>} message */
  #tell(message) {
    this.channel.postMessage({ ...message, from: this.token });
  }

  async #forgetOld() {
    const heads = /** @type {Head[]} */ (await result(this.base.transaction("heads").objectStore("heads").getAll()));
    for (const { key, changed } of heads) {
      if (Date.now() - changed > KEPT_MS) await this.#change((stores) => erase(stores, key));
    }
  }

  /** Whether another tab edits the same labels now. */
  async elsewhere() {
    const head = await result(this.base.transaction("heads").objectStore("heads").get(this.key));
    if (!head || head.owner === this.token) return false;
    return new Promise((done) => {
      const timer = setTimeout(() => finish(false), ANSWER_MS);
      /** @param {MessageEvent<Message>} event */
      const hear = ({ data }) => { if (data.alive === this.key) finish(true); };
      /** @param {boolean} found */
      const finish = (found) => {
        clearTimeout(timer);
        this.channel.removeEventListener("message", hear);
        done(found);
      };
      this.channel.addEventListener("message", hear);
      this.#tell({ ask: this.key });
    });
  }

  /** Own the strokes from now on. @returns {Promise<Kept>} what is kept */
  async take() {
    /** @type {Kept} */
    let kept = { strokes: [], position: 0, changed: 0 };
    await this.#change(async ({ heads, strokes }) => {
      const head = /** @type {Head | undefined} */ (await result(heads.get(this.key)));
      if (head) kept = { strokes: await result(strokes.getAll(all(this.key))), position: head.position, changed: head.changed };
      heads.put({ key: this.key, position: kept.position, changed: kept.changed || Date.now(), owner: this.token });
    });
    this.owned = true;
    this.#tell({ taken: this.key });
    return kept;
  }

  /** Keep a stroke as number `at`; later ones are forgotten. @param {Stroke} stroke @param {number} at */
  append(stroke, at) {
    return this.#write(at + 1, ({ strokes }) => {
      strokes.delete(all(this.key, at));
      strokes.put(stroke, [this.key, at]);
    });
  }

  /** Keep how many strokes are in force. @param {number} position */
  move(position) {
    return this.#write(position, () => {});
  }

  /** Forget everything. */
  clear() {
    return this.#write(0, (stores) => erase(stores, this.key));
  }

  /** @param {number} position @param {(stores: Stores) => void} act */
  #write(position, act) {
    return this.#change(async (stores) => {
      const head = /** @type {Head | undefined} */ (await result(stores.heads.get(this.key)));
      if (head && head.owner !== this.token) throw new Taken();
      stores.heads.put({ key: this.key, owner: this.token, position, changed: Date.now() });
      act(stores);
    });
  }

  /** @typedef {{heads: IDBObjectStore, strokes: IDBObjectStore}} Stores */
  /** One transaction. @param {(stores: Stores) => void | Promise<void>} act */
  async #change(act) {
    const work = this.base.transaction(["heads", "strokes"], "readwrite");
    const ended = new Promise((done, failed) => {
      work.oncomplete = () => done(undefined);
      work.onabort = () => failed(work.error);
    });
    ended.catch(() => {}); // the reason is thrown below
    try {
      await act({ heads: work.objectStore("heads"), strokes: work.objectStore("strokes") });
    } catch (error) {
      work.abort();
      throw error;
    }
    await ended;
  }

  close() {
    this.owned = false;
    this.channel.close();
    this.base.close();
  }
}

/** @param {Stores} stores @param {string} key */
function erase({ heads, strokes }, key) {
  heads.delete(key);
  strokes.delete(all(key));
}

/** A number that two label maps share only if they are equal, for all purposes here: 64 bits, FNV-1a on words. @param {Uint8Array} labels */
export function digest(labels) {
  const words = new Uint32Array(labels.buffer, labels.byteOffset, labels.length >> 2);
  let [a, b] = [0x811c9dc5, 0x9747b28c ^ labels.length];
  for (let k = 0; k < words.length; k += 1) {
    a = Math.imul(a ^ words[k], 0x01000193);
    b = Math.imul((b << 5) | (b >>> 27), 0x85ebca6b) ^ words[k];
  }
  for (let k = words.length << 2; k < labels.length; k += 1) a = Math.imul(a ^ labels[k], 0x01000193);
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
