// Values as colours of vertices, in linear light with 16 bits: three.js shades in linear light.

/** @import { Channel, MeshData, Range, Rgb } from "./data.js" */

const STEPS = 1024;
const FULL = 65535;

/** @param {number} channel sRGB, 0 to 255 */
function linear(channel) {
  const c = channel / 255;
  return Math.round(FULL * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
}

/**
 * The colour at a position (0 to 1) between equidistant stops.
 * @param {Rgb[]} stops @param {number} position
 */
export function between(stops, position) {
  const at = Math.min(1, Math.max(0, position)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  return [0, 1, 2].map((k) => stops[low][k] + (stops[low + 1][k] - stops[low][k]) * (at - low));
}

/** @param {number[]} colour sRGB, 0 to 255 */
export function css(colour) {
  return `rgb(${colour.map(Math.round).join(",")})`;
}

/** A CSS gradient. @param {Rgb[]} stops @param {string} direction */
export function gradient(stops, direction) {
  return `linear-gradient(${direction},${stops.map(css).join(",")})`;
}

/**
 * Write the colours of a mesh into `target` (4 numbers per vertex).
 * @param {Uint16Array} target
 * @param {MeshData} mesh
 * @param {Channel | null} channel null, or one that the mesh does not have: the mesh's own colour
 * @param {Range} range of a scalar channel
 */
export function colourVertices(target, mesh, channel, range) {
  const own = mesh.colour.map(linear);
  const values = channel && mesh.channels[channel.name]?.values;
  if (!values) return fill(target, own);
  if (channel.kind === "categories") {
    const table = new Map(channel.entries.map((entry) => [entry.label, entry.colour.map(linear)]));
    for (let i = 0; i < values.length; i++) put(target, i, table.get(values[i]) ?? own);
    return target;
  }
  const [low, high] = range;
  const table = Array.from({ length: STEPS }, (_, k) => between(channel.colours, k / (STEPS - 1)).map(linear));
  const factor = (STEPS - 1) / (high - low);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const step = Math.min(STEPS - 1, Math.max(0, Math.round((value - low) * factor)));
    put(target, i, Number.isNaN(value) ? own : table[step]);
  }
  return target;
}

/** @param {Uint16Array} target @param {number[]} colour */
function fill(target, colour) {
  for (let i = 0; i < target.length / 4; i++) put(target, i, colour);
  return target;
}

/** @param {Uint16Array} target @param {number} i vertex @param {number[]} colour */
function put(target, i, colour) {
  target[4 * i] = colour[0];
  target[4 * i + 1] = colour[1];
  target[4 * i + 2] = colour[2];
  target[4 * i + 3] = FULL;
}
