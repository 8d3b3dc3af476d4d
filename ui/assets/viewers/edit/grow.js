// Grow to edge: the voxels under the brush that are connected to its centre and as bright as it.

import { boxAround, cut, nearest, outOf, sizes } from "./lattice.js";

/** @import { Box, Lattice } from "./lattice.js" */

const ENOUGH = 3; // of the four neighbours in a plane: a voxel enclosed by this number is noise

/**
 * Mean intensity around a place, which noise moves less than one voxel's.
 * @param {Lattice} lattice @param {Uint8Array} scan @param {number[]} at
 */
export function meanAround(lattice, scan, at) {
  const reach = Math.min(...lattice.spacing) * 1.05;
  const part = cut(lattice, boxAround(lattice, at.map(Math.round), reach, -1), scan);
  return part.reduce((sum, value) => sum + value, 0) / part.length;
}

/**
 * Call `use` for each voxel.
 * @param {Lattice} lattice @param {Uint8Array} scan codes of intensities
 * @param {number[]} at place of the brush @param {number} radius mm @param {number} normal axis of its slice; -1: a ball
 * @param {{code: number, tolerance: number}} like codes that belong: `code` ± `tolerance`
 * @param {(voxel: number) => void} use
 * @returns {Box}
 */
export function growToEdge(lattice, scan, at, radius, normal, { code, tolerance }, use) {
  const box = boxAround(lattice, at, radius, normal);
  const size = sizes(box);
  const [nz, ny, nx] = size;
  if (nz * ny * nx === 0) return box;
  const codes = cut(lattice, box, scan);
  const centre = at.map((value, axis) => value - box[axis][0]);
  const steps = [ny * nx, nx, 1];
  const reached = new Uint8Array(codes.length);
  const start = nearest({ shape: size, spacing: lattice.spacing, strides: steps }, centre);
  const stack = [start];
  reached[start] = 1;
  /** @param {number} k */
  const placeOf = (k) => [Math.floor(k / steps[0]), Math.floor(k / nx) % ny, k % nx];
  /** @param {number[]} place */
  const near = (place) => place.reduce((sum, k, axis) => sum + (axis === normal ? 0 : ((k - centre[axis]) * lattice.spacing[axis]) ** 2), 0) <= radius ** 2;
  while (stack.length) {
    const k = /** @type {number} */ (stack.pop());
    const place = placeOf(k);
    for (let axis = 0; axis < 3; axis += 1) {
      for (const step of [-1, 1]) {
        if (place[axis] + step < 0 || place[axis] + step >= size[axis]) continue;
        const other = k + step * steps[axis];
        if (reached[other] || Math.abs(codes[other] - code) > tolerance || !near(placeOf(other))) continue;
        reached[other] = 1;
        stack.push(other);
      }
    }
  }
  const plane = [0, 1, 2].filter((axis) => axis !== (normal < 0 ? thickest(lattice) : normal));
  for (let k = 0; k < reached.length; k += 1) {
    if (reached[k] || enclosed(reached, k, placeOf(k), size, steps, plane)) use(outOf(lattice, box, k));
  }
  return box;
}

/** @param {Lattice} lattice */
const thickest = ({ spacing }) => spacing.indexOf(Math.max(...spacing));

/**
 * @param {Uint8Array} reached @param {number} k @param {number[]} place
 * @param {number[]} size @param {number[]} steps @param {number[]} plane axes
 */
function enclosed(reached, k, place, size, steps, plane) {
  let count = 0;
  for (const axis of plane) {
    if (place[axis] > 0 && reached[k - steps[axis]] === 1) count += 1;
    if (place[axis] < size[axis] - 1 && reached[k + steps[axis]] === 1) count += 1;
  }
  return count >= ENOUGH;
}
