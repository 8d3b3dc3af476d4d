// Draws with three.js: one mesh per structure, lights that move with the camera, and a frame only when something changed.
import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DirectionalLight,
  FrontSide,
  Group,
  HemisphereLight,
  Matrix4,
  Mesh,
  MeshPhongMaterial,
  Quaternion,
  Scene,
  Vector3,
  WebGLRenderer,
} from "../../vendor/three-viewer-0.187.0.min.js";
import { colourVertices } from "./colours.js";

/** @import { Camera } from "./camera.js" */
/** @import { Channel, Layout, MeshData, Range } from "./data.js" */

/**
 * What is drawn of one structure.
 * @typedef {object} Part
 * @property {MeshData} data
 * @property {Group} group
 * @property {Mesh<BufferGeometry, MeshPhongMaterial>} mesh
 * @property {Mesh<BufferGeometry, MeshPhongMaterial>} depth drawn first, depth only, while the mesh is transparent
 * @property {Uint16Array} colours
 * @property {BufferAttribute} colourAttribute
 * @property {boolean} plain whether it has no channel: soft tissue
 */

const MOST_PIXELS = 2; // per CSS pixel: more is not visible, and the cost grows with the square
const SLOW_FRAME_MS = 90;
const REST_MS = 220;
/** @type {[[number, number, number], number, number][]} */
const LIGHTS = [
  // position (right, up, towards the viewer), strength, colour: key light above left, fill light, rim light behind
  [[-0.55, 0.75, 0.9], 2.05, 0xfffbf5],
  [[0.9, -0.15, 0.55], 0.75, 0xf2f6ff],
  [[0.2, 0.7, -1.0], 0.7, 0xffffff],
];

/** Whether WebGL runs on the CPU: multisampling then takes 300 of the 390 ms of a frame. */
function drawnBySoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false; // three.js says what is missing
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

export class Stage {
  /**
   * Throws if the browser has no WebGL.
   * @param {HTMLCanvasElement} canvas @param {MeshData[]} meshes @param {Camera} camera
   */
  constructor(canvas, meshes, camera) {
    this.software = drawnBySoftware();
    this.renderer = new WebGLRenderer({
      canvas,
      antialias: !this.software,
      alpha: true,
      powerPreference: "high-performance",
    });
    this.renderer.setClearColor(new Color(0x000000), 0);
    this.camera = camera;
    this.world = new Scene();
    this.world.add(new HemisphereLight(0xffffff, 0xc4beb4, 1.05));
    this.lights = new Group();
    for (const [place, strength, colour] of LIGHTS) {
      const light = new DirectionalLight(colour, strength);
      light.position.set(...place);
      this.lights.add(light, light.target);
    }
    this.world.add(this.lights);
    /** @type {Map<string, Part>} */
    this.parts = new Map(meshes.map((mesh, k) => [mesh.key, this.#part(mesh, k)]));
    /** @type {() => void} */
    this.drawn = () => {}; // called after each frame
    this.pending = 0;
    this.refine = 0;
    this.moving = false;
    this.sharp = !this.software;
    this.resting = false;
    this.frames = 0;
  }

  /** @param {MeshData} data @param {number} place in the drawing order @returns {Part} */
  #part(data, place) {
    const geometry = new BufferGeometry();
    const colours = new Uint16Array(4 * data.vertices);
    const colourAttribute = new BufferAttribute(colours, 4, true);
    geometry.setAttribute("position", new BufferAttribute(data.points, 3));
    geometry.setAttribute("normal", new BufferAttribute(data.normals, 3));
    geometry.setAttribute("color", colourAttribute);
    geometry.setIndex(new BufferAttribute(data.faces, 1));
    const plain = !Object.keys(data.channels).length;
    const material = new MeshPhongMaterial({
      vertexColors: true,
      side: FrontSide,
      shininess: plain ? 45 : 22,
      specular: plain ? 0x3a3a3a : 0x222222,
      // soft tissue is drawn slightly nearer than it is, so that its thin edge does not flicker with the bone
      polygonOffset: plain,
      polygonOffsetFactor: -1,
      polygonOffsetUnits: -2,
    });
    const mesh = new Mesh(geometry, material);
    // depth first, then colour: only the nearest layer of a transparent structure is visible, not its far side
    const depth = new Mesh(geometry, new MeshPhongMaterial({ colorWrite: false, side: FrontSide }));
    depth.material.polygonOffset = plain;
    depth.material.polygonOffsetFactor = -1;
    depth.material.polygonOffsetUnits = -2;
    const group = new Group();
    for (const drawn of [depth, mesh]) {
      drawn.frustumCulled = false;
      group.add(drawn);
    }
    [depth.renderOrder, mesh.renderOrder] = [2 * place + 1, 2 * place + 2];
    group.visible = data.shown;
    this.world.add(group);
    const part = { data, group, mesh, depth, colours, colourAttribute, plain };
    this.#setPartOpacity(part, data.opacity);
    return part;
  }

  /** @param {string} key @param {boolean} visible */
  setVisible(key, visible) {
    const part = this.parts.get(key);
    if (part) part.group.visible = visible;
    this.invalidate();
  }

  /** @param {string} group of structures @param {number} opacity 0 to 1 */
  setOpacity(group, opacity) {
    for (const part of this.parts.values()) if (part.data.group === group) this.#setPartOpacity(part, opacity);
    this.invalidate();
  }

  /** @param {Part} part @param {number} opacity 0 to 1 */
  #setPartOpacity(part, opacity) {
    part.mesh.material.opacity = opacity;
    part.mesh.material.transparent = opacity < 1;
    part.mesh.material.depthWrite = opacity === 1 || part.plain;
    part.depth.visible = part.plain && opacity < 1;
    part.mesh.material.needsUpdate = true;
  }

  /** @param {Channel | null} channel @param {Range} range */
  colour(channel, range) {
    for (const { data, colours, colourAttribute } of this.parts.values()) {
      colourVertices(colours, data, channel, range);
      colourAttribute.needsUpdate = true;
    }
  }

  /**
   * Place the parts as in a layout, or between two.
   * @param {Layout} from @param {Layout} to @param {number} share 0 to 1
   */
  place(from, to, share) {
    const [a, b] = [{}, {}].map(() => ({ move: new Vector3(), turn: new Quaternion(), size: new Vector3() }));
    for (const [key, { group }] of this.parts) {
      new Matrix4().fromArray(from.placed[key]).transpose().decompose(a.move, a.turn, a.size);
      new Matrix4().fromArray(to.placed[key]).transpose().decompose(b.move, b.turn, b.size);
      group.position.lerpVectors(a.move, b.move, share);
      group.quaternion.slerpQuaternions(a.turn, b.turn, share);
      group.updateMatrixWorld(true);
    }
  }

  /** Some hundred points of each visible part in the scene, enough to frame the picture: x, y, z, x, ... in mm. */
  outline() {
    const points = [];
    const at = new Vector3();
    for (const { data, group } of this.parts.values()) {
      if (!group.visible) continue;
      const step = 3 * Math.max(1, Math.floor(data.vertices / 600));
      for (let i = 0; i < data.points.length; i += step) {
        at.set(data.points[i], data.points[i + 1], data.points[i + 2]).applyMatrix4(group.matrixWorld);
        points.push(at.x, at.y, at.z);
      }
    }
    return points;
  }

  /** @param {number} width @param {number} height CSS pixels */
  resize(width, height) {
    this.renderer.setPixelRatio(this.#ratio());
    this.renderer.setSize(width, height, false);
    this.camera.three.aspect = width / height;
  }

  #ratio() {
    const full = Math.min(MOST_PIXELS, globalThis.devicePixelRatio || 1);
    // without multisampling, the final picture is drawn at twice the resolution to smooth edges
    if (this.software) return this.sharp ? MOST_PIXELS : 1;
    return this.sharp ? full : full / 2;
  }

  /** Draw in the next frame; on a slow machine at a lower resolution while moving, and sharply when it stops. */
  invalidate(whileMoving = false) {
    this.moving = whileMoving;
    if (this.pending) return;
    const asked = performance.now();
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.#settle(performance.now() - asked);
      this.draw();
    });
  }

  /** Choose the resolution of the coming frame. @param {number} waited ms for the frame */
  #settle(waited) {
    const slow = this.software || (this.moving && (waited > SLOW_FRAME_MS || !this.sharp));
    this.#setSharp(this.resting || !slow);
    this.resting = false;
    this.#restLater();
  }

  #restLater() {
    clearTimeout(this.refine);
    if (this.sharp) return;
    this.refine = setTimeout(() => {
      this.resting = true;
      this.invalidate(false);
    }, REST_MS);
  }

  /** Draw the first picture now. */
  open() {
    this.draw();
    this.finish();
    this.#restLater();
  }

  /** Draw now at full resolution, for an export. @param {number} width @param {number} height CSS pixels */
  drawSharp(width, height) {
    clearTimeout(this.refine);
    this.sharp = true;
    this.resize(width, height);
    this.draw();
  }

  /** @param {boolean} sharp */
  #setSharp(sharp) {
    if (sharp === this.sharp) return;
    this.sharp = sharp;
    this.renderer.setPixelRatio(this.#ratio());
  }

  draw() {
    this.camera.apply();
    this.lights.quaternion.copy(this.camera.three.quaternion);
    this.renderer.render(this.world, this.camera.three);
    this.frames++;
    this.drawn();
  }

  /** Wait until the graphics card has drawn. */
  finish() {
    const gl = this.renderer.getContext();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  dispose() {
    cancelAnimationFrame(this.pending);
    clearTimeout(this.refine);
    for (const { mesh, depth } of this.parts.values()) {
      mesh.geometry.dispose();
      mesh.material.dispose();
      depth.material.dispose();
    }
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
