// The voxels: fetched once, read through strides, never reordered or copied.
// Arrays are (z, y, x) in C order; positions are [z, y, x]; millimetres are LPS.

/**
 * Addresses of the files, as ui/viewers/slices.py gives them.
 * @typedef {{slices: string, scan: string, labels: string, subregions: string, t2: string}} Addresses
 */

/**
 * The document of the slices, as pipeline/report/view_slices.py writes it.
 * @typedef {{axis: number, turn: number}} Axis array axis; turn: 1, or -1 where it runs backwards on the screen
 * @typedef {"top" | "bottom" | "left" | "right"} Edge
 * @typedef {{name: string, normal: number, letters: Record<Edge, string>, words: Record<Edge, string>}} PlaneTitles
 * @typedef {PlaneTitles & {down: Axis, right: Axis}} PlaneMeta
 * @typedef {{label: number, key: string, title: string, colour: string, found?: boolean}} Entry a structure or sub-region; found: whether it has voxels
 * @typedef {{offset: number, step: number, window: [number, number]}} ScanMeta intensity = offset + step * code
 * @typedef {{title: string, unit: string, digits: number, step_ms: number, range_ms: [number, number], colours: number[][]}} T2Meta
 * @typedef {object} SlicesMeta
 * @property {number[]} shape
 * @property {number[]} spacing_mm
 * @property {number[][]} affine voxel (z, y, x) to LPS mm
 * @property {number[]} start position shown first
 * @property {string} side
 * @property {number} tilt_deg
 * @property {PlaneMeta[]} planes
 * @property {Entry[]} structures
 * @property {Entry[]} regions
 * @property {ScanMeta | null} scan
 * @property {T2Meta | null} t2
 */

/**
 * @typedef {Axis & {n: number, mm: number, stride: number, first: number}} Direction with voxels, spacing, array stride
 * @typedef {PlaneTitles & {down: Direction, right: Direction, n: number}} Plane n: slices
 * @typedef {{label: number, region: number, intensity: number | null, t2: number | null}} VoxelValue
 */

/** Fetch a file or throw a message for the user. @param {string} address */
async function fetched(address) {
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error("The server did not answer. Reload the page to try again.");
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Error([body.detail || `The server answered ${answer.status} for ${nameOf(address)}.`, body.hint].filter(Boolean).join(" "));
  }
  return answer;
}

/** @param {string} address */
const nameOf = (address) => address.slice(address.lastIndexOf("/") + 1);

export class Volume {
  /** @param {Addresses} addresses @param {SlicesMeta} meta */
  constructor(addresses, meta) {
    this.addresses = addresses;
    this.meta = meta;
    this.shape = meta.shape;
    const [, ny, nx] = meta.shape;
    this.strides = [ny * nx, nx, 1];
    this.size = meta.shape[0] * ny * nx;
    this.whole = meta.shape.map((n) => /** @type {[number, number]} */ ([0, n - 1])); // box of all voxels
    this.planes = meta.planes.map((plane) => this.#geometry(plane));
    /** @type {Uint8Array | null} */
    this.scan = null;
    this.labels = new Uint8Array(0);
    /** @type {Uint8Array | null} */
    this.subregions = null;
    /** @type {Uint16Array | null} */
    this.t2 = null;
    /** @type {Map<"subregions" | "t2", Promise<void>>} */
    this.later = new Map();
  }

  /** Scan and labels, which the first picture needs. @param {Addresses} addresses */
  static async load(addresses) {
    const early = { labels: fetched(addresses.labels), scan: fetched(addresses.scan) };
    early.labels.catch(() => {});
    early.scan.catch(() => {}); // a label map without a scan, as stated in the document
    const volume = new Volume(addresses, await (await fetched(addresses.slices)).json());
    const scan = volume.meta.scan ? volume.#bytes(addresses.scan, early.scan) : null;
    volume.labels = await volume.#bytes(addresses.labels, early.labels);
    volume.scan = await scan;
    return volume;
  }

  /** Fetch an array at the first call. @param {"subregions" | "t2"} name */
  need(name) {
    let loading = this.later.get(name);
    if (!loading) {
      const bytes = this.#bytes(this.addresses[name], fetched(this.addresses[name]), name === "t2" ? 2 : 1);
      loading = bytes.then((found) => {
        if (name === "t2") this.t2 = new Uint16Array(found.buffer);
        else this.subregions = found;
      });
      this.later.set(name, loading);
    }
    return loading;
  }

  /** @param {string} address @param {Promise<Response>} answer @param {number} width bytes per voxel */
  async #bytes(address, answer, width = 1) {
    const bytes = new Uint8Array(await (await answer).arrayBuffer());
    if (bytes.length !== this.size * width) {
      throw new Error(`${nameOf(address)} holds ${bytes.length} bytes, expected ${this.size * width}. Run the analysis again.`);
    }
    return bytes;
  }

  /** @param {PlaneMeta} plane @returns {Plane} */
  #geometry(plane) {
    /** @param {Axis} axis @returns {Direction} */
    const along = ({ axis, turn }) => ({
      axis, turn,
      n: this.shape[axis],
      mm: this.meta.spacing_mm[axis],
      stride: this.strides[axis] * turn,
      first: turn < 0 ? (this.shape[axis] - 1) * this.strides[axis] : 0,
    });
    return { ...plane, down: along(plane.down), right: along(plane.right), n: this.shape[plane.normal] };
  }

  /**
   * Call `use` for every voxel of a slice, row by row.
   * @param {Plane} plane @param {number} slice
   * @param {(index: number, voxel: number) => void} use index in the picture, offset in the array
   */
  walk({ normal, down, right }, slice, use) {
    let row = slice * this.strides[normal] + down.first + right.first;
    let at = 0;
    for (let r = 0; r < down.n; r += 1, row += down.stride) {
      for (let c = 0, voxel = row; c < right.n; c += 1, voxel += right.stride) use(at++, voxel);
    }
  }

  /**
   * The part of a slice inside a box of voxels, copied to its picture, and what lies outside left as it is.
   * @param {Plane} plane @param {number} slice @param {Uint8Array} array @param {Uint8Array} picture
   * @param {[number, number][]} box first and last voxel along z, y, x
   */
  copy({ normal, down, right }, slice, array, picture, box) {
    /** @param {Direction} along */
    const cells = ({ axis, turn, n }) => (turn > 0 ? box[axis] : [n - 1 - box[axis][1], n - 1 - box[axis][0]]);
    const [[r0, r1], [c0, c1]] = [cells(down), cells(right)];
    const start = slice * this.strides[normal] + down.first + right.first;
    for (let r = r0; r <= r1; r += 1) {
      let voxel = start + r * down.stride + c0 * right.stride;
      for (let at = r * right.n + c0; at <= r * right.n + c1; at += 1, voxel += right.stride) picture[at] = array[voxel];
    }
  }

  /** [row, column] of a position in a plane's picture. @param {Plane} plane @param {number[]} at */
  cell({ down, right }, at) {
    return [down, right].map(({ axis, turn, n }) => (turn > 0 ? at[axis] : n - 1 - at[axis]));
  }

  /**
   * The position at a row and column of the slice through `at`.
   * @param {Plane} plane @param {number} row @param {number} column fractions allowed @param {number[]} at
   */
  position({ down, right }, row, column, at) {
    const moved = [...at];
    /** @type {[Direction, number][]} */
    const both = [[down, row], [right, column]];
    for (const [{ axis, turn, n }, value] of both) {
      const k = Math.min(Math.max(Math.floor(value), 0), n - 1);
      moved[axis] = turn > 0 ? k : n - 1 - k;
    }
    return moved;
  }

  /** @param {number[]} at */
  offset(at) {
    return at[0] * this.strides[0] + at[1] * this.strides[1] + at[2];
  }

  /** @param {number[]} at */
  millimetres(at) {
    return this.meta.affine.slice(0, 3).map((row) => row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
  }

  /** All values of one voxel. @param {number[]} at @returns {VoxelValue} */
  value(at) {
    const k = this.offset(at);
    const { scan, t2 } = this.meta;
    return {
      label: this.labels[k],
      region: this.subregions ? this.subregions[k] : 0,
      intensity: this.scan && scan ? scan.offset + scan.step * this.scan[k] : null,
      t2: this.t2?.[k] && t2 ? t2.step_ms * this.t2[k] : null,
    };
  }
}
