// The voxels inside a polygon.

/**
 * Call `use` for every cell whose centre lies inside (even-odd rule). Units are cells of a picture; cell (row, column)
 * covers [row, row + 1] x [column, column + 1].
 * @param {[number, number][]} corners row, column; the last one is joined to the first
 * @param {number} rows @param {number} columns size of the picture
 * @param {(row: number, column: number) => void} use
 */
export function fillPolygon(corners, rows, columns, use) {
  const heights = corners.map(([row]) => row);
  const first = Math.max(0, Math.ceil(Math.min(...heights) - 0.5));
  const last = Math.min(rows - 1, Math.floor(Math.max(...heights) - 0.5));
  for (let row = first; row <= last; row += 1) {
    const level = row + 0.5;
    /** @type {number[]} */
    const crossings = [];
    for (const [k, [r0, c0]] of corners.entries()) {
      const [r1, c1] = corners[(k + 1) % corners.length];
      if (r0 <= level !== r1 <= level) crossings.push(c0 + ((level - r0) / (r1 - r0)) * (c1 - c0));
    }
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const end = Math.min(columns - 1, Math.ceil(crossings[k + 1] - 0.5) - 1);
      for (let column = Math.max(0, Math.ceil(crossings[k] - 0.5)); column <= end; column += 1) use(row, column);
    }
  }
}
