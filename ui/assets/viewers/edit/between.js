// Fill between slices: shape-based interpolation (Raya and Udupa 1990), linear in the signed distance to the outline.

import { signedDistance } from "./distance.js";
import { offsetIn } from "./lattice.js";

/** @import { Plane } from "../slices_volume.js" */
/** @import { Stroke } from "./history.js" */
/** @import { Lattice } from "./lattice.js" */

const MARGIN = 3; // voxels around what was painted, which the outline between may need

/** @typedef {Map<number, [number, number, number, number]>} Painted slice -> first and last row, first and last column */

/**
 * The slices of a plane in which a structure was painted, from the strokes that are in force.
 * @param {Lattice} lattice @param {Plane} plane @param {number} label @param {Stroke[]} strokes
 * @returns {Painted}
 */
export function paintedSlices({ strides }, plane, label, strokes) {
  /** @type {Painted} */
  const found = new Map();
  const { normal, down, right } = plane;
  for (const { normal: along, label: painted, runs, tool } of strokes) {
    if (painted !== label) continue;
    if (tool === "between") found.clear();
    if (along !== normal) continue;
    for (let k = 0; k < runs.length; k += 3) {
      for (const voxel of [runs[k], runs[k] + runs[k + 1] - 1]) {
        const at = [Math.floor(voxel / strides[0]), Math.floor((voxel % strides[0]) / strides[1]), voxel % strides[1]];
        const [row, column] = [down, right].map(({ axis, turn, n }) => (turn > 0 ? at[axis] : n - 1 - at[axis]));
        const [r0, r1, c0, c1] = found.get(at[normal]) ?? [row, row, column, column];
        found.set(at[normal], [Math.min(r0, row), Math.max(r1, row), Math.min(c0, column), Math.max(c1, column)]);
      }
    }
  }
  return found;
}

/**
 * The slices that hold a structure, whole: the keys of a structure that was outlined on some slices only.
 * @param {Lattice} lattice @param {Plane} plane @param {number} label @param {Uint8Array} labels
 * @returns {Painted}
 */
export function filledSlices(lattice, plane, label, labels) {
  /** @type {Painted} */
  const found = new Map();
  const { down, right } = plane;
  for (let slice = 0; slice < plane.n; slice += 1) {
    let [r0, r1, c0, c1] = [Infinity, -1, Infinity, -1];
    for (let row = 0; row < down.n; row += 1) {
      let voxel = offsetIn(lattice, plane, slice, row, 0);
      for (let column = 0; column < right.n; column += 1, voxel += right.stride) {
        if (labels[voxel] !== label) continue;
        if (row < r0) r0 = row;
        if (row > r1) r1 = row;
        if (column < c0) c0 = column;
        if (column > c1) c1 = column;
      }
    }
    if (r1 >= 0) found.set(slice, [r0, r1, c0, c1]);
  }
  return found;
}

/**
 * Call `use` for every voxel between neighbouring key slices, with whether it belongs to the structure.
 * @param {Lattice} lattice @param {Plane} plane @param {number} label @param {Uint8Array} labels
 * @param {Painted} keys two or more
 * @param {(voxel: number, inside: boolean) => void} use
 * @returns {number} slices that lie between
 */
export function fillBetween(lattice, plane, label, labels, keys, use) {
  const order = [...keys.keys()].sort((a, b) => a - b);
  const { down, right } = plane;
  let slices = 0;
  for (const [k, first] of order.slice(0, -1).entries()) {
    const second = order[k + 1];
    if (second - first < 2) continue;
    const [a, b] = [keys.get(first), keys.get(second)];
    if (!a || !b) continue;
    const [r0, r1] = [Math.max(0, Math.min(a[0], b[0]) - MARGIN), Math.min(down.n - 1, Math.max(a[1], b[1]) + MARGIN)];
    const [c0, c1] = [Math.max(0, Math.min(a[2], b[2]) - MARGIN), Math.min(right.n - 1, Math.max(a[3], b[3]) + MARGIN)];
    const shape = [r1 - r0 + 1, c1 - c0 + 1];
    const [from, to] = [first, second].map((slice) => {
      const mask = new Uint8Array(shape[0] * shape[1]);
      for (let row = 0, at = 0; row < shape[0]; row += 1) {
        for (let column = 0; column < shape[1]; column += 1, at += 1) {
          mask[at] = Number(labels[offsetIn(lattice, plane, slice, r0 + row, c0 + column)] === label);
        }
      }
      return signedDistance(mask, shape, [down.mm, right.mm]);
    });
    for (let slice = first + 1; slice < second; slice += 1) {
      const part = (slice - first) / (second - first);
      for (let row = 0, at = 0; row < shape[0]; row += 1) {
        for (let column = 0; column < shape[1]; column += 1, at += 1) {
          const distance = weighted(from[at], to[at], part);
          use(offsetIn(lattice, plane, slice, r0 + row, c0 + column), distance < 0);
        }
      }
    }
    slices += second - first - 1;
  }
  return slices;
}

/** An empty slice is infinitely far from its border. @param {number} a @param {number} b @param {number} part */
const weighted = (a, b, part) => (Number.isFinite(a) && Number.isFinite(b) ? a * (1 - part) + b * part : Infinity);
