// Strokes that can be undone and redone: for each, the voxels that it changed, with the labels before and after.

import { pair } from "./lattice.js";

/** @import { Box, Lattice } from "./lattice.js" */

/**
 * @typedef {object} Stroke
 * @property {string} tool
 * @property {number} label the structure that was edited
 * @property {number} normal axis of the slice that was painted; -1: not a single slice
 * @property {Uint32Array} runs for each run in C order: its first voxel, its length, label before + 256 * label after
 * @property {number} added voxels that the structure gained
 * @property {number} removed voxels that it lost
 */

const CAPACITY = 4096;

/** Writes labels, and remembers what they were. */
export class Recorder {
  /** @param {Uint8Array} labels */
  constructor(labels) {
    this.labels = labels;
    this.voxels = new Uint32Array(CAPACITY);
    this.before = new Uint8Array(CAPACITY);
    this.count = 0;
  }

  /** @param {number} voxel @param {number} label */
  set(voxel, label) {
    const old = this.labels[voxel];
    if (old === label) return;
    if (this.count === this.voxels.length) this.#grow();
    this.voxels[this.count] = voxel;
    this.before[this.count] = old;
    this.count += 1;
    this.labels[voxel] = label;
  }

  #grow() {
    const [voxels, before] = [new Uint32Array(2 * this.count), new Uint8Array(2 * this.count)];
    voxels.set(this.voxels);
    before.set(this.before);
    [this.voxels, this.before] = [voxels, before];
  }

  /** Put the labels back. */
  cancel() {
    for (let k = this.count - 1; k >= 0; k -= 1) this.labels[this.voxels[k]] = this.before[k];
    this.count = 0;
  }

  /**
   * The stroke, or null if nothing has changed.
   * @param {{tool: string, label: number, normal: number}} about
   * @returns {Stroke | null}
   */
  seal({ tool, label, normal }) {
    // voxel and place in the list as one number, exact up to 2^53: a numeric sort takes a tenth of one with a function
    const order = new Float64Array(this.count);
    for (let k = 0; k < this.count; k += 1) order[k] = this.voxels[k] * 2 ** 25 + k;
    order.sort();
    /** @type {number[]} */
    const runs = [];
    let [added, removed, last] = [0, 0, -1];
    for (const packed of order) {
      const voxel = Math.floor(packed / 2 ** 25);
      if (voxel === last) continue; // changed twice: the first label is the one before the stroke
      last = voxel;
      const [old, now] = [this.before[packed % 2 ** 25], this.labels[voxel]];
      if (old === now) continue;
      added += Number(now === label);
      removed += Number(old === label);
      const both = old + 256 * now;
      const end = runs.length - 3;
      if (end >= 0 && runs[end] + runs[end + 1] === voxel && runs[end + 2] === both) runs[end + 1] += 1;
      else runs.push(voxel, 1, both);
    }
    return runs.length ? { tool, label, normal, runs: Uint32Array.from(runs), added, removed } : null;
  }
}

/** Strokes in order; those before `position` are in force. */
export class History {
  /** @param {Uint8Array} labels */
  constructor(labels) {
    this.labels = labels;
    /** @type {Stroke[]} */
    this.strokes = [];
    this.position = 0;
  }

  get inForce() {
    return this.strokes.slice(0, this.position);
  }

  /** Add a stroke whose labels are already written; undone strokes are dropped. @param {Stroke} stroke */
  push(stroke) {
    this.strokes.splice(this.position, Infinity, stroke);
    this.position += 1;
  }

  /** @returns {Stroke | null} the stroke that was undone */
  undo() {
    if (this.position === 0) return null;
    this.position -= 1;
    const stroke = this.strokes[this.position];
    write(this.labels, stroke, (both) => both % 256);
    return stroke;
  }

  /** @returns {Stroke | null} the stroke that was redone */
  redo() {
    if (this.position === this.strokes.length) return null;
    const stroke = this.strokes[this.position];
    this.position += 1;
    write(this.labels, stroke, (both) => both >> 8);
    return stroke;
  }

  /** Undo everything and forget it. */
  clear() {
    while (this.undo());
    this.strokes = [];
  }
}

/** @param {Uint8Array} labels @param {Stroke} stroke @param {(both: number) => number} which */
function write(labels, { runs }, which) {
  for (let k = 0; k < runs.length; k += 3) labels.fill(which(runs[k + 2]), runs[k], runs[k] + runs[k + 1]);
}

/** The voxels of a stroke lie in this box. @param {Lattice} lattice @param {Stroke} stroke @returns {Box} */
export function boxOfStroke({ strides }, { runs }) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let k = 0; k < runs.length; k += 3) {
    for (const voxel of [runs[k], runs[k] + runs[k + 1] - 1]) {
      const at = [Math.floor(voxel / strides[0]), Math.floor((voxel % strides[0]) / strides[1]), voxel % strides[1]];
      for (let axis = 0; axis < 3; axis += 1) {
        low[axis] = Math.min(low[axis], at[axis]);
        high[axis] = Math.max(high[axis], at[axis]);
      }
    }
    if (Math.floor(runs[k] / strides[1]) !== Math.floor((runs[k] + runs[k + 1] - 1) / strides[1])) {
      [low[2], high[2]] = [0, strides[1] - 1]; // a run that continues in the next row
      if (Math.floor(runs[k] / strides[0]) !== Math.floor((runs[k] + runs[k + 1] - 1) / strides[0])) {
        [low[1], high[1]] = [0, strides[0] / strides[1] - 1];
      }
    }
  }
  return low.map((first, axis) => pair(first, high[axis]));
}
