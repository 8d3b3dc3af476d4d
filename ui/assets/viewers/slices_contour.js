// Borders of labels as closed lines: marching squares on each label's mask, threshold one half.
// Lines run through the middles between voxel centres; units are voxels, voxel (row, column) covers
// [column, column + 1] x [row, row + 1].

// For each set of inside corners (1 top left, 2 top right, 4 bottom right, 8 bottom left): from edge, to edge, ...
// Edges: 0 top, 1 right, 2 bottom, 3 left. Corners that touch at a point only stay apart.
const STEPS = [
  [], [0, 3], [1, 0], [1, 3], [2, 1], [0, 3, 2, 1], [2, 0], [2, 3],
  [3, 2], [0, 2], [1, 0, 3, 2], [1, 2], [3, 1], [0, 1], [3, 0], [],
];

/**
 * Borders of each label in a slice.
 * @param {Uint8Array} labels rows x columns @param {number} rows @param {number} columns
 * @returns {Map<number, Path2D>}
 */
export function borders(labels, rows, columns) {
  const wide = (columns + 5) & ~3; // a frame of background saves the bounds; rows of whole words let a word be compared
  const padded = new Uint8Array((rows + 2) * wide);
  const words = new Uint32Array(padded.buffer);
  for (let r = 0; r < rows; r += 1) padded.set(labels.subarray(r * columns, (r + 1) * columns), (r + 1) * wide + 1);
  /** @type {Map<number, Map<number, number>>} */
  const next = new Map(); // label -> (point -> next point)
  for (let r = 0; r <= rows; r += 1) {
    const end = r * wide + columns;
    for (let point = r * wide; point <= end; point += 1) {
      const a = padded[point];
      const b = padded[point + 1];
      const d = padded[point + wide];
      const e = padded[point + 1 + wide];
      if (a === b && a === d && a === e) {
        const word = (point + 4) >> 2; // four more points of one label are passed at once
        const same = Math.imul(a, 0x01010101) >>> 0;
        if (point % 4 === 3 && words[word] === same && words[word + (wide >> 2)] === same) point += 3;
        continue;
      }
      const edges = [2 * point, 2 * (point + 1) + 1, 2 * (point + wide), 2 * point + 1];
      for (const label of new Set([a, b, d, e])) {
        if (!label) continue;
        const steps = STEPS[Number(a === label) + 2 * Number(b === label) + 4 * Number(e === label) + 8 * Number(d === label)];
        const following = next.get(label) ?? new Map();
        next.set(label, following);
        for (let k = 0; k < steps.length; k += 2) following.set(edges[steps[k]], edges[steps[k + 1]]);
      }
    }
  }
  return new Map([...next].map(([label, steps]) => [label, closed(steps, wide)]));
}

/** Join the steps to closed lines; points on a straight line are left out. @param {Map<number, number>} steps @param {number} wide */
function closed(steps, wide) {
  const path = new Path2D();
  /** @param {number} id */
  const place = (id) => {
    const point = id >> 1;
    const [r, c] = [Math.floor(point / wide) - 1, (point % wide) - 1];
    return id % 2 ? [c + 0.5, r + 1] : [c + 1, r + 0.5];
  };
  while (steps.size) {
    const [[first, second]] = steps;
    let [x, y] = place(first);
    let id = second;
    let [dx, dy] = [0, 0];
    path.moveTo(x, y);
    steps.delete(first);
    for (;;) {
      const [px, py] = place(id);
      if ((dx || dy) && (px - x !== dx || py - y !== dy)) path.lineTo(x, y);
      [dx, dy, x, y] = [px - x, py - y, px, py];
      const after = steps.get(id);
      if (after === undefined) break;
      steps.delete(id);
      id = after;
    }
    path.closePath();
  }
  return path;
}
