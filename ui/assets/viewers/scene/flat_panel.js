// The flat maps below the picture, linked to it: a point of a map is marked on the bone, and a point of the bone in its map.
import { element } from "./element.js";
import { FlatMap } from "./flat_map.js";
import { tipLines } from "./hover.js";

/** @import { Colouring } from "./colouring.js" */
/** @import { Channel, MeshData, SceneData } from "./data.js" */
/** @import { Hover } from "./hover.js" */
/** @import { Hit } from "./ray_grid.js" */
/** @import { Stage } from "./stage.js" */

/**
 * A map and its elements.
 * @typedef {object} Sheet
 * @property {FlatMap} map
 * @property {(vertex: number) => boolean} inPlate
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLElement} dot
 */

const LINES_PX = [3, 2]; // borders of regions, of subregions
const HELP =
  "Every plate unrolled in the frame of the reference knee, medial on the right. Point at a map or at a bone: the place is " +
  "marked in both. Click a map to turn the bone to it.";

/** Whether its labels are regions of the plate. @param {Channel} channel */
const divides = (channel) => channel.kind === "categories" && channel.divides;

export class FlatPanel {
  /**
   * @param {SceneData} scene
   * @param {{stage: Stage, hover: Hover, colouring: Colouring, turnTo: (direction: number[]) => void}} viewer
   *   turnTo: looks from a direction in the knee's axes
   */
  constructor(scene, { stage, hover, colouring, turnTo }) {
    this.scene = scene;
    this.stage = stage;
    this.hover = hover;
    this.colouring = colouring;
    this.turnTo = turnTo;
    /** @type {Map<string, Sheet>} */
    this.sheets = new Map();
    /** @type {{mesh: MeshData, hit: Hit} | null} */
    this.marked = null; // on the bone
    this.mark = element("i", { class: "mark", hidden: true, "aria-hidden": "true" });
    this.tip = element("div", { class: "reading", hidden: true });
    this.row = element("div", { class: "sheets" });
    this.root = element("section", { class: "flat", hidden: true, "aria-label": "Flat maps" });
  }

  /** Build one map per task, so that no task is long. @param {AbortSignal} signal */
  prepare(signal) {
    const scheme = this.scene.channels.find(divides);
    const waiting = this.scene.meshes.filter((mesh) => mesh.flat && scheme && mesh.channels[scheme.name]);
    if (!scheme || !waiting.length) return;
    this.root.append(element("p", { class: "help" }, element("strong", {}, "Flat maps"), ` ${HELP}`), this.row, this.tip);
    const next = () => {
      const mesh = waiting.shift();
      if (signal.aborted || !mesh) return;
      const labels = mesh.channels[scheme.name].values;
      this.#add(mesh, (vertex) => labels[vertex] > 0, signal);
      setTimeout(next);
    };
    setTimeout(next, 60);
  }

  /** @param {MeshData} mesh @param {(vertex: number) => boolean} inPlate @param {AbortSignal} signal */
  #add(mesh, inPlate, signal) {
    const map = new FlatMap(mesh, inPlate);
    if (map.empty || !mesh.flat) return;
    const canvas = element("canvas", { width: map.width, height: map.height, role: "img", "data-bone": mesh.key });
    const dot = element("i", { class: "dot", hidden: true, "aria-hidden": "true" });
    const [up, down] = mesh.flat.upwards.map((word) => word[0].toUpperCase());
    const letters = [["up", up], ["down", down], ["left", "L"], ["right", "M"]];
    const sheet = element(
      "div",
      { class: "sheet", style: `--wide: ${map.size[0]}; --high: ${map.size[1]}` },
      canvas,
      dot,
      ...letters.map(([place, letter]) => element("span", { class: place, "aria-hidden": "true" }, letter)),
    );
    this.row.append(element("figure", {}, sheet, element("figcaption", {}, mesh.title)));
    this.sheets.set(mesh.key, { map, inPlate, canvas, dot });
    this.root.hidden = false;
    this.#paint(mesh.key);
    canvas.addEventListener("pointermove", (event) => this.#follow(mesh, event), { signal });
    canvas.addEventListener("pointerleave", () => this.hide(), { signal });
    canvas.addEventListener("click", (event) => this.#turn(mesh, event), { signal });
  }

  /** Draw all maps in the colours of the surfaces. */
  paint() {
    for (const key of this.sheets.keys()) this.#paint(key);
  }

  /** @param {string} key */
  #paint(key) {
    const sheet = this.sheets.get(key);
    const context = sheet?.canvas.getContext("2d");
    if (!sheet || !context) return;
    const { channel, range } = this.colouring;
    const schemes = this.scene.channels.filter(divides);
    const borders = schemes.map(({ name }, k) => ({ labels: sheet.map.mesh.channels[name].values, width: LINES_PX[k] ?? 1 }));
    sheet.map.paint(context, channel, range, borders.reverse());
    const title = channel ? `coloured by ${channel.title}` : "without colours";
    sheet.canvas.setAttribute("aria-label", `Flat map of the ${sheet.map.mesh.title.toLowerCase()}, ${title}`);
  }

  /** @param {MeshData} mesh @param {PointerEvent | MouseEvent} event @returns {Hit | null | undefined} */
  #hit(mesh, event) {
    const sheet = this.sheets.get(mesh.key);
    if (!sheet) return null;
    const box = sheet.canvas.getBoundingClientRect();
    return sheet.map.at((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  /** Show the value under the pointer, and mark its place on the bone. @param {MeshData} mesh @param {PointerEvent} event */
  #follow(mesh, event) {
    const hit = this.#hit(mesh, event);
    const sheet = this.sheets.get(mesh.key);
    if (!hit || !sheet) {
      this.hide();
      return;
    }
    const reading = this.hover.describe(mesh, hit);
    this.tip.replaceChildren(...tipLines(reading), element("p", { class: "where" }, positionOf(sheet.map, hit)));
    this.#showTip(event);
    this.marked = { mesh, hit };
    this.place();
    Object.assign(this.root.dataset, { structure: reading.structure, value: reading.value });
  }

  /** Beside the pointer; below or above it where there is no room. @param {PointerEvent} event */
  #showTip(event) {
    const box = this.root.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const [right, left] = [x + 18 + width <= box.width, x - 14 >= width];
    const at = right ? x + 18 : left ? x - width - 14 : Math.max(0, Math.min(x - width / 2, box.width - width));
    const below = y + 24 + height <= box.height ? y + 24 : y - height - 18;
    const top = right || left ? Math.max(0, Math.min(y - height / 2, box.height - height)) : below;
    this.tip.style.transform = `translate(${Math.round(at)}px, ${Math.round(top)}px)`;
    this.tip.hidden = false;
  }

  /** @param {MeshData} mesh @param {MouseEvent} event */
  #turn(mesh, event) {
    const [hit, part] = [this.#hit(mesh, event), this.stage.parts.get(mesh.key)];
    if (!hit || !part) return;
    const normal = pointOf(mesh.normals, hit);
    this.turnTo(this.stage.camera.target.clone().set(normal[0], normal[1], normal[2]).applyQuaternion(part.group.quaternion).toArray());
  }

  hide() {
    this.tip.hidden = true;
    this.marked = null;
    this.place();
  }

  /** Put the mark where its point is drawn now; after each frame. */
  place() {
    const part = this.marked && this.stage.parts.get(this.marked.mesh.key);
    this.mark.hidden = !part?.group.visible;
    if (!this.marked || !part || this.mark.hidden) return;
    const { three, target } = this.stage.camera;
    const [x, y, z] = pointOf(this.marked.mesh.points, this.marked.hit);
    const world = target.clone().set(x, y, z).applyMatrix4(part.group.matrixWorld);
    const seen = world.clone().project(three);
    this.mark.style.left = `${50 + 50 * seen.x}%`;
    this.mark.style.top = `${50 - 50 * seen.y}%`;
    this.mark.classList.toggle("behind", this.hover.covers(seen.x, seen.y, world));
  }

  /** Mark a point of a bone in its map; null: none. @param {{mesh: MeshData, hit: Hit} | null} found */
  point(found) {
    for (const [key, { map, inPlate, dot }] of this.sheets) {
      const place = found && found.mesh.key === key ? map.placeOf(found.hit, inPlate) : null;
      dot.hidden = !place;
      if (place) Object.assign(dot.style, { left: `${100 * place[0]}%`, top: `${100 * place[1]}%` });
    }
  }
}

/** `34° posterior, 12 mm medial`. @param {FlatMap} map @param {Hit} hit */
function positionOf(map, hit) {
  const [across, up] = map.coordinates(hit);
  const flat = map.mesh.flat;
  if (!flat) return "";
  const radius = flat.radius;
  const height = radius === null ? `${Math.abs(up).toFixed(0)} mm` : `${Math.abs((180 * up) / (Math.PI * radius)).toFixed(0)}°`;
  return `${height} ${flat.upwards[up < 0 ? 1 : 0]}, ${Math.abs(across).toFixed(0)} mm ${across < 0 ? "lateral" : "medial"}`;
}

/** A vector of each vertex at a point of a triangle. @param {Float32Array} vectors (3 n) @param {Hit} hit */
function pointOf(vectors, hit) {
  return [0, 1, 2].map((k) => hit.corners.reduce((sum, vertex, c) => sum + hit.weights[c] * vectors[3 * vertex + k], 0));
}
