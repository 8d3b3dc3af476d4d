// The camera turns about the knee like a table: superior stays up. Pointer, wheel, touch and keys move it.
import { Matrix4, PerspectiveCamera, Vector3 } from "../../vendor/three-0.187.0.min.js";

const FIELD_OF_VIEW = 26; // degrees; long enough a lens that condyles keep their proportions
const MARGIN = 1.06;
const TURN_PER_PIXEL = 0.0075; // radians
const KEY_TURN = Math.PI / 24;
const KEY_ZOOM = 1.15;
const HALF_TURN = Math.PI / 2;

export class Camera {
  constructor() {
    this.three = new PerspectiveCamera(FIELD_OF_VIEW, 1, 1, 2000);
    this.target = new Vector3();
    this.yaw = 0;
    this.pitch = 0;
    this.distance = 400;
    this.reach = 200;
  }

  /** Unit vectors right, up and towards the viewer. */
  basis(yaw = this.yaw, pitch = this.pitch) {
    const towards = new Vector3(
      Math.sin(yaw) * Math.cos(pitch),
      Math.sin(pitch),
      Math.cos(yaw) * Math.cos(pitch),
    );
    const right = new Vector3(Math.cos(yaw), 0, -Math.sin(yaw));
    return { right, up: new Vector3().crossVectors(towards, right), towards };
  }

  /** Look from a direction (in the knee's axes). */
  lookFrom([x, y, z]) {
    this.pitch = Math.asin(Math.min(1, Math.max(-1, y / Math.hypot(x, y, z))));
    if (Math.hypot(x, z) > 1e-6) this.yaw = Math.atan2(x, z);
    else this.yaw = 0;
  }

  /** Bring all points (x, y, z, x, ...) into the picture, as large as they go. */
  frame(points) {
    const { right, up, towards } = this.basis();
    const axes = [right, up, towards];
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    const seen = new Float32Array(points.length);
    for (let i = 0; i < points.length; i += 3) {
      for (let k = 0; k < 3; k++) {
        const along = points[i] * axes[k].x + points[i + 1] * axes[k].y + points[i + 2] * axes[k].z;
        seen[i + k] = along;
        low[k] = Math.min(low[k], along);
        high[k] = Math.max(high[k], along);
      }
    }
    const middle = low.map((value, k) => (value + high[k]) / 2);
    this.target.set(0, 0, 0);
    axes.forEach((axis, k) => this.target.addScaledVector(axis, middle[k]));
    const slope = Math.tan((FIELD_OF_VIEW * Math.PI) / 360) / MARGIN;
    let distance = 0;
    for (let i = 0; i < seen.length; i += 3) {
      const x = Math.abs(seen[i] - middle[0]) / (slope * this.three.aspect);
      const y = Math.abs(seen[i + 1] - middle[1]) / slope;
      distance = Math.max(distance, seen[i + 2] - middle[2] + Math.max(x, y));
    }
    this.distance = distance;
    this.reach = Math.hypot(...low.map((value, k) => (high[k] - value) / 2));
  }

  turn(right, up) {
    this.yaw -= right;
    this.pitch = Math.min(HALF_TURN, Math.max(-HALF_TURN, this.pitch + up));
  }

  zoom(factor) {
    this.distance = Math.min(12 * this.reach, Math.max(0.25 * this.reach, this.distance * factor));
  }

  /** Move the picture by pixels of a stage of the given height. */
  shift(dx, dy, height) {
    const perPixel = (2 * this.distance * Math.tan((FIELD_OF_VIEW * Math.PI) / 360)) / height;
    const { right, up } = this.basis();
    this.target.addScaledVector(right, -dx * perPixel).addScaledVector(up, dy * perPixel);
  }

  /** Hand all of it to three.js. */
  apply() {
    const { right, up, towards } = this.basis();
    const { three } = this;
    three.position.copy(this.target).addScaledVector(towards, this.distance);
    three.quaternion.setFromRotationMatrix(new Matrix4().makeBasis(right, up, towards));
    three.near = Math.max(1, this.distance - 2.5 * this.reach);
    three.far = this.distance + 2.5 * this.reach;
    three.updateProjectionMatrix();
    three.updateMatrixWorld();
  }

  /** Ray through a point of the picture, x and y of -1 to 1, y up. */
  ray(x, y) {
    const { right, up, towards } = this.basis();
    const slope = Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    const direction = towards
      .clone()
      .negate()
      .addScaledVector(right, x * slope * this.three.aspect)
      .addScaledVector(up, y * slope)
      .normalize();
    return { origin: this.three.position.clone(), direction };
  }
}

/** Let a stage's pointers, wheel and keys move the camera. `moved(byKey)` is called after each change. */
export function steer(stage, camera, { moved, reset, signal }) {
  const pointers = new Map();
  const listen = (name, act, options = {}) => stage.addEventListener(name, act, { signal, ...options });
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  };
  listen("contextmenu", (event) => event.preventDefault());
  listen("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    stage.setPointerCapture(event.pointerId);
    stage.dataset.held = "";
  });
  listen("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    if (pointers.size === 1) {
      const [dx, dy] = [now.x - last.x, now.y - last.y];
      if (event.shiftKey || event.buttons & 6) camera.shift(dx, dy, stage.clientHeight);
      else camera.turn(dx * TURN_PER_PIXEL, dy * TURN_PER_PIXEL);
      pointers.set(event.pointerId, now);
    } else {
      const before = spread();
      pointers.set(event.pointerId, now);
      const after = spread();
      camera.zoom(before.apart / Math.max(1, after.apart));
      camera.shift(after.x - before.x, after.y - before.y, stage.clientHeight);
    }
    moved(false);
  });
  const release = (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) delete stage.dataset.held;
  };
  listen("pointerup", release);
  listen("pointercancel", release);
  listen(
    "wheel",
    (event) => {
      // the page scrolls on until the picture has been touched or focused
      if (!stage.matches(":focus-within, :focus") && !event.ctrlKey) return;
      event.preventDefault();
      camera.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.0025));
      moved(false);
    },
    { passive: false },
  );
  const keys = {
    ArrowLeft: () => camera.turn(-KEY_TURN, 0),
    ArrowRight: () => camera.turn(KEY_TURN, 0),
    ArrowUp: () => camera.turn(0, -KEY_TURN),
    ArrowDown: () => camera.turn(0, KEY_TURN),
    "+": () => camera.zoom(1 / KEY_ZOOM),
    "=": () => camera.zoom(1 / KEY_ZOOM),
    "-": () => camera.zoom(KEY_ZOOM),
    0: reset,
  };
  listen("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
    moved(true);
  });
  return { get held() { return pointers.size > 0; } };
}
