// Where the camera is. It orbits a target with superior up, at a pose of two angles and a distance.
import { PerspectiveCamera, Spherical, Vector3 } from "../../vendor/three-viewer-0.187.0.min.js";

const FIELD_OF_VIEW_DEG = 26; // a long lens: condyles keep their proportions
const MARGIN = 1.06; // free space around what is framed
const NEAREST = 0.25; // of the framed radius
const FARTHEST = 12;

/**
 * Angles in radians as in three's Spherical: theta about the superior axis from anterior, phi down from superior.
 * @typedef {{theta: number, phi: number, distance: number, target: Vector3}} Pose
 */

export class Camera {
  constructor() {
    this.three = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, 1, 2000);
    this.target = new Vector3();
    this.radius = 200; // mm, half the diagonal of what was framed last
    this.pose = { theta: 0, phi: Math.PI / 2, distance: 400, target: this.target };
  }

  get limits() {
    return { nearest: NEAREST * this.radius, farthest: FARTHEST * this.radius };
  }

  /** @returns {Pose} */
  get pose() {
    const { theta, phi, radius } = new Spherical().setFromVector3(this.three.position.clone().sub(this.target));
    return { theta, phi, distance: radius, target: this.target.clone() };
  }

  set pose({ theta, phi, distance, target }) {
    this.target.copy(target);
    // at the pole itself no direction is up: makeSafe stays 1e-6 rad away from it
    const offset = new Vector3().setFromSpherical(new Spherical(distance, phi, theta).makeSafe());
    this.three.position.copy(this.target).add(offset);
    this.three.lookAt(this.target);
    this.three.updateMatrixWorld();
  }

  /** Unit vectors right, up and towards the viewer, in the knee's axes. */
  basis() {
    this.three.updateMatrixWorld();
    const [right, up, towards] = [0, 1, 2].map((k) => new Vector3().setFromMatrixColumn(this.three.matrixWorld, k));
    return { right, up, towards };
  }

  /**
   * Look at the target from a direction, distance unchanged.
   * @param {number[]} direction in the knee's axes, any length
   */
  lookFrom(direction) {
    const { theta, phi } = new Spherical().setFromVector3(new Vector3(...direction));
    this.pose = { ...this.pose, theta, phi };
  }

  /**
   * Choose target and distance so that all points fill the picture.
   * @param {number[]} points x, y, z, x, ... in mm
   */
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
    const target = new Vector3();
    for (const [k, axis] of axes.entries()) target.addScaledVector(axis, middle[k]);
    const slope = Math.tan((FIELD_OF_VIEW_DEG * Math.PI) / 360) / MARGIN;
    let distance = 0;
    for (let i = 0; i < seen.length; i += 3) {
      const x = Math.abs(seen[i] - middle[0]) / (slope * this.three.aspect);
      const y = Math.abs(seen[i + 1] - middle[1]) / slope;
      distance = Math.max(distance, seen[i + 2] - middle[2] + Math.max(x, y));
    }
    this.radius = Math.hypot(...low.map((value, k) => (high[k] - value) / 2));
    this.pose = { ...this.pose, distance, target };
  }

  /** Bring three's matrices up to date; before each frame. */
  apply() {
    const { three } = this;
    const { distance } = this.pose;
    three.near = Math.max(1, distance - 2.5 * this.radius);
    three.far = distance + 2.5 * this.radius;
    three.updateProjectionMatrix();
    three.updateMatrixWorld();
  }

  /**
   * Ray through a point of the picture.
   * @param {number} x -1 (left) to 1
   * @param {number} y -1 (bottom) to 1
   */
  ray(x, y) {
    const origin = this.three.position.clone();
    return { origin, direction: new Vector3(x, y, 0.5).unproject(this.three).sub(origin).normalize() };
  }
}
