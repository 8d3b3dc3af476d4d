// Exact distances to the border of a mask: the separable transform of Felzenszwalb and Huttenlocher (2012), one pass per
// axis, with different spacings.

/**
 * Squared distance (mm²) of every cell to the nearest cell where `wanted` holds; Infinity if there is none.
 * @param {Uint8Array} mask C order @param {number} wanted 0 or 1
 * @param {number[]} shape @param {number[]} spacing mm
 */
function squared(mask, wanted, shape, spacing) {
  const found = new Float64Array(mask.length);
  for (let k = 0; k < mask.length; k += 1) found[k] = mask[k] === wanted ? 0 : Infinity;
  let stride = mask.length;
  for (const [axis, n] of shape.entries()) {
    stride /= n;
    pass(found, n, stride, spacing[axis] ** 2);
  }
  return found;
}

/** One axis: the lower envelope of parabolas. @param {Float64Array} values @param {number} n @param {number} stride @param {number} unit squared spacing */
function pass(values, n, stride, unit) {
  const line = new Float64Array(n);
  const roots = new Int32Array(n);
  const limits = new Float64Array(n + 1);
  for (let start = 0; start < values.length; start += 1) {
    if (Math.floor(start / stride) % n) continue;
    let last = -1;
    for (let k = 0; k < n; k += 1) {
      line[k] = values[start + k * stride];
      if (line[k] === Infinity) continue;
      let from = -Infinity;
      while (last >= 0) {
        const q = roots[last];
        from = (line[k] - line[q] + unit * (k * k - q * q)) / (2 * unit * (k - q));
        if (from > limits[last]) break;
        last -= 1;
        from = -Infinity;
      }
      last += 1;
      roots[last] = k;
      limits[last] = from;
    }
    if (last < 0) continue;
    limits[last + 1] = Infinity;
    for (let k = 0, part = 0; k < n; k += 1) {
      while (limits[part + 1] < k) part += 1;
      values[start + k * stride] = line[roots[part]] + unit * (k - roots[part]) ** 2;
    }
  }
}

/**
 * Distance (mm) of every cell to the border, negative inside; the border lies half a cell from the nearest centre.
 * ±Infinity where the mask is empty or full.
 * @param {Uint8Array} mask 0 or 1, C order @param {number[]} shape @param {number[]} spacing mm
 */
export function signedDistance(mask, shape, spacing) {
  const [outside, inside] = [squared(mask, 1, shape, spacing), squared(mask, 0, shape, spacing)];
  const half = Math.min(...spacing) / 2;
  const found = new Float32Array(mask.length);
  for (let k = 0; k < mask.length; k += 1) {
    found[k] = mask[k] ? half - Math.sqrt(inside[k]) : Math.sqrt(outside[k]) - half;
  }
  return found;
}
