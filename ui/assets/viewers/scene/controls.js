// What moves the camera: three's OrbitControls for mouse, wheel and touch. Two rules are ours: the wheel scrolls the page
// until the picture has the focus, and keys turn and zoom (OrbitControls' own arrow keys only pan).
import { MOUSE, OrbitControls } from "../../vendor/three-viewer-0.187.0.min.js";

/** @import { Camera } from "./camera.js" */

const ROTATE_SPEED = 0.7; // half the picture's height turns by 126 degrees
const WHEEL_SPEED = 3; // a notch of the wheel: 15 % nearer
const PINCH_SPEED = 1; // the picture follows the fingers
const KEY_TURN_RAD = Math.PI / 24;
const KEY_ZOOM = 1 / 1.15;

export class Controls {
  /**
   * @param {HTMLElement} surface takes the focus, the pointers and the keys
   * @param {Camera} camera
   * @param {{moved: () => void, keyed: () => void, reset: () => void, signal: AbortSignal}} handlers
   *   moved: after each change of the camera by the user; keyed: after a change by a key; reset: key 0
   */
  constructor(surface, camera, { moved, keyed, reset, signal }) {
    this.camera = camera;
    this.held = false; // whether a pointer is down
    this.orbit = new OrbitControls(camera.three, surface);
    this.orbit.target = camera.target;
    this.orbit.rotateSpeed = ROTATE_SPEED;
    this.orbit.mouseButtons.MIDDLE = MOUSE.PAN;
    this.orbit.addEventListener("change", moved);
    this.orbit.addEventListener("start", () => this.#hold(surface, true));
    this.orbit.addEventListener("end", () => this.#hold(surface, false));
    signal.addEventListener("abort", () => this.orbit.dispose());
    // in the capture phase: before OrbitControls sees the event
    surface.addEventListener("wheel", (event) => this.#prepareWheel(surface, event), { signal, capture: true });
    surface.addEventListener("pointerdown", () => this.#prepare(PINCH_SPEED), { signal, capture: true });
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.orbit.rotateLeft(-KEY_TURN_RAD),
      ArrowRight: () => this.orbit.rotateLeft(KEY_TURN_RAD),
      ArrowUp: () => this.orbit.rotateUp(-KEY_TURN_RAD),
      ArrowDown: () => this.orbit.rotateUp(KEY_TURN_RAD),
      "+": () => this.orbit.dollyIn(KEY_ZOOM),
      "=": () => this.orbit.dollyIn(KEY_ZOOM),
      "-": () => this.orbit.dollyOut(KEY_ZOOM),
      0: reset,
    };
    surface.addEventListener(
      "keydown",
      (event) => {
        const act = keys[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation(); // Streamlit has its own key handlers
        this.#prepare(PINCH_SPEED);
        act();
        keyed();
      },
      { signal },
    );
  }

  /** @param {HTMLElement} surface @param {boolean} held */
  #hold(surface, held) {
    this.held = held;
    surface.toggleAttribute("data-held", held);
  }

  /** @param {HTMLElement} surface @param {WheelEvent} event */
  #prepareWheel(surface, event) {
    this.#prepare(WHEEL_SPEED);
    this.orbit.enableZoom = event.ctrlKey || surface.matches(":focus-within, :focus");
  }

  /** @param {number} zoomSpeed */
  #prepare(zoomSpeed) {
    this.orbit.enableZoom = true;
    this.orbit.zoomSpeed = zoomSpeed;
    [this.orbit.minDistance, this.orbit.maxDistance] = [this.camera.limits.nearest, this.camera.limits.farthest];
  }
}
