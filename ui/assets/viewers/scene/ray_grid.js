// Intersects rays with a mesh. Triangles are sorted into cubes, and a ray visits only the cubes along it: it tests some
// tens
// of triangles instead of 580,000. Building this takes less time than a library's bounding volume tree.

/**
 * @typedef {object} Hit
 * @property {number} distance mm
 * @property {number[]} corners vertex numbers
 * @property {number[]} weights barycentric
 */

const CELL_MM = 2.5;

export class RayGrid {
  /** @param {Float32Array} points @param {Uint32Array} faces */
  constructor(points, faces) {
    this.points = points;
    this.faces = faces;
    this.low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (let i = 0; i < points.length; i++) {
      const axis = i % 3;
      if (points[i] < this.low[axis]) this.low[axis] = points[i];
      if (points[i] > high[axis]) high[axis] = points[i];
    }
    this.size = this.low.map((low, axis) => Math.max(1, Math.floor((high[axis] - low) / CELL_MM) + 1));
    const cells = this.size[0] * this.size[1] * this.size[2];
    this.start = new Uint32Array(cells + 1);
    this.triangles = this.#sorted(cells);
  }

  /** Triangles by cube: those of cube c are `triangles[start[c]]` to before `triangles[start[c + 1]]`. @param {number} cells */
  #sorted(cells) {
    const { faces } = this;
    for (let f = 0; f < faces.length; f += 3) this.#cubes(f, (cell) => this.start[cell + 1]++);
    for (let c = 0; c < cells; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    const triangles = new Uint32Array(this.start[cells]);
    for (let f = 0; f < faces.length; f += 3) this.#cubes(f, (cell) => (triangles[next[cell]++] = f));
    return triangles;
  }

  /** Call `each` for every cube that a triangle touches. @param {number} face @param {(cell: number) => void} each */
  #cubes(face, each) {
    const { points, faces, low, size } = this;
    const [a, b, c] = [3 * faces[face], 3 * faces[face + 1], 3 * faces[face + 2]];
    const from = [0, 0, 0];
    const to = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      const [p, q, r] = [points[a + axis], points[b + axis], points[c + axis]];
      from[axis] = Math.floor((Math.min(p, q, r) - low[axis]) / CELL_MM);
      to[axis] = Math.floor((Math.max(p, q, r) - low[axis]) / CELL_MM);
    }
    for (let z = from[2]; z <= to[2]; z++) {
      for (let y = from[1]; y <= to[1]; y++) {
        for (let x = from[0]; x <= to[0]; x++) each((z * size[1] + y) * size[0] + x);
      }
    }
  }

  /**
   * The nearest triangle that a ray hits from its front.
   * @param {number[]} origin @param {number[]} direction unit vector
   * @returns {Hit | null}
   */
  intersect(origin, direction) {
    const entry = this.#enter(origin, direction);
    if (entry === null) return null;
    const { low, size } = this;
    const cell = [0, 0, 0];
    const step = [0, 0, 0];
    const next = [0, 0, 0]; // distance at which the ray leaves the cube along each axis
    const width = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      const at = origin[axis] + direction[axis] * entry - low[axis];
      cell[axis] = Math.min(size[axis] - 1, Math.max(0, Math.floor(at / CELL_MM)));
      step[axis] = Math.sign(direction[axis]);
      width[axis] = step[axis] ? CELL_MM / Math.abs(direction[axis]) : Infinity;
      const wall = (cell[axis] + (step[axis] > 0 ? 1 : 0)) * CELL_MM;
      next[axis] = step[axis] ? entry + (wall - at) / direction[axis] : Infinity;
    }
    /** @type {Hit | null} */
    let best = null;
    for (;;) {
      const index = (cell[2] * size[1] + cell[1]) * size[0] + cell[0];
      for (let k = this.start[index]; k < this.start[index + 1]; k++) {
        const hit = this.#intersectTriangle(this.triangles[k], origin, direction);
        if (hit && (!best || hit.distance < best.distance)) best = hit;
      }
      const axis = next[0] < next[1] ? (next[0] < next[2] ? 0 : 2) : next[1] < next[2] ? 1 : 2;
      if (best && best.distance <= next[axis]) return best;
      cell[axis] += step[axis];
      if (cell[axis] < 0 || cell[axis] >= size[axis]) return best;
      next[axis] += width[axis];
    }
  }

  /** Distance at which the ray enters the box of all cubes; null if it misses. @param {number[]} origin @param {number[]} direction */
  #enter(origin, direction) {
    let near = 0;
    let far = Infinity;
    for (let axis = 0; axis < 3; axis++) {
      const low = this.low[axis] - origin[axis];
      const high = low + this.size[axis] * CELL_MM;
      if (direction[axis] === 0) {
        if (low > 0 || high < 0) return null;
        continue;
      }
      const [a, b] = [low / direction[axis], high / direction[axis]];
      near = Math.max(near, Math.min(a, b));
      far = Math.min(far, Math.max(a, b));
    }
    return near <= far ? near : null;
  }

  /**
   * Möller and Trumbore, Journal of Graphics Tools 1997, 2(1):21; triangles seen from behind are ignored.
   * @param {number} face @param {number[]} o @param {number[]} d
   * @returns {Hit | null}
   */
  #intersectTriangle(face, o, d) {
    const { points: p, faces } = this;
    const corners = [faces[face], faces[face + 1], faces[face + 2]];
    const [a, b, c] = corners.map((corner) => 3 * corner);
    const [ux, uy, uz] = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
    const [vx, vy, vz] = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
    const [hx, hy, hz] = [d[1] * vz - d[2] * vy, d[2] * vx - d[0] * vz, d[0] * vy - d[1] * vx];
    const area = ux * hx + uy * hy + uz * hz;
    if (area <= 0) return null;
    const [sx, sy, sz] = [o[0] - p[a], o[1] - p[a + 1], o[2] - p[a + 2]];
    const u = (sx * hx + sy * hy + sz * hz) / area;
    if (u < 0 || u > 1) return null;
    const [qx, qy, qz] = [sy * uz - sz * uy, sz * ux - sx * uz, sx * uy - sy * ux];
    const v = (d[0] * qx + d[1] * qy + d[2] * qz) / area;
    if (v < 0 || u + v > 1) return null;
    const distance = (vx * qx + vy * qy + vz * qz) / area;
    return distance > 0 ? { distance, corners, weights: [1 - u - v, u, v] } : null;
  }
}

/**
 * A channel at the point hit: interpolated if all three corners have a number, else the number of the nearest corner.
 * @param {Float32Array | Uint8Array} values @param {Hit} hit
 */
export function interpolatedValue(values, hit) {
  const at = hit.corners.map((corner) => values[corner]);
  if (at.every(Number.isFinite)) return at.reduce((sum, value, k) => sum + value * hit.weights[k], 0);
  return at[nearest(hit)];
}

/** The label of the corner nearest to the point hit. @param {Float32Array | Uint8Array} values @param {Hit} hit */
export function labelAt(values, hit) {
  return values[hit.corners[nearest(hit)]];
}

/** @param {Hit} hit */
function nearest(hit) {
  return hit.weights.indexOf(Math.max(...hit.weights));
}
