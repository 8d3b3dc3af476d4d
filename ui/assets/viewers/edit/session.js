// The edits of one label map: its strokes, and their copy in this browser until they are saved or discarded.

import { boxOfStroke, History } from "./history.js";
import { latticeOf } from "./lattice.js";
import { digest, keysOf, Store, Taken } from "./store.js";

/** @import { Volume } from "../slices_volume.js" */
/** @import { Stroke } from "./history.js" */
/** @import { Box } from "./lattice.js" */

/**
 * @typedef {"closed" | "open" | "elsewhere" | "saved"} SessionState elsewhere: another tab edits the same labels
 *
 * @typedef {object} View
 * @property {() => boolean} shown whether the viewer is on the page
 * @property {(box: Box) => void} painted called after labels in the box have changed
 * @property {() => void} changed called after the state has changed
 */

/** @type {WeakMap<Volume, Session>} */
const sessions = new WeakMap();

export class Session {
  /** @param {Volume} volume @param {string} job */
  constructor(volume, job) {
    this.volume = volume;
    this.job = job;
    this.lattice = latticeOf(volume);
    this.history = new History(volume.labels);
    /** @type {SessionState} */
    this.state = "closed";
    this.restored = 0; // ms since 1970 of the last stroke that was found in this browser
    this.others = false; // strokes of another version of the analysis are kept
    this.problem = ""; // why strokes are not kept
    /** @type {Store | null} */
    this.store = null;
    this.key = "";
    /** @type {Promise<unknown>} */
    this.writing = Promise.resolve();
    /** @type {View | null} */
    this.view = null;
  }

  /** From now on this viewer shows the labels. @param {View} view */
  attach(view) {
    this.view = view;
  }

  /** A viewer has ended; another one may have taken its place already. @param {View} view */
  detach(view) {
    if (this.view === view) this.view = null;
  }

  /** The same for every viewer of these voxels. @param {Volume} volume @param {string} job */
  static of(volume, job) {
    const session = sessions.get(volume) ?? new Session(volume, job);
    sessions.set(volume, session);
    return session;
  }

  /** Continue with strokes that are kept in this browser, if there are any. */
  async resume() {
    if (this.state !== "closed") return;
    try {
      const keys = await keysOf(this.job);
      if (!keys.length) return;
      if (keys.includes(this.#name())) await this.open();
      else this.others = true;
    } catch {
      return; // storage is disabled: there is nothing to continue with
    }
    this.view?.changed();
  }

  #name() {
    this.key ||= `${this.job} ${digest(this.volume.labels)}`;
    return this.key;
  }

  /** Start to edit. @param {boolean} anyway also if another tab edits, which then stops */
  async open(anyway = false) {
    if (this.state === "open") return;
    this.problem = "";
    try {
      this.store ??= await Store.open(this.#name(), { shown: () => this.view?.shown() ?? false, taken: () => this.#lost() });
      if (!anyway && (await this.store.elsewhere())) {
        this.state = "elsewhere";
        this.view?.changed();
        return;
      }
      const { strokes, position, changed } = await this.store.take();
      for (const stroke of strokes) this.history.strokes.push(stroke);
      while (this.history.position < position) this.#changed(this.history.redo());
      this.restored = position ? changed : 0;
    } catch {
      this.store = null;
      this.problem = "This browser does not let the page store data: edits are lost if you leave the page before saving them.";
    }
    this.state = "open";
    this.view?.changed();
  }

  /** @param {Stroke} stroke whose labels are written */
  add(stroke) {
    const at = this.history.position;
    this.history.push(stroke);
    this.#keep((store) => store.append(stroke, at));
  }

  undo() {
    return this.#step(this.history.undo());
  }

  redo() {
    return this.#step(this.history.redo());
  }

  /** @param {Stroke | null} stroke */
  #step(stroke) {
    if (!stroke) return null;
    this.#changed(stroke);
    const { position } = this.history;
    this.#keep((store) => store.move(position));
    return stroke;
  }

  /** @param {Stroke | null} stroke */
  #changed(stroke) {
    if (stroke) this.view?.painted(boxOfStroke(this.lattice, stroke));
  }

  /** Undo everything and forget it. */
  discard() {
    this.#revert();
    this.restored = 0;
    this.#keep((store) => store.clear());
    this.view?.changed();
  }

  #revert() {
    const strokes = this.history.inForce;
    this.history.clear();
    for (const stroke of strokes) this.#changed(stroke);
  }

  /** The strokes are on the server now. */
  async saved() {
    this.state = "saved";
    this.history = new History(this.volume.labels);
    this.#keep((store) => store.clear());
    await this.writing;
    this.close();
    this.view?.changed();
  }

  /** Another tab has taken the strokes: it has all that were kept. */
  #lost() {
    if (this.store) this.store.owned = false;
    this.#revert();
    this.state = "elsewhere";
    this.view?.changed();
  }

  /** @param {(store: Store) => Promise<void>} write in the order of the calls */
  #keep(write) {
    const { store } = this;
    if (!store) return;
    this.writing = this.writing.then(() => write(store)).catch((error) => {
      if (this.state !== "open" && this.state !== "saved") return;
      if (error instanceof Taken) return this.#lost();
      this.problem = "This browser has no room for more edits: save them before you leave the page.";
      this.view?.changed();
    });
  }

  close() {
    this.store?.close();
    this.store = null;
  }
}
