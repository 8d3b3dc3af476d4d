// One plane: its picture, what is drawn over it, and where a pixel of it lies in the scan.
// The viewer (slices.js) holds the state that the planes share and calls draw().

import { borders } from "./slices_contour.js";
import { listen } from "./slices_hand.js";

const CROSS = "#ff7a6b";
const INK = "#eef3f6";
const NO_SCAN = "#161d22";
const GAP_PX = 9; // of the cross-hair, so that it does not hide what it points at
const LETTER_PX = 26; // at the edges, left to the letters
const BAR_MM = [1, 2, 5, 10, 20, 50, 100];
const MOST_ZOOM = 12;
const PATHS_KEPT = 24;

export class Pane {
  constructor(viewer, k, { canvas, slider, count }) {
    Object.assign(this, { viewer, k, canvas, slider, count, plane: viewer.volume.planes[k] });
    this.pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.image = this.#sheet();
    this.colours = this.#sheet();
    this.paths = new Map();
    this.fit();
    listen(this);
  }

  get slice() {
    return this.viewer.state.at[this.plane.normal];
  }

  fit() {
    this.zoom = 1;
    this.shift = [0, 0]; // mm by which the picture's middle is moved to the right and down
  }

  #sheet() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.plane.right.n, this.plane.down.n];
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const pixels = pen.createImageData(canvas.width, canvas.height);
    return { canvas, pen, pixels, words: new Uint32Array(pixels.data.buffer), shown: "" };
  }

  /** Paints a sheet anew where its content (named by `shown`) has changed. */
  #paint(sheet, shown, array, table) {
    const name = `${this.slice} ${shown}`;
    if (sheet.shown === name) return;
    this.viewer.volume.walk(this.plane, this.slice, (at, voxel) => { sheet.words[at] = table[array[voxel]]; });
    sheet.pen.putImageData(sheet.pixels, 0, 0);
    sheet.shown = name;
  }

  /** Borders of a label array in this slice, kept for the last slices. */
  #borders(name, array) {
    const key = `${name} ${this.slice}`;
    if (!this.paths.has(key)) {
      const { down, right } = this.plane;
      const flat = new Uint8Array(down.n * right.n);
      this.viewer.volume.walk(this.plane, this.slice, (at, voxel) => { flat[at] = array[voxel]; });
      if (this.paths.size >= PATHS_KEPT) this.paths.delete(this.paths.keys().next().value);
      this.paths.set(key, borders(flat, down.n, right.n));
    }
    return this.paths.get(key);
  }

  /** Pixels of the canvas a voxel, and where the picture's corner lies. */
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
    if (size[0] < 2 || size[1] < 2) return; // not on show
    if (this.canvas.width !== size[0]) this.canvas.width = size[0];
    if (this.canvas.height !== size[1]) this.canvas.height = size[1];
    const { state, volume } = this.viewer;
    const at = this.layout();
    const place = [at.x, at.y, this.plane.right.n * at.sx, this.plane.down.n * at.sy];
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, ...size);
    if (volume.scan) {
      this.#paint(this.image, state.window.join(), volume.scan, this.viewer.greys);
      this.pen.imageSmoothingEnabled = true;
      this.pen.drawImage(this.image.canvas, ...place);
    } else {
      this.pen.fillStyle = NO_SCAN;
      this.pen.fillRect(...place);
    }
    this.#overlay(at, place);
    if (state.cross) this.#crossHair(at);
    this.#annotate(at);
    this.slider.value = this.slice + 1;
    this.slider.setAttribute("aria-valuetext", `${this.slice + 1} of ${this.plane.n}`);
    this.count.textContent = `${this.slice + 1} / ${this.plane.n}`;
  }

  #overlay(at, place) {
    const { state, volume } = this.viewer;
    const opacity = state.fill[state.mode];
    if (state.mode === "t2" && volume.t2) {
      this.#paint(this.colours, "t2", volume.t2, this.viewer.t2Table);
      this.pen.globalAlpha = opacity;
      this.pen.imageSmoothingEnabled = false; // a voxel without a fit must not borrow colour from its neighbour
      this.pen.drawImage(this.colours.canvas, ...place);
      this.pen.globalAlpha = 1;
    }
    const regions = state.mode === "regions" && volume.subregions;
    const found = regions ? this.#borders("regions", volume.subregions) : this.#borders("structures", volume.labels);
    const matrix = new DOMMatrix([at.sx, 0, 0, at.sy, at.x, at.y]);
    this.pen.lineWidth = 1.5 * this.ratio;
    this.pen.lineJoin = "round";
    for (const entry of regions ? volume.meta.regions : volume.meta.structures) {
      if (state.hidden.has(entry.key) || !found.has(entry.label)) continue;
      const path = new Path2D();
      path.addPath(found.get(entry.label), matrix);
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

  /** Letters at the edges and the scale bar: on the picture, so that they are in its export too. */
  #annotate(at) {
    const { width, height } = this.canvas;
    const { letters, words } = this.plane;
    const unit = this.ratio;
    const edge = 7 * unit;
    const places = {
      top: [width / 2, edge, "center", "top"],
      bottom: [width / 2, height - edge, "center", "bottom"],
      left: [edge, height / 2, "left", "middle"],
      right: [width - edge, height / 2, "right", "middle"],
    };
    for (const [name, [x, y, align, baseline]] of Object.entries(places)) {
      this.#text(letters[name], x, y, align, baseline, 600, 14);
      if (words[name] && width > 240 * unit) this.#text(words[name], x, y + 15 * unit, align, baseline, 400, 11.5);
    }
    const mm = BAR_MM.filter((length) => length * at.scale < width * 0.3).pop();
    if (!mm) return;
    const [x, y, long] = [edge + unit, height - edge - 2 * unit, mm * at.scale];
    this.pen.lineCap = "butt";
    for (const [colour, thick] of [["#000", 4.5], [INK, 2]]) {
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

  #text(text, x, y, align, baseline, weight, size) {
    this.pen.font = `${weight} ${size * this.ratio}px ${this.viewer.font}`;
    Object.assign(this.pen, { textAlign: align, textBaseline: baseline, lineJoin: "round", lineWidth: 3 * this.ratio });
    this.pen.strokeStyle = "rgba(0,0,0,.75)";
    this.pen.strokeText(text, x, y);
    this.pen.fillStyle = INK;
    this.pen.fillText(text, x, y);
  }

  /** Where an event lies, in pixels of the canvas. */
  pixel(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
  }

  /** Moves the cross-hair under an event. */
  point(event) {
    const at = this.layout();
    const [x, y] = this.pixel(event);
    const { volume, state } = this.viewer;
    this.viewer.moveTo(volume.position(this.plane, (y - at.y) / at.sy, (x - at.x) / at.sx, state.at));
  }

  /** Zooms so that what lies under a pixel of the canvas stays there. */
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

  /** Moves the picture by CSS pixels. */
  pan(dx, dy) {
    const { scale } = this.layout();
    this.shift[0] += (dx * this.ratio) / scale;
    this.shift[1] += (dy * this.ratio) / scale;
    this.viewer.refresh();
  }

  /** Moves the cross-hair by voxels. */
  nudge(rows, columns) {
    const { volume, state } = this.viewer;
    const [row, column] = volume.cell(this.plane, state.at);
    this.viewer.moveTo(volume.position(this.plane, row + rows, column + columns, state.at));
  }
}
