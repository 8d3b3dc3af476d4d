// The edit mode of a viewer: the chosen tool and structure, the stroke that is being made, and what is shown of it.

import { Recorder } from "./history.js";
import { joined, placeIn } from "./lattice.js";
import { Lasso } from "./polygon.js";
import { Proposals } from "./proposals.js";
import { Session } from "./session.js";
import { buildToolbar } from "./toolbar.js";
import { normalOf, smoothSlice, TOOLS } from "./tools.js";
import { changeInWords, nameOf } from "./words.js";

/** @import { Viewer } from "../slices.js" */
/** @import { Pane, Placement } from "../slices_pane.js" */
/** @import { Box } from "./lattice.js" */
/** @import { Place, ToolName } from "./tools.js" */

/**
 * What the page says about the analysis.
 * @typedef {object} About
 * @property {string} job its id
 * @property {number} version that is shown
 * @property {number} newest version of the analysis
 * @property {boolean} [begin] the edit mode is open from the beginning
 * @property {(id: string) => void} saved called with the id of a new version
 *
 * @typedef {object} Settings
 * @property {number} diameter of the brush, mm
 * @property {boolean} ball the brush is a ball, not a disc
 * @property {boolean} remove lasso and click take away
 * @property {number} over label that may be painted over; -1: any
 * @property {[number, number] | null} window intensities that are painted and erased; null: all
 * @property {number} tolerance of grow to edge, in intensities
 * @property {number} reach of click to correct, mm
 */

const SIZES_MM = [0.5, 30];
const TOLERANCE = 0.12; // of the window

export class Editor {
  /** @param {Viewer} viewer @param {About} about */
  constructor(viewer, about) {
    const { volume, state } = viewer;
    this.viewer = viewer;
    this.about = about;
    this.active = false;
    this.asked = false; // the user has asked for the edit mode
    this.session = Session.of(volume, about.job);
    this.lattice = this.session.lattice;
    /** @type {ToolName} */
    this.tool = "brush";
    const { structures } = volume.meta;
    this.label = structures.find(({ label }) => label === volume.value(state.at).label)?.label ?? structures[0]?.label ?? 0;
    const [black, white] = state.window;
    /** @type {Settings} */
    this.settings = { diameter: 3, ball: false, remove: false, over: -1, window: null, tolerance: TOLERANCE * (white - black), reach: 8 };
    this.pane = viewer.panes[state.large];
    /** @type {Place | null} */
    this.last = null; // of the pointer, while it is down
    this.code = 0; // intensity where a stroke of grow to edge began
    /** @type {Recorder | null} */
    this.recorder = null;
    /** @type {Box | null} */
    this.box = null; // of the stroke so far
    /** @type {ToolName | null} */
    this.pressed = null;
    this.lasso = new Lasso(this);
    this.proposals = new Proposals(this);
    this.toolbar = buildToolbar(this);
    this.view = {
      shown: () => viewer.root.isConnected,
      painted: (/** @type {Box} */ box) => viewer.labelsChanged(box),
      changed: () => this.#refreshStatus(),
    };
    this.session.attach(this.view);
    this.ready = this.session.resume().then(() => this.#refreshStatus());
  }

  get colour() {
    return this.viewer.volume.meta.structures.find(({ label }) => label === this.label)?.colour ?? "#fff";
  }

  get strokes() {
    return this.session.history.position;
  }

  /** The session is open, held by another tab, or saved. */
  #refreshStatus() {
    const { session } = this;
    this.active = session.state === "open" && (this.active || session.restored > 0 || this.asked);
    if (!this.active) this.#leave();
    this.asked = false;
    if (this.active && this.viewer.state.mode !== "structures") this.viewer.panel?.overlay("structures");
    this.viewer.root.dataset.editing = this.active ? "on" : session.state === "open" ? "closed" : session.state;
    this.toolbar.refresh();
    this.viewer.refresh();
  }

  /** @param {boolean} anyway also if another tab edits */
  async open(anyway = false) {
    this.asked = true;
    await this.session.open(anyway);
    this.#refreshStatus();
    this.pane.canvas.focus({ preventScroll: true });
  }

  /** Leave the edit mode; the strokes are kept. */
  close() {
    this.active = false;
    this.session.restored = 0;
    if (!this.strokes) this.session.discard();
    this.#refreshStatus();
  }

  #leave() {
    this.cancel();
    this.proposals.reject();
    this.toolbar.ring.hidden = true;
  }

  /** @param {string} text for the status line, which screen readers speak */
  say(text) {
    this.toolbar.say(text);
  }

  // Choices.

  /** @param {ToolName} tool */
  choose(tool) {
    this.cancel();
    this.proposals.reject();
    this.tool = tool;
    this.toolbar.refresh();
    this.say(`${TOOLS[tool].title}. ${TOOLS[tool].hint}`);
  }

  /** @param {number} label */
  chooseStructure(label) {
    const entry = this.viewer.volume.meta.structures.find((one) => one.label === label);
    if (!entry) return;
    this.proposals.reject();
    this.label = label;
    this.viewer.state.hidden.delete(entry.key);
    this.toolbar.refresh();
    this.viewer.panel?.list();
    this.viewer.refresh();
    this.say(`${entry.title} is edited.`);
  }

  /** @param {Partial<Settings>} values */
  set(values) {
    Object.assign(this.settings, values);
    this.settings.diameter = Math.min(Math.max(this.settings.diameter, SIZES_MM[0]), SIZES_MM[1]);
    this.toolbar.refresh();
  }

  /** @param {number} steps of the brush, larger or smaller */
  resize(steps) {
    const { diameter } = this.settings;
    const step = diameter < 5 ? 0.5 : diameter < 12 ? 1 : 2;
    this.set({ diameter: Math.round((diameter + steps * step) * 2) / 2 });
    this.say(`Brush ${this.settings.diameter} mm.`);
  }

  // A stroke.

  /** @param {Pane} pane @param {MouseEvent} event @returns {Place} */
  place(pane, event) {
    const at = pane.layout();
    const [x, y] = pane.pixel(event);
    const [row, column] = [(y - at.y) / at.sy, (x - at.x) / at.sx];
    return { pane, slice: pane.slice, row, column, at: placeIn(pane.plane, pane.slice, row, column) };
  }

  /** The voxel under the cross-hair. @param {Pane} pane @returns {Place} */
  placeOfCross(pane) {
    const { volume, state } = this.viewer;
    const [row, column] = volume.cell(pane.plane, state.at);
    return { pane, slice: pane.slice, row: row + 0.5, column: column + 0.5, at: [...state.at] };
  }

  /** Whether a press is the tool's. @param {Pane} pane @param {PointerEvent} event */
  down(pane, event) {
    this.pane = pane;
    const pen = event.button === 5; // the other end of a pen
    if (!this.active || event.altKey || event.shiftKey || (event.button !== 0 && !pen)) return false;
    const tool = pen ? "eraser" : this.tool;
    if (tool === "cross") return false;
    const place = this.place(pane, event);
    this.viewer.moveTo(place.at.map(Math.round)); // the other planes show the place that is edited
    this.#start(tool, place);
    return true;
  }

  /** @param {ToolName} tool @param {Place} place */
  #start(tool, place) {
    if (tool !== "click") this.proposals.reject();
    [this.pressed, this.last] = [tool, place];
    TOOLS[tool].down(this, place);
  }

  /** @param {Pane} pane @param {PointerEvent} event */
  move(pane, event) {
    if (!this.pressed || !this.last || this.last.pane !== pane) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.#drag(this.place(pane, one));
    this.#drag(this.place(pane, event));
  }

  /** @param {Place} place */
  #drag(place) {
    if (!this.pressed) return;
    TOOLS[this.pressed].move?.(this, place);
    this.last = place;
  }

  /** @param {Pane} pane @param {PointerEvent} event */
  up(pane, event) {
    if (!this.pressed) return;
    TOOLS[this.pressed].up?.(this, this.place(pane, event));
    [this.pressed, this.last] = [null, null];
  }

  /** The tool at the cross-hair, as by a click there. @param {Pane} pane */
  strokeAtCross(pane) {
    if (this.tool === "cross") return;
    const place = this.placeOfCross(pane);
    if (this.tool === "lasso") {
      this.lasso.add(place);
      this.say(`Corner ${this.lasso.corners.length}.`);
      return;
    }
    this.#start(this.tool, place);
    if (this.pressed) TOOLS[this.tool].up?.(this, place);
    [this.pressed, this.last] = [null, null];
  }

  /** @param {Pane} pane */
  smoothSlice(pane) {
    this.proposals.reject();
    smoothSlice(this, pane);
    this.finish("slice", pane.plane.normal);
  }

  /** Whether the structure may take a voxel from the label that it has. @param {number} voxel */
  allowed(voxel) {
    const { over } = this.settings;
    return over < 0 || this.viewer.volume.labels[voxel] === over;
  }

  /** @param {number} voxel @param {number} label */
  write(voxel, label) {
    if (label === this.label && !this.allowed(voxel)) return;
    this.recorder ??= new Recorder(this.viewer.volume.labels);
    this.recorder.set(voxel, label);
  }

  /**
   * Writes voxels that the lock and the intensity window allow.
   * @param {boolean} erase @returns {(voxel: number) => void}
   */
  writer(erase) {
    const { labels, scan, meta } = this.viewer.volume;
    const { label, settings: { over, window } } = this;
    this.recorder ??= new Recorder(labels);
    const { recorder } = this;
    const { offset, step } = meta.scan ?? { offset: 0, step: 1 };
    const [low, high] = (window ?? [0, 0]).map((value) => (value - offset) / step);
    const codes = window && scan;
    return (voxel) => {
      const old = labels[voxel];
      if (erase ? old !== label : old === label || (over >= 0 && old !== over)) return;
      if (codes && (codes[voxel] < low || codes[voxel] > high)) return;
      recorder.set(voxel, erase ? 0 : label);
    };
  }

  /** The stroke has ended. @param {string} tool @param {number} normal axis of its slice; -1: not one slice */
  finish(tool = this.pressed ?? this.tool, normal = this.last ? (tool === "lasso" ? this.last.pane.plane.normal : normalOf(this, this.last)) : -1) {
    const stroke = this.recorder?.seal({ tool, label: this.label, normal }) ?? null;
    [this.recorder, this.box] = [null, null];
    if (!stroke) {
      this.say("Nothing has changed here.");
      return;
    }
    this.session.add(stroke);
    this.viewer.root.dataset.strokes = String(this.strokes);
    this.toolbar.refresh();
    this.say(`${nameOf(stroke)}: ${changeInWords(this.viewer.volume, stroke)}.`);
  }

  /** Drop the stroke that is being made. */
  cancel() {
    const was = Boolean(this.recorder?.count);
    this.recorder?.cancel();
    if (this.box) this.repaint(this.box);
    [this.recorder, this.box, this.pressed, this.last] = [null, null, null, null];
    return this.lasso.drop() || was;
  }

  undo() {
    this.#step("Undone", () => this.session.undo());
  }

  redo() {
    this.#step("Redone", () => this.session.redo());
  }

  /** @param {string} word @param {() => ReturnType<Session["undo"]>} act */
  #step(word, act) {
    this.cancel();
    this.proposals.reject();
    const stroke = act();
    this.viewer.root.dataset.strokes = String(this.strokes);
    this.toolbar.refresh();
    this.say(stroke ? `${word}: ${nameOf(stroke)}, ${changeInWords(this.viewer.volume, stroke)}. ${this.strokes} in force.` : "There is nothing more.");
  }

  discard() {
    this.cancel();
    this.proposals.reject();
    const count = this.strokes;
    this.session.discard();
    this.viewer.root.dataset.strokes = "0";
    this.say(`${count} edit${count === 1 ? "" : "s"} discarded. The outlines are those of version ${this.about.version}.`);
  }

  // Pictures.

  /** @param {Box} box voxels whose labels have changed */
  repaint(box) {
    this.box = this.box ? joined(this.box, box) : box;
    this.viewer.labelsChanged(box);
  }

  /** What the edit mode draws over a picture. @param {Pane} pane @param {Placement} at */
  draw(pane, at) {
    if (!this.active) return;
    this.proposals.current?.draw(pane, at);
    this.lasso.draw(pane, at);
  }

  /** Whether a drag moves the cross-hair. @param {MouseEvent} event */
  points(event) {
    return !this.active || this.tool === "cross" || event.altKey;
  }

  /** The size of the brush around the pointer. @param {Pane} pane @param {MouseEvent | null} event null: it has left */
  hover(pane, event) {
    const { ring } = this.toolbar;
    ring.hidden = !this.active || !event || (event instanceof PointerEvent && event.pointerType === "touch") || !TOOLS[this.tool].options.includes("size");
    if (ring.hidden || !event) return;
    const [x, y] = pane.pixel(event);
    const radius = ((this.settings.diameter / 2) * pane.layout().scale) / pane.ratio;
    if (ring.parentElement !== pane.canvas.parentElement) pane.canvas.after(ring);
    Object.assign(ring.style, { width: `${2 * radius}px`, height: `${2 * radius}px`, transform: `translate(${x / pane.ratio - radius}px, ${y / pane.ratio - radius}px)` });
  }

  end() {
    this.proposals.end();
    this.cancel();
    this.session.detach(this.view);
  }
}
