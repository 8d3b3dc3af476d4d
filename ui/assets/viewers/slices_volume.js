// The voxels: fetched once, read through strides, never turned or copied.
// Arrays are (z, y, x) in C order; positions are [z, y, x]; millimetres are LPS.

async function fetched(base, name) {
  let answer;
  try {
    answer = await fetch(`${base}/${name}`);
  } catch {
    throw new Error("The server did not answer. Reload the page to try again.");
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Error([body.detail || `The server answered ${answer.status} for ${name}.`, body.hint].filter(Boolean).join(" "));
  }
  return answer;
}

export class Volume {
  constructor(base, meta) {
    this.base = base;
    this.meta = meta;
    this.shape = meta.shape;
    const [, ny, nx] = meta.shape;
    this.strides = [ny * nx, nx, 1];
    this.size = meta.shape[0] * ny * nx;
    this.planes = meta.planes.map((plane) => this.#geometry(plane));
    this.scan = this.labels = this.subregions = this.t2 = null;
    this.later = new Map();
  }

  /** Scan and labels: what the first picture needs. */
  static async load(base) {
    const early = { labels: fetched(base, "labels.bin"), scan: fetched(base, "scan.bin") };
    early.labels.catch(() => {});
    early.scan.catch(() => {}); // there is none where a label map was measured alone: the document says so
    const volume = new Volume(base, await (await fetched(base, "slices.json")).json());
    const scan = volume.meta.scan ? volume.#bytes("scan.bin", early.scan) : null;
    volume.labels = await volume.#bytes("labels.bin", early.labels);
    volume.scan = await scan;
    return volume;
  }

  /** "subregions" or "t2", fetched at the first call. */
  need(name) {
    if (!this.later.has(name)) {
      const bytes = this.#bytes(`${name}.bin`, fetched(this.base, `${name}.bin`), name === "t2" ? 2 : 1);
      this.later.set(name, bytes.then((found) => {
        this[name] = name === "t2" ? new Uint16Array(found.buffer) : found;
      }));
    }
    return this.later.get(name);
  }

  async #bytes(name, answer, width = 1) {
    const bytes = new Uint8Array(await (await answer).arrayBuffer());
    if (bytes.length !== this.size * width) {
      throw new Error(`${name} holds ${bytes.length} bytes, expected ${this.size * width}. Run the analysis again.`);
    }
    return bytes;
  }

  #geometry(plane) {
    const along = ({ axis, turn }) => ({
      axis, turn,
      n: this.shape[axis],
      mm: this.meta.spacing_mm[axis],
      stride: this.strides[axis] * turn,
      first: turn < 0 ? (this.shape[axis] - 1) * this.strides[axis] : 0,
    });
    return { ...plane, down: along(plane.down), right: along(plane.right), n: this.shape[plane.normal] };
  }

  /** Calls use(picture index, voxel offset) for every voxel of a slice, row by row. */
  walk({ normal, down, right }, slice, use) {
    let row = slice * this.strides[normal] + down.first + right.first;
    let at = 0;
    for (let r = 0; r < down.n; r += 1, row += down.stride) {
      for (let c = 0, voxel = row; c < right.n; c += 1, voxel += right.stride) use(at++, voxel);
    }
  }

  /** [row, column] of a position in a plane's picture. */
  cell({ down, right }, at) {
    return [down, right].map(({ axis, turn, n }) => (turn > 0 ? at[axis] : n - 1 - at[axis]));
  }

  /** The position under a row and column (fractions allowed) of the slice that goes through `at`. */
  position({ down, right }, row, column, at) {
    const moved = [...at];
    for (const [{ axis, turn, n }, value] of [[down, row], [right, column]]) {
      const k = Math.min(Math.max(Math.floor(value), 0), n - 1);
      moved[axis] = turn > 0 ? k : n - 1 - k;
    }
    return moved;
  }

  offset(at) {
    return at[0] * this.strides[0] + at[1] * this.strides[1] + at[2];
  }

  millimetres(at) {
    return this.meta.affine.slice(0, 3).map((row) => row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
  }

  /** All that is known about one voxel. */
  value(at) {
    const k = this.offset(at);
    const { scan, t2 } = this.meta;
    return {
      label: this.labels[k],
      region: this.subregions ? this.subregions[k] : 0,
      intensity: this.scan ? scan.offset + scan.step * this.scan[k] : null,
      t2: this.t2 && this.t2[k] ? t2.step_ms * this.t2[k] : null,
    };
  }
}
