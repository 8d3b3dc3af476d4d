// What all strokes together have changed, as it is sent to the server: runs of voxels with their new label.

/** @import { Stroke } from "./history.js" */

/**
 * @typedef {{label: number, added: number, removed: number}} Balance voxels of a structure
 * @typedef {{triples: Uint32Array, balances: Balance[], voxels: number}} Net
 *   triples: voxels between the end of the run before and this one, length, new label
 */

/**
 * @param {Uint8Array} labels as they are now @param {Stroke[]} strokes in force, in order
 * @returns {Net} balances in the order of the labels, without background
 */
export function netChange(labels, strokes) {
  /** @type {Map<number, number>} */
  const first = new Map(); // voxel -> label before the first stroke
  for (const { runs } of strokes) {
    for (let k = 0; k < runs.length; k += 3) {
      for (let voxel = runs[k]; voxel < runs[k] + runs[k + 1]; voxel += 1) {
        if (!first.has(voxel)) first.set(voxel, runs[k + 2] % 256);
      }
    }
  }
  const order = Uint32Array.from(first.keys()).sort();
  const [added, removed] = [new Uint32Array(256), new Uint32Array(256)];
  /** @type {number[]} */
  const triples = [];
  let [end, voxels] = [0, 0];
  for (const voxel of order) {
    const now = labels[voxel];
    const before = /** @type {number} */ (first.get(voxel));
    if (before === now) continue;
    voxels += 1;
    added[now] += 1;
    removed[before] += 1;
    const last = triples.length - 3;
    if (last >= 0 && voxel === end && triples[last + 2] === now) triples[last + 1] += 1;
    else triples.push(voxel - end, 1, now);
    end = voxel + 1;
  }
  const balances = Array.from({ length: 255 }, (_, k) => ({ label: k + 1, added: added[k + 1], removed: removed[k + 1] }));
  return { triples: Uint32Array.from(triples), balances: balances.filter(({ added: a, removed: r }) => a || r), voxels };
}

/** base64 of gzip of the little-endian words. @param {Uint32Array} triples */
export async function packed(triples) {
  const plain = new DataView(new ArrayBuffer(triples.length * 4));
  for (const [k, value] of triples.entries()) plain.setUint32(4 * k, value, true);
  const stream = new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let text = "";
  for (let k = 0; k < bytes.length; k += 0x8000) text += String.fromCharCode(...bytes.subarray(k, k + 0x8000));
  return btoa(text);
}
