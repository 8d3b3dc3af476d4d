// Numbers and strokes in words, for the status line, the summary and screen readers.

/** @import { Volume } from "../slices_volume.js" */
/** @import { Stroke } from "./history.js" */

/** @param {Volume} volume @param {number} voxels */
export function millilitres({ meta: { spacing_mm: [z, y, x] } }, voxels) {
  const ml = (voxels * z * y * x) / 1000;
  return `${ml.toFixed(ml < 0.1 ? 3 : ml < 10 ? 2 : 1)} ml`;
}

/** @param {Volume} volume @param {number} label */
export const titleOf = ({ meta }, label) => meta.structures.find((entry) => entry.label === label)?.title ?? "background";

/** @param {number} count */
export const voxelCount = (count) => `${count.toLocaleString("en")} voxel${count === 1 ? "" : "s"}`;

/**
 * "312 voxels (0.03 ml) added to Femoral cartilage, 4 voxels removed".
 * @param {Volume} volume @param {{label: number, added: number, removed: number}} change
 */
export function changeInWords(volume, { label, added, removed }) {
  const title = titleOf(volume, label);
  const parts = [];
  if (added) parts.push(`${voxelCount(added)} (${millilitres(volume, added)}) added${removed ? "" : ` to ${title}`}`);
  if (removed) parts.push(`${voxelCount(removed)} (${millilitres(volume, removed)}) removed${added ? "" : ` from ${title}`}`);
  return added && removed ? `${title}: ${parts.join(", ")}` : parts.join("");
}

/** @param {Stroke} stroke @returns {string} */
export const nameOf = ({ tool }) => NAMES[tool] ?? tool;

/** @type {Record<string, string>} of what a stroke is kept as */
const NAMES = {
  brush: "Brush", eraser: "Eraser", lasso: "Lasso", grow: "Grow to edge", smooth: "Smooth", click: "Click to correct",
  between: "Fill between slices", slice: "Smooth slice",
};
