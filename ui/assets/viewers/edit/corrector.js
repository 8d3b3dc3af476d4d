// Asks the worker which voxels around a click belong to the structure.

import { boxAround, cut, outOf, sizes } from "./lattice.js";

/** @import { Volume } from "../slices_volume.js" */
/** @import { Question } from "./compete.js" */
/** @import { Lattice } from "./lattice.js" */

const MARGIN_MM = 2; // of fixed voxels around the reach
const MOST_VOXELS = 400_000; // of a box: a second on a slow machine

export class Corrector {
  /** @param {Volume} volume @param {Lattice} lattice */
  constructor(volume, lattice) {
    this.volume = volume;
    this.lattice = lattice;
    /** @type {Worker | null} */
    this.worker = null;
    this.last = 0;
  }

  /**
   * @param {number[]} click voxel @param {number} label @param {boolean} positive @param {number} reach mm
   * @returns {Promise<Map<number, number> | null>} voxel -> new label; null: a later click has replaced this one
   */
  async ask(click, label, positive, reach) {
    const { labels, scan } = this.volume;
    const count = boxAround(this.lattice, click, reach + MARGIN_MM, -1);
    const part = sizes(count).reduce((product, n) => product * n, 1);
    const shorter = reach * Math.min(1, Math.cbrt(MOST_VOXELS / part));
    const box = boxAround(this.lattice, click, shorter + MARGIN_MM, -1);
    const before = cut(this.lattice, box, labels);
    const id = ++this.last;
    const after = await this.#answer(id, {
      shape: sizes(box),
      spacing: this.lattice.spacing,
      labels: before,
      scan: scan ? cut(this.lattice, box, scan) : null,
      click: click.map((k, axis) => k - box[axis][0]),
      label, positive, reach: shorter,
    });
    if (id !== this.last) return null;
    const changes = new Map();
    for (let k = 0; k < after.length; k += 1) if (after[k] !== before[k]) changes.set(outOf(this.lattice, box, k), after[k]);
    return changes;
  }

  /** @param {number} id @param {Question} question @returns {Promise<Uint8Array>} */
  #answer(id, question) {
    this.worker ??= new Worker(new URL("./compete_worker.js", import.meta.url), { type: "module" });
    const { worker } = this;
    return new Promise((done, failed) => {
      /** @param {MessageEvent<{id: number, labels: Uint8Array}>} event */
      const hear = ({ data }) => {
        if (data.id !== id) return;
        worker.removeEventListener("message", hear);
        done(data.labels);
      };
      worker.addEventListener("message", hear);
      worker.onerror = () => failed(new Error("Click to correct failed in this browser."));
      worker.postMessage({ id, question });
    });
  }

  end() {
    this.worker?.terminate();
    this.worker = null;
  }
}
