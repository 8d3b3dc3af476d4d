// The slice viewer: three linked planes of one scan. No WebGL: 2D canvases, outlines as vectors.
// mount(parent, {base, height}) may be called again and again for the same parent (every rerun of the page does);
// the voxels are fetched once, when the viewer first comes into sight.

import { Pane } from "./slices_pane.js";
import { buildFrame, buildPanel } from "./slices_panel.js";
import { savePicture } from "./slices_picture.js";
import { Volume } from "./slices_volume.js";

const mounted = new WeakMap(); // parent -> Viewer
let kept = null; // {base, loading, state}: the last scan survives a viewer that is taken away and put back

export function mount(parent, { base, height }) {
  let viewer = mounted.get(parent);
  if (viewer?.base !== base || !viewer.root.isConnected) {
    viewer?.end();
    viewer = new Viewer(parent, base);
    mounted.set(parent, viewer);
  }
  viewer.root.style.setProperty("--height", `${height}px`);
  viewer.dress();
  return viewer;
}

class Viewer {
  constructor(parent, base) {
    this.base = base;
    this.ended = new AbortController();
    this.panes = [];
    this.frame = buildFrame(parent);
    this.root = this.frame.root;
    this.root.dataset.loads = "0";
    this.#say("loading", "Loading the slices …");
    this.sight = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) {
        this.sight.disconnect();
        this.#load();
      }
    }, { rootMargin: "300px" });
    this.sight.observe(this.root);
  }

  async #load() {
    const start = performance.now();
    try {
      if (kept?.base !== this.base) {
        kept = { base: this.base, loading: Volume.load(this.base), state: null };
        this.root.dataset.loads = String(Number(this.root.dataset.loads) + 1);
      }
      this.volume = await kept.loading;
      if (this.ended.signal.aborted) return;
      this.state = kept.state ??= firstState(this.volume.meta);
      this.#build();
      this.root.dataset.readyMs = String(Math.round(performance.now() - start));
      this.#say("ready", "");
      for (const name of this.volume.meta.t2 ? ["subregions", "t2"] : ["subregions"]) await this.volume.need(name);
      this.refresh();
    } catch (error) {
      kept = null;
      this.#say("failed", error.message);
    }
  }

  #build() {
    this.font = getComputedStyle(this.root).fontFamily;
    this.dress(); // the style sheet has come by now
    this.#shade();
    if (this.volume.meta.t2) this.t2Table = t2Table(this.volume.meta.t2);
    this.panel = buildPanel(this);
    this.panes = this.volume.planes.map((plane, k) => new Pane(this, k, this.panel.planes[k]));
    this.sizes = new ResizeObserver(() => this.refresh());
    for (const pane of this.panes) this.sizes.observe(pane.canvas);
    this.#draw();
  }

  #say(state, text) {
    this.root.dataset.state = state;
    this.frame.message.textContent = text;
  }

  /** Sliders and boxes that the browser draws follow the page's theme, not the system's. */
  dress() {
    const [r, g, b] = getComputedStyle(this.root).color.match(/[\d.]+/g).map(Number);
    this.root.style.colorScheme = r + g + b > 382 ? "dark" : "light";
  }

  // ---- what panes and panel ask for

  /** Draws everything at the next frame, once however often it is called. */
  refresh() {
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      if (!this.ended.signal.aborted) this.#draw();
    });
  }

  moveTo(at) {
    this.state.at = at.map((k, axis) => Math.min(Math.max(k, 0), this.volume.shape[axis] - 1));
    this.refresh();
  }

  /** Goes `steps` slices on in plane k. */
  leaf(k, slice, steps) {
    const at = [...this.state.at];
    at[this.volume.planes[k].normal] = slice + steps;
    this.moveTo(at);
  }

  change(values) {
    Object.assign(this.state, values);
    this.refresh();
  }

  setWindow(black, white) {
    const { step } = this.volume.meta.scan;
    this.state.window = [black, Math.max(white, black + step)];
    this.#shade();
    this.refresh();
  }

  /** A drag by CSS pixels: to the right widens the window, upwards brightens. */
  dragWindow(dx, dy) {
    if (!this.volume.scan) return;
    const [black, white] = this.state.window;
    const unit = this.volume.meta.scan.step * 0.6;
    const width = Math.max(white - black + dx * unit, this.volume.meta.scan.step);
    const level = (black + white) / 2 + dy * unit;
    this.setWindow(level - width / 2, level + width / 2);
  }

  save() {
    savePicture(this);
  }

  /** Grey (ABGR words) of each of the 256 stored intensities. */
  #shade() {
    if (!this.volume.scan) return;
    const { offset, step } = this.volume.meta.scan;
    const [black, white] = this.state.window;
    this.greys = Uint32Array.from({ length: 256 }, (_, code) => {
      const part = (offset + step * code - black) / (white - black);
      return 0xff000000 | (Math.round(255 * Math.min(Math.max(part, 0), 1)) * 0x010101);
    });
  }

  #draw() {
    for (const pane of this.panes) pane.draw();
    const { state, volume, root } = this;
    const value = volume.value(state.at);
    root.dataset.position = state.at.join();
    root.dataset.label = value.label;
    root.dataset.region = value.region;
    root.dataset.intensity = value.intensity === null ? "" : value.intensity.toFixed(2);
    root.dataset.t2 = value.t2 === null ? "" : value.t2.toFixed(2);
    this.panel.show(value, volume.millimetres(state.at));
  }

  end() {
    this.ended.abort();
    this.sight.disconnect();
    this.sizes?.disconnect();
    this.root.remove();
  }
}

function firstState(meta) {
  return {
    at: meta.start,
    mode: "structures",
    hidden: new Set(),
    fill: meta.scan ? { structures: 0.2, regions: 0.35, t2: 0.85 } : { structures: 0.6, regions: 0.6, t2: 0.85 },
    outline: true,
    cross: true,
    window: meta.scan ? meta.scan.window : [0, 1],
    large: 0,
  };
}

/** Colour (ABGR words) of each stored T2; 0 (no fit) is clear. */
function t2Table({ step_ms: step, range_ms: [low, high], colours }) {
  return Uint32Array.from({ length: 65536 }, (_, code) => {
    if (!code) return 0;
    const part = Math.min(Math.max((code * step - low) / (high - low), 0), 1) * (colours.length - 1);
    const k = Math.min(Math.floor(part), colours.length - 2);
    const [r, g, b] = colours[k].map((from, c) => Math.round(from + (part - k) * (colours[k + 1][c] - from)));
    return 0xff000000 | (b << 16) | (g << 8) | r;
  });
}
