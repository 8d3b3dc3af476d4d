// What each tool does with a press, a drag and a release, or with a key at the cross-hair.

import { sweep } from "./brush.js";
import { growToEdge, meanAround } from "./grow.js";
import { fillPolygon } from "./lasso.js";
import { boxAround, nearest, offsetIn, pair } from "./lattice.js";
import { smooth } from "./smooth.js";

/** @import { Pane } from "../slices_pane.js" */
/** @import { Editor } from "./editor.js" */
/** @import { Box } from "./lattice.js" */

/**
 * @typedef {object} Place
 * @property {Pane} pane
 * @property {number} slice
 * @property {number} row of the picture, fractions of voxels
 * @property {number} column
 * @property {number[]} at the same in voxels [z, y, x], centres at whole numbers
 *
 * @typedef {"cross" | "brush" | "eraser" | "lasso" | "grow" | "smooth" | "click"} ToolName
 * @typedef {"size" | "shape" | "sign" | "over" | "window" | "tolerance" | "reach"} OptionName
 *
 * @typedef {object} Tool
 * @property {string} title
 * @property {string} key
 * @property {OptionName[]} options that matter to it
 * @property {string} hint
 * @property {(editor: Editor, place: Place) => void} down
 * @property {(editor: Editor, place: Place) => void} [move] while pressed
 * @property {(editor: Editor, place: Place) => void} [up]
 */

/** @type {Record<ToolName, Tool>} */
export const TOOLS = {
  cross: {
    title: "Cross-hair", key: "v", options: [],
    hint: "Click or drag moves the cross-hair. With another tool: Alt and click.",
    down() {},
  },
  brush: {
    title: "Brush", key: "b", options: ["size", "shape", "over", "window"],
    hint: "Paint the structure. Space paints at the cross-hair.",
    down: (editor, place) => paint(editor, place, place),
    move: (editor, place) => paint(editor, editor.last ?? place, place),
    up: (editor) => editor.finish(),
  },
  eraser: {
    title: "Eraser", key: "e", options: ["size", "shape", "window"],
    hint: "Removes the chosen structure only.",
    down: (editor, place) => paint(editor, place, place),
    move: (editor, place) => paint(editor, editor.last ?? place, place),
    up: (editor) => editor.finish(),
  },
  lasso: {
    title: "Lasso", key: "l", options: ["sign", "over", "window"],
    hint: "Drag around an area, or click its corners and close with a click on the first one. Keys: Space sets a corner at the cross-hair, Enter closes.",
    down: (editor, place) => editor.lasso.down(place),
    move: (editor, place) => editor.lasso.move(place),
    up: (editor, place) => editor.lasso.up(place),
  },
  grow: {
    title: "Grow to edge", key: "g", options: ["size", "shape", "tolerance", "over"],
    hint: "Paints under the brush only what is connected to its centre and as bright as the place where the stroke began.",
    down(editor, place) {
      editor.code = meanOf(editor, place);
      grow(editor, place);
    },
    move: grow,
    up: (editor) => editor.finish(),
  },
  smooth: {
    title: "Smooth", key: "s", options: ["size", "shape"],
    hint: "Smooths the structure under the brush.",
    down: (editor, place) => smoothAt(editor, place),
    up: (editor) => editor.finish(),
  },
  click: {
    title: "Click to correct", key: "c", options: ["sign", "reach"],
    hint: "Click a place that belongs to the structure, or, with Remove, one that does not. The proposal is yours to accept or reject.",
    down: (editor, place) => editor.proposals.click(place),
  },
};

/** Axis of the slice that a brush paints; -1 for a ball. @param {Editor} editor @param {Place} place */
export const normalOf = ({ settings }, { pane }) => (settings.ball ? -1 : pane.plane.normal);

/** @param {Editor} editor @param {Place} from @param {Place} to */
function paint(editor, from, to) {
  const erase = editor.tool === "eraser";
  const write = editor.writer(erase);
  editor.repaint(sweep(editor.lattice, from.at, to.at, editor.settings.diameter / 2, normalOf(editor, to), write));
}

/** @param {Editor} editor @param {Place} place */
function meanOf({ lattice, viewer: { volume } }, { at }) {
  return volume.scan ? meanAround(lattice, volume.scan, at) : 0;
}

/** @param {Editor} editor @param {Place} place */
function grow(editor, place) {
  const { volume } = editor.viewer;
  if (!volume.scan || !volume.meta.scan) return;
  const like = { code: editor.code, tolerance: editor.settings.tolerance / volume.meta.scan.step };
  if (Math.abs(volume.scan[nearest(editor.lattice, place.at)] - like.code) > like.tolerance) return; // the pointer has left what it grows
  editor.repaint(growToEdge(editor.lattice, volume.scan, place.at, editor.settings.diameter / 2, normalOf(editor, place), like, editor.writer(false)));
}

/** @param {Editor} editor @param {Place} place */
function smoothAt(editor, place) {
  const [normal, radius] = [normalOf(editor, place), editor.settings.diameter / 2];
  const box = boxAround(editor.lattice, place.at, radius, normal);
  smooth(editor.lattice, editor.viewer.volume.labels, editor.label, box, place.at, radius, normal, (voxel, label) => editor.write(voxel, label));
  editor.repaint(box);
}

/** Smooth the structure in a whole slice. @param {Editor} editor @param {Pane} pane */
export function smoothSlice(editor, { plane, slice }) {
  /** @type {Box} */
  const box = editor.lattice.shape.map((n, axis) => (axis === plane.normal ? pair(slice, slice) : pair(0, n - 1)));
  smooth(editor.lattice, editor.viewer.volume.labels, editor.label, box, null, 0, plane.normal, (voxel, label) => editor.write(voxel, label));
  editor.repaint(box);
}

/** Fill or erase a polygon in the slice of a pane. @param {Editor} editor @param {Pane} pane @param {number} slice @param {[number, number][]} corners */
export function fillLasso(editor, { plane }, slice, corners) {
  const write = editor.writer(editor.settings.remove);
  fillPolygon(corners, plane.down.n, plane.right.n, (row, column) => write(offsetIn(editor.lattice, plane, slice, row, column)));
  /** @type {Box} */
  const box = editor.lattice.shape.map((n, axis) => (axis === plane.normal ? pair(slice, slice) : pair(0, n - 1)));
  editor.repaint(box);
}
