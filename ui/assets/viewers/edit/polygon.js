// The lasso: a line drawn freehand, or corners set by clicks or by key, closed to a polygon in one slice.

import { fillLasso } from "./tools.js";

/** @import { Pane, Placement } from "../slices_pane.js" */
/** @import { Editor } from "./editor.js" */
/** @import { Place } from "./tools.js" */

const STEP_PX = 2; // between points of a freehand line
const DRAG_PX = 6; // a press that moves less is a click
const CLOSE_PX = 9; // a click so near to the first corner closes

export class Lasso {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {Place[]} */
    this.corners = [];
    this.drawn = 0; // CSS pixels since the press
    this.began = false; // whether this press began the polygon
  }

  /** CSS pixels between two places. @param {Place} a @param {Place} b */
  #apart(a, b) {
    const { sx, sy } = a.pane.layout();
    return Math.hypot((a.column - b.column) * sx, (a.row - b.row) * sy) / a.pane.ratio;
  }

  /** @param {Place} place */
  down(place) {
    const [first] = this.corners;
    if (first && (first.pane !== place.pane || first.slice !== place.slice)) this.drop();
    this.began = this.corners.length === 0;
    this.drawn = 0;
    if (this.corners.length > 2 && this.#apart(this.corners[0], place) < CLOSE_PX) this.close();
    else this.add(place);
  }

  /** @param {Place} place */
  move(place) {
    const last = this.corners.at(-1);
    if (!last) return;
    const step = this.#apart(last, place);
    if (step < STEP_PX) return;
    this.drawn += step;
    this.add(place);
  }

  /** @param {Place} place */
  up(place) {
    if (this.began && this.drawn > DRAG_PX) {
      this.move(place);
      this.close();
    }
  }

  /** @param {Place} place */
  add(place) {
    this.corners.push(place);
    this.editor.viewer.refresh();
  }

  /** Fill or erase what it encloses. */
  close() {
    const { corners, editor } = this;
    this.corners = [];
    if (corners.length < 3) {
      editor.say(corners.length ? "A polygon needs three corners." : "Set corners first.");
      this.corners = corners;
      return;
    }
    fillLasso(editor, corners[0].pane, corners[0].slice, corners.map(({ row, column }) => [row, column]));
    editor.finish();
  }

  drop() {
    if (!this.corners.length) return false;
    this.corners = [];
    this.editor.viewer.refresh();
    return true;
  }

  /** @param {Pane} pane @param {Placement} at */
  draw(pane, at) {
    const [first] = this.corners;
    if (!first || first.pane.k !== pane.k || first.slice !== pane.slice) return;
    const { pen, ratio } = pane;
    const path = new Path2D();
    for (const { row, column } of this.corners) path.lineTo(at.x + column * at.sx, at.y + row * at.sy);
    /** @type {[string, number][]} */
    const strokes = [["#000", 3.5], ["#fff", 1.5]];
    for (const [colour, width] of strokes) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * ratio;
      pen.stroke(path);
    }
    pen.fillStyle = "#fff";
    pen.fillRect(at.x + first.column * at.sx - 3 * ratio, at.y + first.row * at.sy - 3 * ratio, 6 * ratio, 6 * ratio);
  }
}
