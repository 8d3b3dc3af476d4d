// Numbers and labels as colours, one a vertex. Linear light in 16 bits: three.js shades in linear light.

const STEPS = 1024;
const FULL = 65535;

function linear(channel) {
  const c = channel / 255;
  return Math.round(FULL * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
}

/** The colour (sRGB, 0 to 255) at a position of 0 to 1 between equidistant stops. */
export function between(stops, position) {
  const at = Math.min(1, Math.max(0, position)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  return [0, 1, 2].map((k) => stops[low][k] + (stops[low + 1][k] - stops[low][k]) * (at - low));
}

export function css(colour) {
  return `rgb(${colour.map(Math.round).join(",")})`;
}

/** A CSS gradient of the stops. */
export function gradient(stops, direction) {
  return `linear-gradient(${direction},${stops.map(css).join(",")})`;
}

/** Fill `target` (4 numbers a vertex) with the colours of a mesh by one channel; null or a missing one: its own. */
export function paint(target, mesh, scale, range) {
  const own = mesh.colour.map(linear);
  const values = scale && mesh.channels[scale.name]?.values;
  if (!values) return fill(target, own);
  if (scale.kind === "categories") {
    const table = new Map(scale.entries.map((entry) => [entry.label, entry.colour.map(linear)]));
    for (let i = 0; i < values.length; i++) put(target, i, table.get(values[i]) ?? own);
    return target;
  }
  const [low, high] = range;
  const table = Array.from({ length: STEPS }, (_, k) => between(scale.colours, k / (STEPS - 1)).map(linear));
  const factor = (STEPS - 1) / (high - low);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const step = Math.min(STEPS - 1, Math.max(0, Math.round((value - low) * factor)));
    put(target, i, value === value ? table[step] : own); // NaN is the one number that is not itself
  }
  return target;
}

function fill(target, colour) {
  for (let i = 0; i < target.length / 4; i++) put(target, i, colour);
  return target;
}

function put(target, i, colour) {
  target[4 * i] = colour[0];
  target[4 * i + 1] = colour[1];
  target[4 * i + 2] = colour[2];
  target[4 * i + 3] = FULL;
}
