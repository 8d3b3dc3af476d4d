// Click to correct: a structure and its surroundings compete for the voxels around a click.
//
// A random walker with priors (Grady 2005): p, the probability that a voxel belongs to the structure, minimises
//   sum over neighbours of w (p_i - p_j)²  +  sum of STRENGTH (p_i - u_i)²
// where w is small across edges of the image, u is what the intensity says near the click and what the present outline
// says (its signed distance) farther away. The clicked place is fixed, and so is everything beyond `reach`.

import { signedDistance } from "./distance.js";
import { conjugateGradients } from "./conjugate_gradients.js";
import { heir } from "./heirs.js";

/**
 * @typedef {object} Question
 * @property {number[]} shape of the box, (z, y, x)
 * @property {number[]} spacing mm
 * @property {Uint8Array} labels of the box, C order
 * @property {Uint8Array | null} scan codes of intensities, or null without an image
 * @property {number[]} click position in the box
 * @property {number} label the structure
 * @property {boolean} positive whether the clicked place belongs to it
 * @property {number} reach mm around the click that may change
 */

const STRENGTH = 0.05; // of the prior against neighbours: noise is averaged over about 4 voxels
const OUTLINE_MM = 0.7; // distance from the present outline at which it is fairly certain
const NEAR = 0.75; // share of the reach within which the intensity decides
const SEED_MM = 1; // around the click, voxels as bright as it
const TRUSTED_MM = 3; // labels of the other side are not trusted nearer to the click
const FLOOR = 1e-3; // of the weight across an edge

/**
 * The labels of the box after the click. A positive click only adds voxels, a negative one only removes them, and all of
 * them are connected to the click.
 * @param {Question} question @returns {Uint8Array}
 */
export function compete(question) {
  const { shape, spacing, labels, scan, click, label, positive, reach } = question;
  const count = labels.length;
  const inside = Uint8Array.from(labels, (value) => Number(value === label));
  const steps = [shape[1] * shape[2], shape[2], 1];
  const start = click[0] * steps[0] + click[1] * steps[1] + click[2];
  const far = distances(shape, spacing, click);
  const noise = scan ? noiseOf(scan) : 1;
  const likely = scan ? appearance(question, inside, far, noise, start) : null;
  const outline = signedDistance(inside, shape, spacing);
  const fixed = new Uint8Array(count);
  const prior = new Float64Array(count);
  const p = new Float64Array(count);
  for (let k = 0; k < count; k += 1) {
    const drawn = 1 / (1 + Math.exp(Math.min(Math.max(outline[k] / OUTLINE_MM, -20), 20)));
    const trust = likely ? Math.exp(-((far[k] / (NEAR * reach)) ** 4)) : 0;
    prior[k] = likely ? trust * likely[k] + (1 - trust) * drawn : drawn;
    p[k] = prior[k];
    const seed = far[k] <= SEED_MM && (k === start || !scan || Math.abs(scan[k] - scan[start]) <= 3 * noise);
    if (seed || far[k] > reach) {
      fixed[k] = 1;
      p[k] = seed ? Number(positive) : inside[k];
    }
  }
  conjugateGradients({ shape, steps, weights: weights(question, steps, noise), fixed, prior, strength: STRENGTH }, p);
  const changes = connected(shape, steps, start, (k) => p[k] > 0.5 === positive && inside[k] !== Number(positive));
  const after = labels.slice();
  if (positive) for (const k of changes) after[k] = label;
  else heir({ shape, spacing, steps, labels, scan, noise, label }, changes, after);
  return after;
}

/** mm of every voxel from the click. @param {number[]} shape @param {number[]} spacing @param {number[]} click */
function distances([nz, ny, nx], spacing, click) {
  const far = new Float32Array(nz * ny * nx);
  for (let z = 0, k = 0; z < nz; z += 1) {
    for (let y = 0; y < ny; y += 1) {
      const part = ((z - click[0]) * spacing[0]) ** 2 + ((y - click[1]) * spacing[1]) ** 2;
      for (let x = 0; x < nx; x += 1, k += 1) far[k] = Math.sqrt(part + ((x - click[2]) * spacing[2]) ** 2);
    }
  }
  return far;
}

/** Standard deviation of the noise, from the median difference of neighbours in a row. @param {Uint8Array} scan */
function noiseOf(scan) {
  const counts = new Uint32Array(256);
  for (let k = 1; k < scan.length; k += 1) counts[Math.abs(scan[k] - scan[k - 1])] += 1;
  let [median, sum] = [0, counts[0]];
  while (median < 255 && sum < scan.length / 2) {
    median += 1;
    sum += counts[median];
  }
  return Math.max(2, (median * 1.4826) / Math.SQRT2);
}

/**
 * Probability of the structure from the intensity alone: histograms of the present labels, with the clicked place added
 * to its side.
 * @param {Question} question @param {Uint8Array} inside @param {Float32Array} far @param {number} noise @param {number} start
 */
function appearance({ scan, positive, labels }, inside, far, noise, start) {
  const codes = /** @type {Uint8Array} */ (scan);
  const [outer, inner] = [new Float64Array(256), new Float64Array(256)];
  for (let k = 0; k < labels.length; k += 1) {
    const doubted = inside[k] !== Number(positive) && far[k] < TRUSTED_MM;
    if (!doubted) (inside[k] ? inner : outer)[codes[k]] += 1;
  }
  const clicked = new Float64Array(256);
  for (let k = 0; k < labels.length; k += 1) {
    if (far[k] <= SEED_MM && Math.abs(codes[k] - codes[start]) <= 3 * noise) clicked[codes[k]] += 1;
  }
  const densities = [outer, inner].map((counts, side) => {
    const found = spread(counts, noise);
    if (side !== Number(positive)) return found;
    const more = spread(clicked, noise);
    return found.map((value, code) => value + more[code]);
  });
  const even = 1 / 256; // an intensity that neither side has decides nothing
  const table = densities[1].map((value, code) => (value + 0.02 * even) / (value + densities[0][code] + 0.04 * even));
  return Float32Array.from(codes, (code) => table[code]);
}

/** Density from counts, spread by the noise. @param {Float64Array} counts @param {number} sigma */
function spread(counts, sigma) {
  const found = new Float64Array(256);
  const total = counts.reduce((sum, value) => sum + value, 0);
  if (!total) return found;
  const wide = Math.ceil(3 * sigma);
  const shape = Array.from({ length: wide + 1 }, (_, k) => Math.exp(-(k ** 2) / (2 * sigma ** 2)));
  const mass = shape.reduce((sum, value, k) => sum + (k ? 2 : 1) * value, 0);
  for (let code = 0; code < 256; code += 1) {
    if (!counts[code]) continue;
    for (let d = -wide; d <= wide; d += 1) {
      const to = Math.min(Math.max(code + d, 0), 255);
      found[to] += (counts[code] * shape[Math.abs(d)]) / (mass * total);
    }
  }
  return found;
}

/** Weights from each voxel to the next along z, y, x. @param {Question} question @param {number[]} steps @param {number} noise */
function weights({ shape, spacing, scan, labels }, steps, noise) {
  const unit = Math.min(...spacing);
  const table = Float64Array.from({ length: 256 }, (_, d) => FLOOR + Math.exp(-(d ** 2) / (2 * (2 * noise) ** 2)));
  return steps.map((step, axis) => {
    const found = new Float32Array(labels.length);
    const scale = (unit / spacing[axis]) ** 2;
    for (let k = 0; k < labels.length; k += 1) {
      if (Math.floor(k / step) % shape[axis] === shape[axis] - 1) continue;
      found[k] = scale * (scan ? table[Math.abs(scan[k] - scan[k + step])] : 1);
    }
    return found;
  });
}

/**
 * The voxels that are connected to `start` through voxels where `belongs` holds, `start` included if it belongs.
 * @param {number[]} shape @param {number[]} steps @param {number} start @param {(k: number) => boolean} belongs
 */
function connected(shape, steps, start, belongs) {
  if (!belongs(start)) return [];
  const seen = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const found = [start];
  seen[start] = 1;
  for (let at = 0; at < found.length; at += 1) {
    const k = found[at];
    for (let axis = 0; axis < 3; axis += 1) {
      const place = Math.floor(k / steps[axis]) % shape[axis];
      for (const step of [-1, 1]) {
        const other = k + step * steps[axis];
        if (place + step < 0 || place + step >= shape[axis] || seen[other] || !belongs(other)) continue;
        seen[other] = 1;
        found.push(other);
      }
    }
  }
  return found;
}
