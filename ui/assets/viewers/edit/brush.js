// The voxels under a brush that moves along a line: a disc in one slice, or a ball.

import { boxAround, joined, nearest } from "./lattice.js";

/** @import { Box, Lattice } from "./lattice.js" */

const ALWAYS = 0.71; // of a voxel: a brush smaller than this would leave gaps on a slanted line

/**
 * Call `use` for every voxel whose centre lies within `radius` of the line, and always for the last voxel of the line.
 * @param {Lattice} lattice
 * @param {number[]} from @param {number[]} to places in voxels [z, y, x], fractions allowed
 * @param {number} radius mm
 * @param {number} normal axis of the slice that is painted; -1: a ball
 * @param {(voxel: number) => void} use may get a voxel twice
 * @returns {Box} holds all of them
 */
export function sweep(lattice, from, to, radius, normal, use) {
  const { shape, spacing, strides } = lattice;
  const reach = Math.max(radius, ALWAYS * Math.min(...spacing.filter((_, axis) => axis !== normal)));
  const box = joined(boxAround(lattice, from, reach, normal), boxAround(lattice, to, reach, normal));
  if (normal >= 0) box[normal] = boxAround(lattice, to, reach, normal)[normal];
  const line = spacing.map((mm, axis) => (axis === normal ? 0 : (to[axis] - from[axis]) * mm));
  const long = line[0] ** 2 + line[1] ** 2 + line[2] ** 2;
  const limit = reach ** 2 * (1 + 1e-9);
  const [[z0, z1], [y0, y1], [x0, x1]] = box;
  for (let z = z0; z <= z1; z += 1) {
    const dz = normal === 0 ? 0 : (z - from[0]) * spacing[0];
    for (let y = y0; y <= y1; y += 1) {
      const dy = normal === 1 ? 0 : (y - from[1]) * spacing[1];
      let voxel = z * strides[0] + y * strides[1] + x0;
      for (let x = x0; x <= x1; x += 1, voxel += 1) {
        const dx = normal === 2 ? 0 : (x - from[2]) * spacing[2];
        const along = long ? Math.min(Math.max((dz * line[0] + dy * line[1] + dx * line[2]) / long, 0), 1) : 0;
        const square = (dz - along * line[0]) ** 2 + (dy - along * line[1]) ** 2 + (dx - along * line[2]) ** 2;
        if (square <= limit) use(voxel);
      }
    }
  }
  if (to.every((value, axis) => value > -0.5 && value < shape[axis] - 0.5)) {
    use(nearest(lattice, to));
    return joined(box, boxAround(lattice, to.map(Math.round), 0, -1));
  }
  return box;
}
