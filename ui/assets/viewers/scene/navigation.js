// Named views and arrangements of the bones, and the animation from one to the next.

/** @import { Camera, Pose } from "./camera.js" */
/** @import { Layout, SceneData, View } from "./data.js" */
/** @import { Stage } from "./stage.js" */

const ANIMATION_MS = 420;
const OBLIQUE = [0.45, 0.28, 1]; // anterior, slightly superior and from the patient's left
const FACING = [0, 0, 1];

export class Navigation {
  /**
   * @param {SceneData} scene
   * @param {Camera} camera
   * @param {Stage} stage
   * @param {(view: View, layout: Layout) => void} arrived called when a view or arrangement has been chosen
   */
  constructor(scene, camera, stage, arrived) {
    this.scene = scene;
    this.camera = camera;
    this.stage = stage;
    this.arrived = arrived;
    this.layout = scene.layouts[0];
    this.frame = 0;
    stage.place(this.layout, this.layout, 1);
  }

  /** @param {string} id of the arrangement */
  arrange(id) {
    const from = this.layout;
    const to = this.scene.layouts.find((layout) => layout.id === id);
    if (!to || to === from) return;
    this.layout = to;
    this.#animateTo(this.#initialView(), from);
  }

  /**
   * Look from a named direction. Directions have no meaning where the bones are turned open, so that arrangement is
   * replaced by the first anatomical one.
   * @param {View} view
   */
  look(view) {
    const from = this.layout;
    if (!from.anatomical) this.layout = this.scene.layouts.find((layout) => layout.anatomical) ?? from;
    this.#animateTo(view, from);
  }

  /** Look from a direction, animated, from the present distance. @param {number[]} towards in the knee's axes */
  face(towards) {
    this.stop();
    const start = this.camera.pose;
    this.camera.lookFrom(towards);
    this.#animate(start, this.camera.pose, () => {});
  }

  /** The initial view, animated. */
  reset() {
    this.#animateTo(this.#initialView(), this.layout);
  }

  /** The initial view, at once. */
  open() {
    const view = this.#initialView();
    this.camera.lookFrom(view.towards);
    this.reframe();
    this.arrived(view, this.layout);
  }

  /** Fill the picture again, from the same direction. */
  reframe() {
    this.camera.frame(this.stage.outline());
  }

  stop() {
    cancelAnimationFrame(this.frame);
  }

  /** @returns {View} */
  #initialView() {
    return { title: "home", towards: this.layout.anatomical ? OBLIQUE : FACING };
  }

  /** @param {View} view @param {Layout} from */
  #animateTo(view, from) {
    const { camera, stage } = this;
    this.stop();
    const start = camera.pose;
    stage.place(from, this.layout, 1);
    camera.lookFrom(view.towards);
    this.reframe();
    this.arrived(view, this.layout);
    this.#animate(start, camera.pose, (share) => stage.place(from, this.layout, share));
  }

  /** @param {Pose} start @param {Pose} end @param {(share: number) => void} place the parts, share 0 to 1 of the way */
  #animate(start, end, place) {
    const { camera, stage } = this;
    /** @param {number} share */
    const show = (share) => {
      place(share);
      camera.pose = between(start, end, share);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      show(1);
      stage.invalidate();
      return;
    }
    const begun = performance.now();
    const step = () => {
      const time = Math.min(1, (performance.now() - begun) / ANIMATION_MS);
      show(time * time * (3 - 2 * time));
      stage.invalidate(time < 1);
      if (time < 1) this.frame = requestAnimationFrame(step);
    };
    step();
  }
}

/**
 * A pose on the shorter way from one to another.
 * @param {Pose} start @param {Pose} end @param {number} share 0 to 1
 * @returns {Pose}
 */
function between(start, end, share) {
  const turn = end.theta - start.theta;
  return {
    theta: start.theta + Math.atan2(Math.sin(turn), Math.cos(turn)) * share,
    phi: start.phi + (end.phi - start.phi) * share,
    distance: start.distance + (end.distance - start.distance) * share,
    target: start.target.clone().lerp(end.target, share),
  };
}
