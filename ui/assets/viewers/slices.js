// The slice viewer: three linked planes of one scan, on 2D canvases with outlines as vectors (no WebGL).
// Every rerun of the page calls mount() for the same parent; the voxels are fetched once, when the viewer first becomes
// visible.

import { Editor } from "./edit/editor.js";
import { onEditKey } from "./edit/keys.js";
import { Pane } from "./slices_pane.js";
import { buildFrame, buildPanel } from "./slices_panel.js";
import { savePicture } from "./slices_picture.js";
import { Volume } from "./slices_volume.js";

/** @import { About } from "./edit/editor.js" */
/** @import { Box } from "./edit/lattice.js" */
/** @import { Addresses, SlicesMeta, T2Meta } from "./slices_volume.js" */

/**
 * What the planes share.
 * @typedef {"structures" | "regions" | "t2"} Overlay
 * @typedef {object} State
 * @property {number[]} at position of the cross-hair
 * @property {Overlay} mode
 * @property {Set<string>} hidden keys of structures and sub-regions
 * @property {Record<Overlay, number>} fill opacity, 0 to 1
 * @property {boolean} outline
 * @property {boolean} cross
 * @property {[number, number]} window intensities shown as black and as white
 * @property {number} large number of the enlarged plane
 */

/** @type {WeakMap<HTMLElement, Viewer>} */
const mounted = new WeakMap(); // by parent
/** @type {{base: string, loading: Promise<Volume>, state: State | null} | null} */
let kept = null; // the last scan, for a viewer that is removed and added again

/**
 * @param {HTMLElement} parent
 * @param {{base: string, addresses: Addresses, height: number, editable?: boolean} & Partial<About>} options
 *   base: address that tells two scans apart
 */
export function mount(parent, { base, addresses, height, editable = false, job = "", version = 1, newest = 1, begin = false, saved = () => {} }) {
  let viewer = mounted.get(parent);
  if (viewer?.base !== base || !viewer.root.isConnected) {
    viewer?.end();
    viewer = new Viewer(parent, base, addresses);
    mounted.set(parent, viewer);
  }
  viewer.root.style.setProperty("--height", `${height}px`);
  viewer.followTheme();
  viewer.allowEditing(editable ? { job, version, newest, begin, saved } : null);
  return viewer;
}

export class Viewer {
  /** @param {HTMLElement} parent @param {string} base @param {Addresses} addresses */
  constructor(parent, base, addresses) {
    this.base = base;
    this.addresses = addresses;
    this.ended = new AbortController();
    /** @type {Pane[]} */
    this.panes = [];
    /** @type {Set<Pane>} */
    this.drawn = new Set(); // pictures that are up to date
    /** @type {Volume | null} */
    this.loaded = null;
    /** @type {number | null} */
    this.due = null; // the coming frame
    this.font = "";
    this.greys = new Uint32Array(256); // ABGR of each stored intensity
    this.t2Table = new Uint32Array(0); // ABGR of each stored T2
    this.state = firstState(null);
    /** @type {About | null} */
    this.about = null; // for the edit mode, if it is allowed
    /** @type {Editor | null} */
    this.editor = null;
    this.windowChanged = () => {}; // set by the panel: its sliders follow a drag on the picture
    this.frame = buildFrame(parent);
    this.root = this.frame.root;
    this.root.dataset.loads = "0";
    this.#say("loading", "Loading the slices …");
    this.begun = false;
    this.sight = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) this.#begin();
    }, { rootMargin: "300px" });
    this.sight.observe(this.root);
  }

  /** The scan, once it is loaded. */
  get volume() {
    if (!this.loaded) throw new Error("The slices are not loaded yet.");
    return this.loaded;
  }

  #begin() {
    if (this.begun) return;
    this.begun = true;
    this.sight.disconnect();
    this.#load();
  }

  async #load() {
    const start = performance.now();
    try {
      let current = kept;
      if (current?.base !== this.base) {
        current = kept = { base: this.base, loading: Volume.load(this.addresses), state: null };
        this.root.dataset.loads = String(Number(this.root.dataset.loads) + 1);
      }
      this.loaded = await current.loading;
      if (this.ended.signal.aborted) return;
      this.state = current.state ??= firstState(this.volume.meta);
      this.#build();
      this.root.dataset.readyMs = String(Math.round(performance.now() - start));
      this.#say("ready", "");
      await this.volume.need("subregions");
      if (this.volume.meta.t2) await this.volume.need("t2");
      this.refresh();
    } catch (error) {
      kept = null;
      this.#say("failed", error instanceof Error ? error.message : String(error));
    }
  }

  #build() {
    this.font = getComputedStyle(this.root).fontFamily;
    this.followTheme(); // the style sheet is loaded by now
    this.#shade();
    if (this.volume.meta.t2) this.t2Table = t2Table(this.volume.meta.t2);
    this.panel = buildPanel(this);
    const { planes } = this.panel;
    this.panes = this.volume.planes.map((plane, k) => new Pane(this, k, plane, planes[k]));
    this.sizes = new ResizeObserver(() => this.refresh());
    for (const pane of this.panes) this.sizes.observe(pane.canvas);
    this.allowEditing(this.about);
    this.root.addEventListener("keydown", (event) => {
      if (this.editor && onEditKey(this.editor, event)) event.stopPropagation();
    });
    this.#draw();
  }

  /** @param {About | null} about null: not allowed */
  allowEditing(about) {
    this.about = about;
    if (about?.begin) this.#begin(); // what is out of sight is not loaded otherwise
    if (!this.panel || this.volume.meta.structures.length === 0) return;
    if (!about) {
      this.editor?.end();
      this.editor = null;
      this.panel.placeEditor(null);
    } else if (this.editor) {
      this.editor.about = { ...about, saved: (id) => this.#saved(id) };
      this.editor.toolbar.refresh();
    } else {
      this.editor = new Editor(this, { ...about, saved: (id) => this.#saved(id) });
      this.panel.placeEditor(this.editor.toolbar);
      if (about.begin) this.editor.ready.then(() => this.editor?.open()).then(() => this.root.scrollIntoView());
    }
  }

  /** A new version is on the server. @param {string} id */
  #saved(id) {
    kept = null; // these labels are no longer those of the address
    this.about?.saved(id);
  }

  /** @param {string} state @param {string} text */
  #say(state, text) {
    this.root.dataset.state = state;
    this.frame.message.textContent = text;
  }

  /** Give the browser's own sliders and boxes the page's theme instead of the system's. */
  followTheme() {
    const [r, g, b] = getComputedStyle(this.root).color.split(/[^\d.]+/).filter(Boolean).map(Number);
    this.root.style.colorScheme = r + g + b > 382 ? "dark" : "light";
  }

  // Called by panes and panel.

  /** Draw everything in the next frame, once however often this is called. */
  refresh() {
    this.drawn.clear();
    this.#schedule();
  }

  #schedule() {
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      if (!this.ended.signal.aborted) this.#draw();
    });
  }

  /** @param {number[]} at */
  moveTo(at) {
    this.state.at = at.map((k, axis) => Math.min(Math.max(k, 0), this.volume.shape[axis] - 1));
    this.refresh();
  }

  /** Show another slice of plane k. @param {number} k @param {number} slice @param {number} steps from there */
  changeSlice(k, slice, steps) {
    const at = [...this.state.at];
    at[this.volume.planes[k].normal] = slice + steps;
    this.moveTo(at);
  }

  /** @param {Partial<State>} values */
  change(values) {
    Object.assign(this.state, values);
    this.refresh();
  }

  /** @param {number} black @param {number} white */
  setWindow(black, white) {
    const { scan } = this.volume.meta;
    if (!scan) return;
    this.state.window = [black, Math.max(white, black + scan.step)];
    this.#shade();
    this.windowChanged();
    this.refresh();
  }

  /** A drag to the right widens the window, upwards brightens. @param {number} dx @param {number} dy CSS pixels */
  dragWindow(dx, dy) {
    const { scan } = this.volume.meta;
    if (!scan) return;
    const [black, white] = this.state.window;
    const unit = scan.step * 0.6;
    const width = Math.max(white - black + dx * unit, scan.step);
    const level = (black + white) / 2 + dy * unit;
    this.setWindow(level - width / 2, level + width / 2);
  }

  save() {
    savePicture(this);
  }

  /** Labels have changed: borders in these slices are computed again. @param {Box} box */
  labelsChanged(box) {
    for (const pane of this.panes) if (pane.forget(box)) this.drawn.delete(pane);
    this.#schedule();
  }

  /** Fill the table of greys for the current window. */
  #shade() {
    const { scan } = this.volume.meta;
    if (!scan) return;
    const { offset, step } = scan;
    const [black, white] = this.state.window;
    this.greys = Uint32Array.from({ length: 256 }, (_, code) => {
      const part = (offset + step * code - black) / (white - black);
      return 0xff000000 | (Math.round(255 * Math.min(Math.max(part, 0), 1)) * 0x010101);
    });
  }

  #draw() {
    for (const pane of this.panes) if (!this.drawn.has(pane)) pane.draw();
    this.drawn = new Set(this.panes);
    const { state, volume, root } = this;
    const value = volume.value(state.at);
    root.dataset.position = state.at.join();
    root.dataset.label = String(value.label);
    root.dataset.region = String(value.region);
    root.dataset.intensity = value.intensity === null ? "" : value.intensity.toFixed(2);
    root.dataset.t2 = value.t2 === null ? "" : value.t2.toFixed(2);
    this.panel?.show(value, volume.millimetres(state.at));
  }

  end() {
    this.ended.abort();
    this.sight.disconnect();
    this.sizes?.disconnect();
    this.editor?.end();
    this.root.remove();
  }
}

/** @param {SlicesMeta | null} meta null: before it is loaded @returns {State} */
function firstState(meta) {
  return {
    at: meta?.start ?? [0, 0, 0],
    mode: "structures",
    hidden: new Set(),
    fill: meta?.scan ? { structures: 0.2, regions: 0.35, t2: 0.85 } : { structures: 0.6, regions: 0.6, t2: 0.85 },
    outline: true,
    cross: true,
    window: meta?.scan ? meta.scan.window : [0, 1],
    large: 0,
  };
}

/** Colour (ABGR) of each stored T2; 0 (no fit) is transparent. @param {T2Meta} t2 */
function t2Table({ step_ms: step, range_ms: [low, high], colours }) {
  return Uint32Array.from({ length: 65536 }, (_, code) => {
    if (!code) return 0;
    const part = Math.min(Math.max((code * step - low) / (high - low), 0), 1) * (colours.length - 1);
    const k = Math.min(Math.floor(part), colours.length - 2);
    const [r, g, b] = colours[k].map((from, c) => Math.round(from + (part - k) * (colours[k + 1][c] - from)));
    return 0xff000000 | (b << 16) | (g << 8) | r;
  });
}
