// The measured value under the pointer, or in the middle of the picture for the keyboard.
import { element } from "./element.js";
import { interpolatedValue, labelAt, RayGrid } from "./ray_grid.js";

/** @import { MeshData, SceneData } from "./data.js" */
/** @import { Hit } from "./ray_grid.js" */
/** @import { Part, Stage } from "./stage.js" */

/**
 * @typedef {object} Reading
 * @property {string} structure
 * @property {string[]} regions one per scheme of regions; none where no channel of regions is there
 * @property {string} value first number, empty where there is none
 * @property {{title: string, number: string, usable: boolean}[]} lines every number with its unit
 */

const HIDDEN_MM = 1.5; // a surface this far in front of a point hides it

export class Hover {
  /**
   * @param {SceneData} scene
   * @param {Stage} stage
   * @param {HTMLElement} surface
   */
  constructor(scene, stage, surface) {
    this.scene = scene;
    this.stage = stage;
    this.surface = surface;
    /** @type {Map<Part, RayGrid>} */
    this.grids = new Map();
    this.tip = element("div", { class: "tip", hidden: true });
    /** @type {{mesh: MeshData, hit: Hit} | null} */
    this.found = null; // what the last reading was about
    this.spoken = element("p", { class: "spoken", "aria-live": "polite" });
  }

  /** @param {AbortSignal} signal */
  prepare(signal) {
    // one structure per task: no task is long, and the first hover finds all of them ready
    const waiting = [...this.stage.parts.values()];
    const next = () => {
      const part = waiting.shift();
      if (signal.aborted || !part) return;
      this.#grid(part);
      setTimeout(next);
    };
    setTimeout(next, 30);
  }

  hide() {
    this.tip.hidden = true;
    this.found = null;
  }

  /**
   * Show the value under the pointer. -> what was found
   * @param {PointerEvent} event
   */
  follow(event) {
    const box = this.surface.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const found = this.read((2 * x) / box.width - 1, 1 - (2 * y) / box.height);
    this.#show(found, x, y);
    return found;
  }

  /** Show and speak the value in the middle of the picture. */
  readMiddle() {
    this.stage.camera.apply();
    const found = this.read(0, 0);
    this.#show(found, this.surface.clientWidth / 2, this.surface.clientHeight / 2);
    const parts = found ? [...found.lines.map(({ title, number, usable }) => `${title} ${number}${usable ? "" : ", do not use"}`), found.structure, ...found.regions] : [];
    this.spoken.textContent = parts.filter(Boolean).join(", ") || "Nothing in the middle";
  }

  /**
   * What lies at a point of the picture (-1 to 1). Bones come first: soft tissue in front of them has no values.
   * @param {number} x @param {number} y
   * @returns {Reading | null}
   */
  read(x, y) {
    this.found = this.#nearest(x, y);
    return this.found && this.describe(this.found.mesh, this.found.hit);
  }

  /**
   * Whether a bone hides a point of the scene from the viewer.
   * @param {number} x @param {number} y where it is drawn (-1 to 1) @param {{distanceTo: (other: any) => number}} world
   */
  covers(x, y, world) {
    const found = this.#nearest(x, y);
    return Boolean(found) && (found?.hit.distance ?? 0) < world.distanceTo(this.stage.camera.three.position) - HIDDEN_MM;
  }

  /** @param {number} x @param {number} y @returns {{mesh: MeshData, hit: Hit} | null} */
  #nearest(x, y) {
    const ray = this.stage.camera.ray(x, y);
    /** @type {{part: Part, hit: Hit} | null} */
    let found = null;
    for (const part of this.stage.parts.values()) {
      if (!part.group.visible) continue;
      const toLocal = part.group.quaternion.clone().invert();
      const origin = ray.origin.clone().sub(part.group.position).applyQuaternion(toLocal);
      const direction = ray.direction.clone().applyQuaternion(toLocal);
      const hit = this.#grid(part).intersect(origin.toArray(), direction.toArray());
      if (!hit) continue;
      const hidden = found && (part.plain === found.part.plain ? hit.distance > found.hit.distance : part.plain);
      if (!hidden) found = { part, hit };
    }
    return found && { mesh: found.part.data, hit: found.hit };
  }

  /** @param {Part} part */
  #grid(part) {
    let grid = this.grids.get(part);
    if (!grid) {
      grid = new RayGrid(part.data.points, part.data.faces);
      this.grids.set(part, grid);
    }
    return grid;
  }

  /** All values at a point. @param {MeshData} mesh @param {Hit} hit @returns {Reading} */
  describe(mesh, hit) {
    /** @type {Reading} */
    const reading = { structure: mesh.title, regions: [], value: "", lines: [] };
    for (const channel of this.scene.channels) {
      const values = mesh.channels[channel.name]?.values;
      if (!values) continue;
      if (channel.kind === "categories") {
        const entry = channel.entries.find(({ label }) => label === labelAt(values, hit));
        const region = entry?.title ?? channel.missing;
        if (!channel.divides && entry === channel.entries[0]) continue; // covered: the thickness states it
        if (!reading.regions.includes(region)) reading.regions.push(region);
        continue;
      }
      const number = interpolatedValue(values, hit);
      if (!Number.isFinite(number)) continue;
      const text = number.toFixed(channel.decimals);
      reading.lines.push({ title: channel.title, number: `${text} ${channel.unit}`, usable: channel.usable });
      reading.value ||= text;
    }
    return reading;
  }

  /** @param {Reading | null} found @param {number} x @param {number} y in CSS pixels of the surface */
  #show(found, x, y) {
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.replaceChildren(...tipLines(found));
    const [width, height] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const left = x + 18 + width > this.surface.clientWidth ? x - width - 14 : x + 18;
    const top = Math.min(this.surface.clientHeight - height - 6, Math.max(6, y - height / 2));
    this.tip.style.transform = `translate(${Math.max(6, Math.round(left))}px, ${Math.round(top)}px)`;
  }
}

/** The lines of a tip. @param {Reading} reading */
export function tipLines(reading) {
  return [
    ...reading.lines.map(({ title, number, usable }) => {
      const name = title.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()); // not of T2
      return usable
        ? element("p", {}, element("b", {}, number), ` ${name}`)
        : element("p", { class: "unusable" }, element("s", {}, number), ` ${name}: do not use`);
    }),
    element("p", { class: "where" }, reading.structure),
    ...reading.regions.map((region) => element("p", { class: "where" }, region)),
  ];
}
