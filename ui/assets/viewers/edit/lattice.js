// Places on the grid of the labels: arrays (z, y, x) in C order, voxel centres at whole numbers.

/** @import { Plane, Volume } from "../slices_volume.js" */

/**
 * @typedef {object} Lattice
 * @property {number[]} shape
 * @property {number[]} spacing mm along z, y, x
 * @property {number[]} strides
 *
 * @typedef {[number, number][]} Box first and last voxel along z, y, x
 */

/** @param {Volume} volume @returns {Lattice} */
export const latticeOf = (volume) => ({ shape: volume.shape, spacing: volume.meta.spacing_mm, strides: volume.strides });

/** Offset of the voxel nearest to a place. @param {Lattice} lattice @param {number[]} at */
export function nearest({ shape, strides }, at) {
  return at.reduce((sum, value, axis) => sum + clamped(Math.round(value), shape[axis]) * strides[axis], 0);
}

/** @param {number} k @param {number} n */
const clamped = (k, n) => Math.min(Math.max(k, 0), n - 1);

/**
 * The voxels within a distance of a place.
 * @param {Lattice} lattice @param {number[]} at @param {number} mm
 * @param {number} normal axis along which only the slice of the place counts; -1: none
 * @returns {Box} may be empty (last < first) outside the grid
 */
export function boxAround({ shape, spacing }, at, mm, normal) {
  return at.map((value, axis) => {
    if (axis === normal) return pair(clamped(Math.round(value), shape[axis]), clamped(Math.round(value), shape[axis]));
    const reach = mm / spacing[axis] + 1e-9;
    return pair(Math.max(0, Math.ceil(value - reach)), Math.min(shape[axis] - 1, Math.floor(value + reach)));
  });
}

/** @param {number} first @param {number} last @returns {[number, number]} */
export const pair = (first, last) => [first, last];

/** @param {Box} a @param {Box} b @returns {Box} */
export const joined = (a, b) => a.map(([first, last], axis) => pair(Math.min(first, b[axis][0]), Math.max(last, b[axis][1])));

/** @param {Box} box */
export const sizes = (box) => box.map(([first, last]) => Math.max(0, last - first + 1));

/** Call `use` with the offset and the position of every voxel of a box. @param {Lattice} lattice @param {Box} box @param {(voxel: number, z: number, y: number, x: number) => void} use */
export function walkBox({ strides }, [[z0, z1], [y0, y1], [x0, x1]], use) {
  for (let z = z0; z <= z1; z += 1) {
    for (let y = y0; y <= y1; y += 1) {
      let voxel = z * strides[0] + y * strides[1] + x0;
      for (let x = x0; x <= x1; x += 1, voxel += 1) use(voxel, z, y, x);
    }
  }
}

/**
 * Copy a box out of an array.
 * @param {Lattice} lattice @param {Box} box @param {Uint8Array} array @returns {Uint8Array} C order
 */
export function cut(lattice, box, array) {
  const [nz, ny, nx] = sizes(box);
  const part = new Uint8Array(nz * ny * nx);
  const [[z0], [y0], [x0]] = box;
  for (let z = 0, to = 0; z < nz; z += 1) {
    for (let y = 0; y < ny; y += 1, to += nx) {
      const from = (z0 + z) * lattice.strides[0] + (y0 + y) * lattice.strides[1] + x0;
      part.set(array.subarray(from, from + nx), to);
    }
  }
  return part;
}

/** Offset in the whole array of an offset in a box. @param {Lattice} lattice @param {Box} box @param {number} inside */
export function outOf({ strides }, box, inside) {
  const [, ny, nx] = sizes(box);
  const z = Math.floor(inside / (ny * nx));
  const y = Math.floor(inside / nx) % ny;
  return (box[0][0] + z) * strides[0] + (box[1][0] + y) * strides[1] + box[2][0] + (inside % nx);
}

/** The box of some voxels. @param {Lattice} lattice @param {Iterable<number>} voxels @returns {Box} */
export function boxOf({ strides }, voxels) {
  let [z0, y0, x0, z1, y1, x1] = [Infinity, Infinity, Infinity, -Infinity, -Infinity, -Infinity];
  for (const voxel of voxels) {
    const z = Math.floor(voxel / strides[0]);
    const y = Math.floor((voxel % strides[0]) / strides[1]);
    const x = voxel % strides[1];
    if (z < z0) z0 = z;
    if (z > z1) z1 = z;
    if (y < y0) y0 = y;
    if (y > y1) y1 = y;
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
  }
  return [pair(z0, z1), pair(y0, y1), pair(x0, x1)];
}

/**
 * Fractions of voxels [z, y, x] at a row and column of a plane's picture; a voxel covers [column, column + 1].
 * @param {Plane} plane @param {number} slice @param {number} row @param {number} column
 */
export function placeIn({ normal, down, right }, slice, row, column) {
  const at = [0, 0, 0];
  at[normal] = slice;
  at[down.axis] = down.turn > 0 ? row - 0.5 : down.n - 0.5 - row;
  at[right.axis] = right.turn > 0 ? column - 0.5 : right.n - 0.5 - column;
  return at;
}

/** Offset of the voxel at a row and column. @param {Lattice} lattice @param {Plane} plane @param {number} slice @param {number} row @param {number} column */
export const offsetIn = ({ strides }, { normal, down, right }, slice, row, column) =>
  slice * strides[normal] + down.first + right.first + row * down.stride + column * right.stride;
