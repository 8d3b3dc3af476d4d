// One plane: its picture, the overlay, and which voxel a pixel shows.
// The viewer (slices.js) holds the state that the planes share and calls draw().

import { joined } from "./edit/lattice.js";
import { borders } from "./slices_contour.js";
import { listen } from "./slices_controls.js";

/** @import { Box as Voxels } from "./edit/lattice.js" */
/** @import { Viewer } from "./slices.js" */
/** @import { Edge, Plane } from "./slices_volume.js" */

/**
 * @typedef {{scale: number, sx: number, sy: number, x: number, y: number}} Placement
 *   canvas pixels per mm and per voxel to the right and down; where the picture's corner lies
 * @typedef {[number, number, number, number]} Box left, top, width, height in canvas pixels
 * @typedef {object} Sheet a slice in colour, one pixel per voxel
 * @property {HTMLCanvasElement} canvas
 * @property {CanvasRenderingContext2D} pen
 * @property {ImageData} pixels
 * @property {Uint32Array} words the same pixels as ABGR
 * @property {string} shown name of its content
 */

const CROSS = "#ff7a6b";
const INK = "#eef3f6";
const NO_SCAN = "#161d22";
const GAP_PX = 9; // of the cross-hair around the voxel it marks
const LETTER_PX = 26; // at the edges, reserved for the letters
const BAR_MM = [1, 2, 5, 10, 20, 50, 100];
const MOST_ZOOM = 12;
const PATHS_KEPT = 24;
/** @type {Edge[]} */
const EDGES = ["top", "bottom", "left", "right"];

export class Pane {
  /**
   * @param {Viewer} viewer
   * @param {number} k number of the plane
   * @param {Plane} plane
   * @param {{canvas: HTMLCanvasElement, slider: HTMLInputElement, count: HTMLElement}} elements
   */
  constructor(viewer, k, plane, { canvas, slider, count }) {
    this.viewer = viewer;
    this.k = k;
    this.plane = plane;
    this.canvas = canvas;
    this.slider = slider;
    this.count = count;
    this.ratio = 1; // canvas pixels per CSS pixel
    this.pen = context(canvas, { alpha: false, willReadFrequently: true });
    this.image = this.#sheet();
    this.colours = this.#sheet();
    /** @type {Map<string, Map<number, Path2D>>} */
    this.paths = new Map();
    /** @type {{key: string, labels: Uint8Array} | null} */
    this.flat = null; // the labels that borders were computed from
    /** @type {Voxels | null} */
    this.stale = null; // where they have changed since
    this.zoom = 1;
    this.shift = [0, 0]; // mm by which the picture's middle is moved to the right and down
    listen(this);
  }

  get slice() {
    return this.viewer.state.at[this.plane.normal];
  }

  fit() {
    this.zoom = 1;
    this.shift = [0, 0];
  }

  /** @returns {Sheet} */
  #sheet() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.plane.right.n, this.plane.down.n];
    const pen = context(canvas, { willReadFrequently: true });
    const pixels = pen.createImageData(canvas.width, canvas.height);
    return { canvas, pen, pixels, words: new Uint32Array(pixels.data.buffer), shown: "" };
  }

  /**
   * Draw a sheet again if its content has changed.
   * @param {Sheet} sheet @param {string} shown name of the content
   * @param {Uint8Array | Uint16Array} array @param {Uint32Array} table ABGR colour of each value
   */
  #fillSheet(sheet, shown, array, table) {
    const name = `${this.slice} ${shown}`;
    if (sheet.shown === name) return;
    const { volume } = this.viewer;
    volume.walk(this.plane, this.slice, (at, voxel) => { sheet.words[at] = table[array[voxel]]; });
    sheet.pen.putImageData(sheet.pixels, 0, 0);
    sheet.shown = name;
  }

  /** Borders of labels in this slice; those of the last slices are kept. @param {string} name @param {Uint8Array} array */
  #borders(name, array) {
    const key = `${name} ${this.slice}`;
    let found = this.paths.get(key);
    if (!found) {
      const { down, right } = this.plane;
      const flat = this.#flat(key, array);
      const [oldest] = this.paths.keys();
      if (this.paths.size >= PATHS_KEPT) this.paths.delete(oldest);
      found = borders(flat, down.n, right.n);
      this.paths.set(key, found);
    }
    return found;
  }

  /** The labels of this slice as a picture; after a stroke only what it has changed is read again. @param {string} key @param {Uint8Array} array */
  #flat(key, array) {
    const { volume } = this.viewer;
    const { down, right } = this.plane;
    const kept = this.flat?.key === key;
    this.flat = kept && this.flat ? this.flat : { key, labels: new Uint8Array(down.n * right.n) };
    volume.copy(this.plane, this.slice, array, this.flat.labels, kept && this.stale ? this.stale : volume.whole);
    this.stale = null;
    return this.flat.labels;
  }

  /** Borders of structures are computed again in these slices. @param {Voxels} box @returns {boolean} whether this one is among them */
  forget(box) {
    const [first, last] = box[this.plane.normal];
    for (const key of this.paths.keys()) {
      const [name, slice] = key.split(" ");
      if (name === "structures" && Number(slice) >= first && Number(slice) <= last) this.paths.delete(key);
    }
    this.stale = this.stale ? joined(this.stale, box) : box;
    return this.slice >= first && this.slice <= last;
  }

  /** @returns {Placement} */
  layout() {
    const { down, right } = this.plane;
    const { width, height } = this.canvas;
    const scale = Math.min(width / (right.n * right.mm), height / (down.n * down.mm)) * this.zoom;
    return {
      scale,
      sx: scale * right.mm,
      sy: scale * down.mm,
      x: width / 2 + (this.shift[0] - (right.n * right.mm) / 2) * scale,
      y: height / 2 + (this.shift[1] - (down.n * down.mm) / 2) * scale,
    };
  }

  draw() {
    const box = this.canvas.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    const size = [Math.round(box.width * this.ratio), Math.round(box.height * this.ratio)];
    if (size[0] < 2 || size[1] < 2) return; // not visible
    if (this.canvas.width !== size[0]) this.canvas.width = size[0];
    if (this.canvas.height !== size[1]) this.canvas.height = size[1];
    const { state, volume } = this.viewer;
    const at = this.layout();
    /** @type {Box} */
    const place = [at.x, at.y, this.plane.right.n * at.sx, this.plane.down.n * at.sy];
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, size[0], size[1]);
    if (volume.scan) {
      this.#fillSheet(this.image, state.window.join(), volume.scan, this.viewer.greys);
      this.pen.imageSmoothingEnabled = true;
      this.pen.drawImage(this.image.canvas, ...place);
    } else {
      this.pen.fillStyle = NO_SCAN;
      this.pen.fillRect(...place);
    }
    this.#overlay(at, place);
    this.viewer.editor?.draw(this, at);
    if (state.cross) this.#crossHair(at);
    this.#annotate(at);
    this.slider.value = String(this.slice + 1);
    this.slider.setAttribute("aria-valuetext", `${this.slice + 1} of ${this.plane.n}`);
    this.count.textContent = `${this.slice + 1} / ${this.plane.n}`;
  }

  /** @param {Placement} at @param {Box} place */
  #overlay(at, place) {
    const { state, volume } = this.viewer;
    const opacity = state.fill[state.mode];
    if (state.mode === "t2" && volume.t2) {
      this.#fillSheet(this.colours, "t2", volume.t2, this.viewer.t2Table);
      this.pen.globalAlpha = opacity;
      this.pen.imageSmoothingEnabled = false; // a voxel without a fit must not take colour from its neighbour
      this.pen.drawImage(this.colours.canvas, ...place);
      this.pen.globalAlpha = 1;
    }
    const regions = state.mode === "regions" ? volume.subregions : null;
    const found = regions ? this.#borders("regions", regions) : this.#borders("structures", volume.labels);
    const matrix = new DOMMatrix([at.sx, 0, 0, at.sy, at.x, at.y]);
    this.pen.lineWidth = 1.5 * this.ratio;
    this.pen.lineJoin = "round";
    for (const entry of regions ? volume.meta.regions : volume.meta.structures) {
      const border = found.get(entry.label);
      if (state.hidden.has(entry.key) || !border) continue;
      const path = new Path2D();
      path.addPath(border, matrix);
      if (state.mode !== "t2" && opacity > 0) {
        this.pen.globalAlpha = opacity;
        this.pen.fillStyle = entry.colour;
        this.pen.fill(path, "evenodd");
        this.pen.globalAlpha = 1;
      }
      if (state.outline) {
        this.pen.strokeStyle = entry.colour;
        this.pen.stroke(path);
      }
    }
  }

  /** @param {Placement} at */
  #crossHair(at) {
    const { width, height } = this.canvas;
    const [row, column] = this.viewer.volume.cell(this.plane, this.viewer.state.at);
    const x = Math.round(at.x + (column + 0.5) * at.sx) + 0.5;
    const y = Math.round(at.y + (row + 0.5) * at.sy) + 0.5;
    const gap = GAP_PX * this.ratio;
    const edge = LETTER_PX * this.ratio;
    this.pen.strokeStyle = CROSS;
    this.pen.lineWidth = this.ratio;
    this.pen.globalAlpha = 0.85;
    this.pen.beginPath();
    for (const [x0, y0, x1, y1] of [[edge, y, x - gap, y], [x + gap, y, width - edge, y], [x, edge, x, y - gap], [x, y + gap, x, height - edge]]) {
      if (x1 < x0 || y1 < y0) continue; // too near the edge
      this.pen.moveTo(x0, y0);
      this.pen.lineTo(x1, y1);
    }
    this.pen.stroke();
    this.pen.globalAlpha = 1;
  }

  /** Letters at the edges and the scale bar, drawn on the picture so that its export has them. @param {Placement} at */
  #annotate(at) {
    const { width, height } = this.canvas;
    const { letters, words } = this.plane;
    const unit = this.ratio;
    const edge = 7 * unit;
    /** @type {Record<Edge, [number, number, CanvasTextAlign, CanvasTextBaseline]>} */
    const places = {
      top: [width / 2, edge, "center", "top"],
      bottom: [width / 2, height - edge, "center", "bottom"],
      left: [edge, height / 2, "left", "middle"],
      right: [width - edge, height / 2, "right", "middle"],
    };
    for (const name of EDGES) {
      const [x, y, align, baseline] = places[name];
      this.#text(letters[name], x, y, align, baseline, 600, 14);
      if (words[name] && width > 240 * unit) this.#text(words[name], x, y + 15 * unit, align, baseline, 400, 11.5);
    }
    const mm = BAR_MM.filter((length) => length * at.scale < width * 0.3).pop();
    if (!mm) return;
    const [x, y, long] = [edge + unit, height - edge - 2 * unit, mm * at.scale];
    this.pen.lineCap = "butt";
    /** @type {[string, number][]} */
    const strokes = [["#000", 4.5], [INK, 2]];
    for (const [colour, thick] of strokes) {
      this.pen.strokeStyle = colour;
      this.pen.lineWidth = thick * unit;
      this.pen.beginPath();
      this.pen.moveTo(x, y - 5 * unit);
      this.pen.lineTo(x, y);
      this.pen.lineTo(x + long, y);
      this.pen.lineTo(x + long, y - 5 * unit);
      this.pen.stroke();
    }
    this.#text(`${mm} mm`, x + long / 2, y - 6 * unit, "center", "bottom", 400, 11.5);
  }

  /**
   * @param {string} text @param {number} x @param {number} y
   * @param {CanvasTextAlign} align @param {CanvasTextBaseline} baseline
   * @param {number} weight @param {number} size in CSS pixels
   */
  #text(text, x, y, align, baseline, weight, size) {
    this.pen.font = `${weight} ${size * this.ratio}px ${this.viewer.font}`;
    Object.assign(this.pen, { textAlign: align, textBaseline: baseline, lineJoin: "round", lineWidth: 3 * this.ratio });
    this.pen.strokeStyle = "rgba(0,0,0,.75)";
    this.pen.strokeText(text, x, y);
    this.pen.fillStyle = INK;
    this.pen.fillText(text, x, y);
  }

  /** Place of an event in pixels of the canvas. @param {MouseEvent} event @returns {[number, number]} */
  pixel(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
  }

  /** Move the cross-hair to an event. @param {MouseEvent} event */
  point(event) {
    const at = this.layout();
    const [x, y] = this.pixel(event);
    const { volume, state } = this.viewer;
    this.viewer.moveTo(volume.position(this.plane, (y - at.y) / at.sy, (x - at.x) / at.sx, state.at));
  }

  /** Zoom about a pixel of the canvas. @param {number} factor @param {[number, number]} pixel */
  magnify(factor, [x, y] = [this.canvas.width / 2, this.canvas.height / 2]) {
    const before = this.layout();
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.5), MOST_ZOOM);
    const after = this.layout();
    for (const [k, pixel, corner, was] of [[0, x, after.x, before.x], [1, y, after.y, before.y]]) {
      const there = corner + ((pixel - was) / before.scale) * after.scale;
      this.shift[k] += (pixel - there) / after.scale;
    }
    this.viewer.refresh();
  }

  /** Move the picture. @param {number} dx @param {number} dy CSS pixels */
  pan(dx, dy) {
    const { scale } = this.layout();
    this.shift[0] += (dx * this.ratio) / scale;
    this.shift[1] += (dy * this.ratio) / scale;
    this.viewer.refresh();
  }

  /** Move the cross-hair by voxels. @param {number} rows @param {number} columns */
  nudge(rows, columns) {
    const { volume, state } = this.viewer;
    const [row, column] = volume.cell(this.plane, state.at);
    this.viewer.moveTo(volume.position(this.plane, row + rows, column + columns, state.at));
  }
}

/** @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} settings */
function context(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}
