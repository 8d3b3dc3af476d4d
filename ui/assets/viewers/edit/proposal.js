// A change that is shown before it is made: click to correct, and fill between slices.

import { borders } from "../slices_contour.js";
import { boxOf } from "./lattice.js";

/** @import { Pane, Placement } from "../slices_pane.js" */
/** @import { Editor } from "./editor.js" */

const GAINS = 1;
const LOSES = 2;

export class Proposal {
  /**
   * @param {Editor} editor
   * @param {{title: string, tool: string}} about title: in words, for the user; tool: that the stroke is kept as
   * @param {Map<number, number>} changes voxel -> new label
   */
  constructor(editor, { title, tool }, changes) {
    this.editor = editor;
    this.title = title;
    this.tool = tool;
    this.changes = changes;
    this.label = editor.label;
    this.box = boxOf(editor.lattice, changes.keys());
    /** @type {Map<string, Map<number, Path2D>>} */
    this.paths = new Map();
    const { labels } = editor.viewer.volume;
    this.added = 0;
    this.removed = 0;
    for (const [voxel, label] of changes) {
      if (label === this.label) this.added += 1;
      else if (labels[voxel] === this.label) this.removed += 1;
    }
  }

  accept() {
    for (const [voxel, label] of this.changes) this.editor.write(voxel, label);
    this.editor.repaint(this.box);
    this.editor.finish(this.tool, -1);
  }

  /** @param {Pane} pane */
  #borders({ k, plane, slice }) {
    const key = `${k} ${slice}`;
    let found = this.paths.get(key);
    if (!found) {
      const flat = new Uint8Array(plane.down.n * plane.right.n);
      this.editor.viewer.volume.walk(plane, slice, (at, voxel) => {
        const label = this.changes.get(voxel);
        if (label !== undefined) flat[at] = label === this.label ? GAINS : LOSES;
      });
      found = borders(flat, plane.down.n, plane.right.n);
      this.paths.set(key, found);
    }
    return found;
  }

  /** Gains are filled with the structure's colour, losses are black; both have a dashed white line. @param {Pane} pane @param {Placement} at */
  draw(pane, at) {
    const [first, last] = this.box[pane.plane.normal];
    if (pane.slice < first || pane.slice > last) return;
    const { pen, ratio } = pane;
    const matrix = new DOMMatrix([at.sx, 0, 0, at.sy, at.x, at.y]);
    for (const [kind, border] of this.#borders(pane)) {
      const path = new Path2D();
      path.addPath(border, matrix);
      pen.globalAlpha = 0.6;
      pen.fillStyle = kind === GAINS ? this.editor.colour : "#000";
      pen.fill(path, "evenodd");
      pen.globalAlpha = 1;
      pen.lineWidth = 2 * ratio;
      pen.strokeStyle = "#000";
      pen.stroke(path);
      pen.setLineDash([4 * ratio, 4 * ratio]);
      pen.strokeStyle = "#fff";
      pen.stroke(path);
      pen.setLineDash([]);
    }
  }
}
