// The linear system of the random walker, solved by conjugate gradients with the diagonal as preconditioner.

const ITERATIONS = 200;
const ACCURACY = 1e-3; // of the first residual; the result is compared with one half

/**
 * @typedef {object} System
 * @property {number[]} shape @property {number[]} steps strides of the box
 * @property {Float32Array[]} weights from each voxel to the next along z, y, x; 0 at the last one
 * @property {Uint8Array} fixed voxels whose value is given
 * @property {Float64Array} prior @property {number} strength
 */

/** Solve in place. @param {System} system @param {Float64Array} p given values, and a first estimate of the others */
export function conjugateGradients({ steps, weights, fixed, prior, strength }, p) {
  const count = p.length;
  const diagonal = new Float64Array(count).fill(strength);
  for (const [axis, step] of steps.entries()) {
    const along = weights[axis];
    for (let k = 0; k < count; k += 1) {
      const w = along[k];
      if (w === 0) continue;
      diagonal[k] += w;
      diagonal[k + step] += w;
    }
  }
  /** out = diagonal * x - sum of weights * neighbours. @param {Float64Array} x @param {Float64Array} out */
  const multiply = (x, out) => {
    for (let k = 0; k < count; k += 1) out[k] = diagonal[k] * x[k];
    for (const [axis, step] of steps.entries()) {
      const along = weights[axis];
      for (let k = 0; k < count - step; k += 1) {
        const w = along[k];
        out[k] -= w * x[k + step];
        out[k + step] -= w * x[k];
      }
    }
  };
  const product = new Float64Array(count);
  multiply(p, product);
  const residual = new Float64Array(count);
  const direction = new Float64Array(count);
  let energy = 0;
  for (let k = 0; k < count; k += 1) {
    if (fixed[k]) continue;
    residual[k] = strength * prior[k] - product[k];
    direction[k] = residual[k] / diagonal[k];
    energy += residual[k] * direction[k];
  }
  const enough = energy * ACCURACY ** 2;
  for (let round = 0; round < ITERATIONS && energy > enough && energy > 0; round += 1) {
    multiply(direction, product);
    let curvature = 0;
    for (let k = 0; k < count; k += 1) if (!fixed[k]) curvature += direction[k] * product[k];
    const long = energy / curvature;
    let next = 0;
    for (let k = 0; k < count; k += 1) {
      if (fixed[k]) continue;
      p[k] += long * direction[k];
      residual[k] -= long * product[k];
      next += (residual[k] * residual[k]) / diagonal[k];
    }
    const keep = next / energy;
    for (let k = 0; k < count; k += 1) if (!fixed[k]) direction[k] = residual[k] / diagonal[k] + keep * direction[k];
    energy = next;
  }
}
