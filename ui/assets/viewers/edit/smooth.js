// Smooth a structure: its mask is averaged with a Gaussian and cut at one half.

import { cut, outOf, sizes, walkBox } from "./lattice.js";

/** @import { Box, Lattice } from "./lattice.js" */

/** Standard deviation in mm. A plate of cartilage 1.5 mm thick loses 0.02 mm at each side, one of 2 mm nothing. */
const SIGMA_MM = 0.6;
const WIDE = 3; // standard deviations

/**
 * Call `use` with each voxel that joins or leaves the structure and its new label. A voxel that leaves gets the most
 * frequent other label around it.
 * @param {Lattice} lattice @param {Uint8Array} labels @param {number} label
 * @param {Box} where voxels that may change @param {number[] | null} at centre of a ball, or null: the whole box
 * @param {number} radius mm of the ball @param {number} normal axis of a slice smoothed alone; -1: in 3D
 * @param {(voxel: number, label: number) => void} use
 */
export function smooth(lattice, labels, label, where, at, radius, normal, use) {
  const { shape, spacing } = lattice;
  const reach = spacing.map((mm, axis) => (axis === normal ? 0 : Math.ceil((WIDE * SIGMA_MM) / mm)));
  /** @type {Box} */
  const box = where.map(([first, last], axis) => [Math.max(0, first - reach[axis]), Math.min(shape[axis] - 1, last + reach[axis])]);
  const size = sizes(box);
  const around = cut(lattice, box, labels);
  const share = Float32Array.from(around, (value) => Number(value === label));
  const steps = [size[1] * size[2], size[2], 1];
  for (let axis = 0; axis < 3; axis += 1) if (axis !== normal) average(share, size, steps, axis, spacing[axis], reach[axis]);
  /** @type {[number, number][]} */
  const changes = [];
  walkBox({ shape: size, spacing, strides: steps }, where.map(([first, last], axis) => [first - box[axis][0], last - box[axis][0]]), (k, z, y, x) => {
    const inside = share[k] > 0.5;
    if (inside === (around[k] === label)) return;
    const voxel = outOf(lattice, box, k);
    if (at) {
      const place = [z, y, x].map((value, axis) => (axis === normal ? 0 : (value + box[axis][0] - at[axis]) * spacing[axis]));
      if (place[0] ** 2 + place[1] ** 2 + place[2] ** 2 > radius ** 2) return;
    }
    changes.push([voxel, inside ? label : commonest(around, size, steps, [z, y, x], label)]);
  });
  for (const [voxel, value] of changes) use(voxel, value);
}

/**
 * @param {Float32Array} values changed in place @param {number[]} size @param {number[]} steps
 * @param {number} axis @param {number} mm @param {number} reach voxels
 */
function average(values, size, steps, axis, mm, reach) {
  const weights = Array.from({ length: reach + 1 }, (_, k) => Math.exp(-((k * mm) ** 2) / (2 * SIGMA_MM ** 2)));
  const n = size[axis];
  const line = new Float32Array(n);
  for (let start = 0; start < values.length; start += 1) {
    if (Math.floor(start / steps[axis]) % n) continue;
    for (let k = 0; k < n; k += 1) line[k] = values[start + k * steps[axis]];
    for (let k = 0; k < n; k += 1) {
      let [sum, total] = [0, 0];
      for (let d = -reach; d <= reach; d += 1) {
        const other = Math.min(Math.max(k + d, 0), n - 1); // the border of the image continues outwards
        sum += weights[Math.abs(d)] * line[other];
        total += weights[Math.abs(d)];
      }
      values[start + k * steps[axis]] = sum / total;
    }
  }
}

/** @param {Uint8Array} labels @param {number[]} size @param {number[]} steps @param {number[]} place @param {number} but */
function commonest(labels, size, steps, place, but) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (let dz = -1; dz <= 1; dz += 1) {
    for (let dy = -1; dy <= 1; dy += 1) {
      for (let dx = -1; dx <= 1; dx += 1) {
        const at = [place[0] + dz, place[1] + dy, place[2] + dx];
        if (at.some((k, axis) => k < 0 || k >= size[axis])) continue;
        const value = labels[at[0] * steps[0] + at[1] * steps[1] + at[2]];
        if (value !== but) counts.set(value, (counts.get(value) ?? 0) + 1);
      }
    }
  }
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0])[0];
}
