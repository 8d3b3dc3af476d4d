// Which label a voxel gets that leaves a structure: the neighbour's with the cheapest path to it, where a step costs its
// length, and more if the intensity changes.

const EDGE_COST = 2; // mm for a step over an edge of one standard deviation of the noise beyond the first

/**
 * @param {{shape: number[], spacing: number[], steps: number[], labels: Uint8Array, scan: Uint8Array | null, noise: number, label: number}} box
 * @param {number[]} voxels that leave
 * @param {Uint8Array} after labels, changed in place
 */
export function heir({ shape, spacing, steps, labels, scan, noise, label }, voxels, after) {
  const open = new Set(voxels);
  const costs = new Map();
  const queue = new Queue();
  /** @param {number} k @param {(other: number, axis: number) => void} use */
  const neighbours = (k, use) => {
    for (let axis = 0; axis < 3; axis += 1) {
      const place = Math.floor(k / steps[axis]) % shape[axis];
      if (place > 0) use(k - steps[axis], axis);
      if (place < shape[axis] - 1) use(k + steps[axis], axis);
    }
  };
  /** @param {number} from @param {number} to @param {number} axis */
  const cost = (from, to, axis) =>
    spacing[axis] + (scan ? EDGE_COST * Math.max(0, Math.abs(scan[from] - scan[to]) / noise - 1) : 0);
  for (const k of voxels) {
    after[k] = 0;
    neighbours(k, (other, axis) => {
      if (!open.has(other) && labels[other] !== label) queue.push(cost(other, k, axis), k, labels[other]);
    });
  }
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [price, k, value] = next;
    if (costs.has(k)) continue;
    costs.set(k, price);
    after[k] = value;
    neighbours(k, (other, axis) => {
      if (open.has(other) && !costs.has(other)) queue.push(price + cost(k, other, axis), other, value);
    });
  }
}

/** The cheapest first: a binary heap. */
class Queue {
  constructor() {
    /** @type {[number, number, number][]} */
    this.items = [];
  }

  /** @param {number} price @param {number} voxel @param {number} value */
  push(price, voxel, value) {
    const { items } = this;
    let at = items.length;
    items.push([price, voxel, value]);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (items[above][0] <= items[at][0]) break;
      [items[above], items[at]] = [items[at], items[above]];
      at = above;
    }
  }

  pop() {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (!items.length || !last) return first;
    items[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      let least = at;
      if (left < items.length && items[left][0] < items[least][0]) least = left;
      if (left + 1 < items.length && items[left + 1][0] < items[least][0]) least = left + 1;
      if (least === at) return first;
      [items[least], items[at]] = [items[at], items[least]];
      at = least;
    }
  }
}
