// Which channel colours the surfaces, over which range, and the legend that explains it.
import { legend } from "./legend.js";
import { element } from "./element.js";

/** @import { Channel, Range, SceneData } from "./data.js" */
/** @import { Stage } from "./stage.js" */

export class Colouring {
  /** @param {SceneData} scene @param {Stage} stage */
  constructor(scene, stage) {
    this.scene = scene;
    this.stage = stage;
    this.bone = scene.meshes[0].colour;
    /** @type {() => void} */
    this.applied = () => {}; // called after each change
    this.legend = element("div", { class: "key" });
    /** @type {Channel | null} */
    this.channel = scene.channels[0] ?? null;
    /** @type {Range} */
    this.range = this.#fullRange();
    this.#apply();
  }

  /** @param {string} name of a channel; any other: each mesh in its own colour */
  choose(name) {
    this.channel = this.scene.channels.find((channel) => channel.name === name) ?? null;
    this.range = this.#fullRange();
    this.#apply();
  }

  /** Show another channel of the same scale. @param {Channel} channel */
  step(channel) {
    this.channel = channel;
    this.#apply();
  }

  /** @param {Range} range both ends of the colour scale */
  setRange(range) {
    this.range = range;
    this.#apply();
  }

  /** @returns {Range} */
  #fullRange() {
    return this.channel?.kind === "scalar" ? this.channel.range : [0, 1];
  }

  #apply() {
    this.stage.colour(this.channel, this.range);
    this.legend.replaceChildren(...(this.channel ? [legend(this.channel, this.range, this.bone)] : []));
    this.stage.invalidate();
    this.applied();
  }
}
