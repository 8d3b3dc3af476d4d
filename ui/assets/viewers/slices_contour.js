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
  const wide = columns + 2;
  /** @type {Map<number, Map<number, number>>} */
  const next = new Map(); // label -> (point -> next point)
  /** @param {number} r @param {number} c */
  const value = (r, c) => (r < 0 || c < 0 || r >= rows || c >= columns ? 0 : labels[r * columns + c]);
  for (let r = -1; r < rows; r += 1) {
    let a = 0;
    let d = 0;
    for (let c = -1; c < columns; c += 1) {
      const b = value(r, c + 1);
      const e = value(r + 1, c + 1);
      if (a !== b || a !== d || a !== e) {
        const point = (r + 1) * wide + c + 1;
        const edges = [2 * point, 2 * (point + 1) + 1, 2 * (point + wide), 2 * point + 1];
        for (const label of new Set([a, b, d, e])) {
          if (label) {
            const steps = STEPS[Number(a === label) + 2 * Number(b === label) + 4 * Number(e === label) + 8 * Number(d === label)];
            const following = next.get(label) ?? new Map();
            next.set(label, following);
            for (let k = 0; k < steps.length; k += 2) following.set(edges[steps[k]], edges[steps[k + 1]]);
          }
        }
      }
      a = b;
      d = e;
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
