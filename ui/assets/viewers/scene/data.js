// Decodes scene.bin; pipeline/report/scene.py documents the format.
// Positions come out in the knee's axes (x to the patient's left, y superior, z anterior), in mm.

/**
 * @typedef {[number, number]} Range low and high end of a colour scale
 * @typedef {[number, number, number]} Rgb sRGB, 0 to 255
 * @typedef {Float32Array | Uint8Array} Values one per vertex: numbers (NaN: none) or labels
 * @typedef {{name: string, title: string, missing: string}} ChannelTitles missing: title of vertices without a value
 * @typedef {ChannelTitles & {kind: "scalar", unit: string, decimals: number, range: Range, colours: Rgb[], note: string, usable: boolean, steps?: string}} ScalarChannel
 *   note: shown in the legend; usable: false for values that must not be used; steps: channels with the same text are one
 *   choice of this title, through which the viewer steps
 * @typedef {{label: number, title: string, colour: Rgb}} Category
 * @typedef {ChannelTitles & {kind: "categories", entries: Category[], divides: boolean}} CategoryChannel
 *   divides: its labels are regions of the plate
 * @typedef {ScalarChannel | CategoryChannel} Channel
 * @typedef {{title: string, towards: number[]}} View a direction towards the viewer
 * @typedef {{id: string, title: string, hint: string, anatomical: boolean, placed: Record<string, number[]>}} Layout
 *   placed: mesh key -> 4 x 4 matrix, row by row, mm
 * @typedef {{at: number, offset: number, scale: number, values: Values}} StoredChannel
 * @typedef {{matrix: number[], radius: number | null, upwards: [string, string]}} Flat how a plate is unrolled:
 *   4 x 4, row by row, from the positions to (across, up, out) in mm; radius of the cylinder; both ends of `up`
 * @typedef {object} MeshData
 * @property {string} key
 * @property {string} title
 * @property {string} group
 * @property {Rgb} colour
 * @property {number} opacity
 * @property {boolean} shown
 * @property {number} vertices
 * @property {number} triangles
 * @property {number[]} origin
 * @property {number[]} basis
 * @property {number} positions byte at which the positions start
 * @property {number} indices byte at which the triangles start
 * @property {Record<string, StoredChannel>} channels
 * @property {Flat} [flat]
 * @property {Float32Array} points (3 n), mm
 * @property {Float32Array} normals (3 n), unit vectors
 * @property {Uint32Array} faces (3 m), vertex numbers
 * @typedef {{side: string, axes: number[][], views: View[], layouts: Layout[], channels: Channel[], meshes: MeshData[]}}
 *   SceneData
 */

const NONE = 65535;

/**
 * @param {ArrayBuffer} buffer
 * @returns {SceneData} the header; its meshes with points, normals, faces and channel values filled in
 */
export function decodeScene(buffer) {
  const bytes = new Uint8Array(buffer);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "OKS1") throw new Error("the file is not a scene of this version");
  const length = new DataView(buffer).getUint32(4, true);
  /** @type {SceneData} */
  const scene = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const body = bytes.subarray(8 + length);
  const kinds = Object.fromEntries(scene.channels.map((channel) => [channel.name, channel.kind]));
  for (const mesh of scene.meshes) {
    mesh.points = positions(body, mesh, scene.axes);
    mesh.faces = indices(body, mesh);
    mesh.normals = smoothNormals(mesh.points, mesh.faces);
    for (const [name, channel] of Object.entries(mesh.channels)) {
      channel.values =
        kinds[name] === "scalar"
          ? numbers(body, channel, mesh.vertices)
          : body.slice(channel.at, channel.at + mesh.vertices);
    }
  }
  return scene;
}

/** @param {Uint8Array} body @param {MeshData} mesh @param {number[][]} axes */
function positions(body, mesh, axes) {
  const { vertices: n, basis, origin } = mesh;
  const turned = new Float64Array(9);
  const shift = new Float64Array(3);
  for (let row = 0; row < 3; row++) {
    for (let k = 0; k < 3; k++) {
      shift[row] += axes[row][k] * origin[k];
      for (let column = 0; column < 3; column++) turned[3 * row + column] += axes[row][k] * basis[3 * k + column];
    }
  }
  const points = new Float32Array(3 * n);
  const last = [0, 0, 0];
  /** @param {number} axis */
  const column = (axis) => mesh.positions + 2 * axis * n;
  const [x, y, z] = [column(0), column(1), column(2)];
  for (let i = 0; i < n; i++) {
    last[0] = (last[0] + difference(body[x + i], body[x + n + i])) & NONE;
    last[1] = (last[1] + difference(body[y + i], body[y + n + i])) & NONE;
    last[2] = (last[2] + difference(body[z + i], body[z + n + i])) & NONE;
    for (let row = 0; row < 3; row++) {
      points[3 * i + row] =
        shift[row] + turned[3 * row] * last[0] + turned[3 * row + 1] * last[1] + turned[3 * row + 2] * last[2];
    }
  }
  return points;
}

/** Zig-zag decoding. @param {number} low byte @param {number} high byte */
function difference(low, high) {
  const code = low | (high << 8);
  return (code >>> 1) ^ -(code & 1);
}

/** @param {Uint8Array} body @param {MeshData} mesh */
function indices(body, mesh) {
  const count = 3 * mesh.triangles;
  const faces = new Uint32Array(count);
  const low = mesh.indices;
  const middle = low + count;
  const high = middle + count;
  let next = 0;
  for (let i = 0; i < count; i++) {
    const index = next - (body[low + i] | (body[middle + i] << 8) | (body[high + i] << 16));
    faces[i] = index;
    if (index === next) next++;
  }
  return faces;
}

/** @param {Uint8Array} body @param {StoredChannel} channel @param {number} n */
function numbers(body, channel, n) {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const number = body[channel.at + i] | (body[channel.at + n + i] << 8);
    values[i] = number === NONE ? NaN : channel.offset + channel.scale * number;
  }
  return values;
}

/**
 * Normals of the triangles, averaged at each vertex and twice more over its neighbours: hides the steps of voxels.
 * @param {Float32Array} points @param {Uint32Array} faces
 */
function smoothNormals(points, faces) {
  let normals = new Float32Array(points.length);
  for (let f = 0; f < faces.length; f += 3) {
    const a = 3 * faces[f];
    const b = 3 * faces[f + 1];
    const c = 3 * faces[f + 2];
    const ux = points[b] - points[a];
    const uy = points[b + 1] - points[a + 1];
    const uz = points[b + 2] - points[a + 2];
    const vx = points[c] - points[a];
    const vy = points[c + 1] - points[a + 1];
    const vz = points[c + 2] - points[a + 2];
    addToCorners(normals, a, b, c, uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx);
  }
  toUnit(normals);
  for (let pass = 0; pass < 2; pass++) {
    const around = new Float32Array(points.length);
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f];
      const b = 3 * faces[f + 1];
      const c = 3 * faces[f + 2];
      addToCorners(
        around,
        a,
        b,
        c,
        normals[a] + normals[b] + normals[c],
        normals[a + 1] + normals[b + 1] + normals[c + 1],
        normals[a + 2] + normals[b + 2] + normals[c + 2],
      );
    }
    normals = toUnit(around);
  }
  return normals;
}

/**
 * @param {Float32Array} sum
 * @param {number} a @param {number} b @param {number} c first index of each corner
 * @param {number} x @param {number} y @param {number} z
 */
function addToCorners(sum, a, b, c, x, y, z) {
  sum[a] += x;
  sum[a + 1] += y;
  sum[a + 2] += z;
  sum[b] += x;
  sum[b + 1] += y;
  sum[b + 2] += z;
  sum[c] += x;
  sum[c + 1] += y;
  sum[c + 2] += z;
}

/** Normalise in place. @param {Float32Array<ArrayBuffer>} vectors */
function toUnit(vectors) {
  for (let i = 0; i < vectors.length; i += 3) {
    const length = Math.sqrt(vectors[i] ** 2 + vectors[i + 1] ** 2 + vectors[i + 2] ** 2) || 1;
    vectors[i] /= length;
    vectors[i + 1] /= length;
    vectors[i + 2] /= length;
  }
  return vectors;
}
