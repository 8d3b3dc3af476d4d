// Changes that the user sees before they are made: click to correct, and fill between slices.

import { fillBetween, filledSlices, paintedSlices } from "./between.js";
import { Corrector } from "./corrector.js";
import { Proposal } from "./proposal.js";
import { changeInWords, voxelCount } from "./words.js";

/** @import { Editor } from "./editor.js" */
/** @import { Place } from "./tools.js" */

export class Proposals {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.corrector = new Corrector(editor.viewer.volume, editor.lattice);
    /** @type {Proposal | null} */
    this.current = null;
  }

  /** @param {Place} place */
  async click(place) {
    const { editor } = this;
    this.reject();
    const { shape } = editor.lattice;
    const click = place.at.map((value, axis) => Math.min(Math.max(Math.round(value), 0), shape[axis] - 1));
    const { remove, reach } = editor.settings;
    const label = editor.label;
    editor.say("Looking for the edge …");
    const start = performance.now();
    let changes;
    try {
      changes = await this.corrector.ask(click, label, !remove, reach);
    } catch (error) {
      editor.say(error instanceof Error ? error.message : String(error));
      return;
    }
    if (!changes || !editor.active || label !== editor.label) return;
    editor.viewer.root.dataset.clickMs = String(Math.round(performance.now() - start));
    this.#show({ title: "Click to correct", tool: "click" }, changes);
  }

  /** Shape-based interpolation between the slices that were painted, or else between those that hold the structure. */
  fillBetween() {
    const { editor } = this;
    editor.cancel();
    this.reject();
    const { labels } = editor.viewer.volume;
    const { lattice, label, pane: { plane } } = editor;
    const name = plane.name.toLowerCase();
    let keys = paintedSlices(lattice, plane, label, editor.session.history.inForce);
    if (keys.size < 2) keys = filledSlices(lattice, plane, label, labels);
    if (keys.size < 2) {
      editor.say(`Paint the structure on two or more ${name} slices first.`);
      return;
    }
    const changes = new Map();
    const slices = fillBetween(lattice, plane, label, labels, keys, (voxel, inside) => {
      if (inside !== (labels[voxel] === label)) changes.set(voxel, inside ? label : 0);
    });
    if (!slices) editor.say(`There is no slice between the ${keys.size} painted ${name} slices.`);
    else this.#show({ title: `Fill ${slices} ${name} slice${slices === 1 ? "" : "s"}`, tool: "between" }, changes);
  }

  /** @param {{title: string, tool: string}} about @param {Map<number, number>} changes voxel -> new label */
  #show(about, changes) {
    const { editor } = this;
    for (const [voxel, label] of changes) if (label === editor.label && !editor.allowed(voxel)) changes.delete(voxel);
    if (!changes.size) {
      editor.say(`${about.title}: nothing would change.`);
      return;
    }
    this.current = new Proposal(editor, about, changes);
    editor.toolbar.refresh();
    editor.viewer.refresh();
    editor.say(`${about.title}, proposal: ${changeInWords(editor.viewer.volume, this.current)}. Enter accepts, Escape rejects.`);
  }

  accept() {
    const { current } = this;
    this.current = null;
    current?.accept();
    this.editor.toolbar.refresh();
  }

  /** @returns {boolean} whether there was one */
  reject() {
    const { current, editor } = this;
    if (!current) return false;
    this.current = null;
    editor.toolbar.refresh();
    editor.viewer.refresh();
    editor.say(`Rejected: ${voxelCount(current.changes.size)} stay as they are.`);
    return true;
  }

  end() {
    this.corrector.end();
  }
}
