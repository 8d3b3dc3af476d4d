// A cartilage plate unrolled into a plane, as a table of pixels: which triangle each shows, and where in it.
import { between } from "./colours.js";

/** @import { Channel, MeshData, Range, Values } from "./data.js" */
/** @import { Hit } from "./ray_grid.js" */

/** @typedef {{labels: Values, width: number}} Borders of the regions of a scheme; width in pixels */

const PIXELS_PER_MM = 5;
const MARGIN_MM = 1;
const BRIGHT = 150; // mean of red, green and blue from which lines are dark
const LINES = [[255, 255, 255], [24, 28, 32]];

export class FlatMap {
  /** @param {MeshData} mesh @param {(vertex: number) => boolean} inPlate */
  constructor(mesh, inPlate) {
    this.mesh = mesh;
    this.faces = plateFaces(mesh.faces, inPlate);
    this.places = this.#unrolled();
    const [low, high] = extent(this.places, this.faces);
    this.low = low.map((value) => value - MARGIN_MM);
    this.size = high.map((value, k) => value + MARGIN_MM - this.low[k]); // mm
    this.width = Math.ceil(this.size[0] * PIXELS_PER_MM);
    this.height = Math.ceil(this.size[1] * PIXELS_PER_MM);
    this.owner = new Int32Array(this.width * this.height).fill(-1); // first index of the triangle in `faces`
    this.shares = new Float32Array(2 * this.owner.length); // of its second and third corner
    for (let f = 0; f < this.faces.length; f += 3) this.#draw(f);
  }

  /** Whether there is anything to show. */
  get empty() {
    return !this.faces.length;
  }

  /** (2 n): across and up of each vertex, mm; along the surface of the cylinder where there is one. */
  #unrolled() {
    const { points, flat } = this.mesh;
    const places = new Float32Array((2 * points.length) / 3);
    if (!flat) return places;
    const [m, { radius }] = [flat.matrix, flat];
    for (const vertex of new Set(this.faces)) {
      const [x, y, z] = points.subarray(3 * vertex, 3 * vertex + 3);
      const up = m[4] * x + m[5] * y + m[6] * z + m[7];
      places[2 * vertex] = m[0] * x + m[1] * y + m[2] * z + m[3];
      places[2 * vertex + 1] = radius === null ? up : radius * Math.atan2(up, m[8] * x + m[9] * y + m[10] * z + m[11]);
    }
    return places;
  }

  /** Column and row of a place, in pixels. @param {number} across @param {number} up mm */
  #pixel(across, up) {
    return [(across - this.low[0]) * PIXELS_PER_MM, (this.low[1] + this.size[1] - up) * PIXELS_PER_MM];
  }

  /** Enter a triangle into the table. @param {number} f */
  #draw(f) {
    const [[ax, ay], [bx, by], [cx, cy]] = [0, 1, 2].map((k) => {
      const vertex = this.faces[f + k];
      return this.#pixel(this.places[2 * vertex], this.places[2 * vertex + 1]);
    });
    const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
    const tall = Math.max(ay, by, cy) - Math.min(ay, by, cy);
    if (!area || tall > this.height / 2) return; // the latter: across the seam of the cylinder
    const [left, right] = [Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 0.5)), Math.min(this.width - 1, Math.floor(Math.max(ax, bx, cx) - 0.5))];
    const [top, bottom] = [Math.max(0, Math.ceil(Math.min(ay, by, cy) - 0.5)), Math.min(this.height - 1, Math.floor(Math.max(ay, by, cy) - 0.5))];
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const [x, y] = [column + 0.5 - ax, row + 0.5 - ay];
        const second = (x * (cy - ay) - (cx - ax) * y) / area;
        const third = ((bx - ax) * y - x * (by - ay)) / area;
        if (second < 0 || third < 0 || second + third > 1) continue;
        const pixel = row * this.width + column;
        this.owner[pixel] = f;
        this.shares[2 * pixel] = second;
        this.shares[2 * pixel + 1] = third;
      }
    }
  }

  /** What a pixel shows. @param {number} pixel @returns {Hit | null} */
  #hit(pixel) {
    const f = this.owner[pixel] ?? -1;
    if (f < 0) return null;
    const [second, third] = [this.shares[2 * pixel], this.shares[2 * pixel + 1]];
    return { distance: 0, corners: [...this.faces.subarray(f, f + 3)], weights: [1 - second - third, second, third] };
  }

  /** What lies at a point of the map. @param {number} x @param {number} y 0 to 1, from the left and from the top */
  at(x, y) {
    const [column, row] = [Math.floor(x * this.width), Math.floor(y * this.height)];
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    return this.#hit(row * this.width + column);
  }

  /**
   * Where a point of the bone lies in the map, 0 to 1 from the left and from the top; null outside the plate.
   * @param {Hit} hit @param {(vertex: number) => boolean} inPlate
   */
  placeOf(hit, inPlate) {
    if (!hit.corners.every(inPlate)) return null;
    const [across, up] = this.coordinates(hit);
    const [column, row] = this.#pixel(across, up);
    return [column / this.width, row / this.height];
  }

  /** Across and up of a point of the plate, mm. @param {Hit} hit */
  coordinates(hit) {
    return [0, 1].map((k) => hit.corners.reduce((sum, vertex, c) => sum + hit.weights[c] * this.places[2 * vertex + k], 0));
  }

  /**
   * Draw the map.
   * @param {CanvasRenderingContext2D} context of a canvas with `width` and `height`
   * @param {Channel | null} channel null, or one that the mesh does not have: the mesh's own colour
   * @param {Range} range of a scalar channel @param {Borders[]} borders
   */
  paint(context, channel, range, borders) {
    const picture = context.createImageData(this.width, this.height);
    const colour = colourOf(this.mesh, channel, range);
    for (let pixel = 0; pixel < this.owner.length; pixel++) {
      const f = this.owner[pixel];
      if (f < 0) continue;
      const [second, third] = [this.shares[2 * pixel], this.shares[2 * pixel + 1]];
      const [a, b, c] = [this.faces[f], this.faces[f + 1], this.faces[f + 2]];
      const rgb = colour(a, b, c, second, third);
      picture.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * pixel);
    }
    const plain = picture.data.slice();
    for (const { labels, width } of borders) {
      for (const pixel of this.#outline(labels, width)) {
        const bright = (plain[4 * pixel] + plain[4 * pixel + 1] + plain[4 * pixel + 2]) / 3 > BRIGHT;
        picture.data.set(LINES[bright ? 1 : 0], 4 * pixel);
      }
    }
    context.putImageData(picture, 0, 0);
  }

  /** The pixels of the borders between regions. @param {Values} labels @param {number} width of the lines */
  #outline(labels, width) {
    const seen = new Int16Array(this.owner.length).fill(-1);
    for (let pixel = 0; pixel < seen.length; pixel++) {
      const f = this.owner[pixel];
      if (f < 0) continue;
      const [second, third] = [this.shares[2 * pixel], this.shares[2 * pixel + 1]];
      const first = 1 - second - third;
      const corner = first >= second && first >= third ? 0 : second >= third ? 1 : 2;
      seen[pixel] = labels[this.faces[f + corner]];
    }
    /** @type {number[]} */
    const found = [];
    for (let pixel = 0; pixel < seen.length; pixel++) {
      if (seen[pixel] < 1) continue;
      for (let k = 1; k <= width; k++) {
        const others = [seen[pixel + k] ?? -1, seen[pixel + k * this.width] ?? -1];
        if (others.some((other) => other > 0 && other !== seen[pixel])) found.push(pixel);
      }
    }
    return found;
  }
}

/** The triangles with all corners in the plate. @param {Uint32Array} faces @param {(vertex: number) => boolean} inPlate */
function plateFaces(faces, inPlate) {
  /** @type {number[]} */
  const kept = [];
  for (let f = 0; f < faces.length; f += 3) {
    if (inPlate(faces[f]) && inPlate(faces[f + 1]) && inPlate(faces[f + 2])) kept.push(faces[f], faces[f + 1], faces[f + 2]);
  }
  return Uint32Array.from(kept);
}

/** Lowest and highest place. @param {Float32Array} places @param {Uint32Array} vertices */
function extent(places, vertices) {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  for (const vertex of vertices) {
    for (let k = 0; k < 2; k++) {
      low[k] = Math.min(low[k], places[2 * vertex + k]);
      high[k] = Math.max(high[k], places[2 * vertex + k]);
    }
  }
  return vertices.length ? [low, high] : [[0, 0], [0, 0]];
}

/**
 * The colour at a point of a triangle from its corners and the shares of the second and the third.
 * @param {MeshData} mesh @param {Channel | null} channel @param {Range} range
 * @returns {(a: number, b: number, c: number, second: number, third: number) => number[]} sRGB
 */
function colourOf(mesh, channel, range) {
  const values = channel && mesh.channels[channel.name]?.values;
  if (!channel || !values) return () => mesh.colour;
  if (channel.kind === "categories") {
    const table = new Map(channel.entries.map((entry) => [entry.label, entry.colour]));
    return (a, b, c, second, third) => {
      const first = 1 - second - third;
      const corner = first >= second && first >= third ? a : second >= third ? b : c;
      return table.get(values[corner]) ?? mesh.colour;
    };
  }
  const steps = 255;
  const table = Array.from({ length: steps + 1 }, (_, k) => between(channel.colours, k / steps));
  const [low, high] = range;
  return (a, b, c, second, third) => {
    const value = values[a] + second * (values[b] - values[a]) + third * (values[c] - values[a]);
    if (!Number.isFinite(value)) return mesh.colour;
    return table[Math.min(steps, Math.max(0, Math.round(((value - low) / (high - low)) * steps)))];
  };
}
