// scene.bin as the page uses it: the format stands in pipeline/report/scene.py.
// Positions come out in the knee's axes (x to the patient's left, y superior, z anterior), millimetres.

const NONE = 65535;

/** @param {ArrayBuffer} buffer @returns the header, its meshes with positions, indices and channel values filled in */
export function decodeScene(buffer) {
  const bytes = new Uint8Array(buffer);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "OKS1") throw new Error("this is no scene of this version");
  const length = new DataView(buffer).getUint32(4, true);
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

function difference(low, high) {
  const code = low | (high << 8);
  return (code >>> 1) ^ -(code & 1);
}

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

function numbers(body, channel, n) {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const number = body[channel.at + i] | (body[channel.at + n + i] << 8);
    values[i] = number === NONE ? NaN : channel.offset + channel.scale * number;
  }
  return values;
}

/** Normals of the triangles, averaged over each vertex and twice more over its neighbours: voxels leave no steps. */
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

function toUnit(vectors) {
  for (let i = 0; i < vectors.length; i += 3) {
    const length = Math.sqrt(vectors[i] ** 2 + vectors[i + 1] ** 2 + vectors[i + 2] ** 2) || 1;
    vectors[i] /= length;
    vectors[i + 1] /= length;
    vectors[i + 2] /= length;
  }
  return vectors;
}
