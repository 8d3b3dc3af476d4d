// What three.js draws: one mesh a structure, lamps that go with the camera, a picture only when something has changed.
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
} from "../../vendor/three-0.187.0.min.js";
import { paint } from "./colours.js";

const MOST_PIXELS = 2; // per CSS pixel: more is not seen and costs its square
const SLOW_FRAME_MS = 90;
const REST_MS = 220;
const LAMPS = [
  // from where (right, up, towards the viewer), how strong: a key above on the left, a fill, a rim behind
  [[-0.55, 0.75, 0.9], 2.05, 0xfffbf5],
  [[0.9, -0.15, 0.55], 0.75, 0xf2f6ff],
  [[0.2, 0.7, -1.0], 0.7, 0xffffff],
];

/** Whether the processor draws, not a graphics card: multisampling then takes 300 of a frame's 390 ms. */
function drawnBySoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false; // three.js says what is missing
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

export class Stage {
  /** Raises where the browser gives no WebGL. */
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
    this.lamps = new Group();
    for (const [place, strength, colour] of LAMPS) {
      const lamp = new DirectionalLight(colour, strength);
      lamp.position.set(...place);
      this.lamps.add(lamp, lamp.target);
    }
    this.world.add(this.lamps);
    this.parts = new Map(meshes.map((mesh, k) => [mesh.key, this.#part(mesh, k)]));
    this.pending = 0;
    this.sharp = !this.software;
    this.resting = false;
    this.frames = 0;
  }

  #part(data, place) {
    const geometry = new BufferGeometry();
    const colours = new BufferAttribute(new Uint16Array(4 * data.vertices), 4, true);
    geometry.setAttribute("position", new BufferAttribute(data.points, 3));
    geometry.setAttribute("normal", new BufferAttribute(data.normals, 3));
    geometry.setAttribute("color", colours);
    geometry.setIndex(new BufferAttribute(data.faces, 1));
    const solid = !Object.keys(data.channels).length;
    const material = new MeshPhongMaterial({
      vertexColors: true,
      side: FrontSide,
      shininess: solid ? 45 : 22,
      specular: solid ? 0x3a3a3a : 0x222222,
      // soft tissue is drawn a little nearer than it lies, so that its thin rim never flickers with the bone
      polygonOffset: solid,
      polygonOffsetFactor: -1,
      polygonOffsetUnits: -2,
    });
    const mesh = new Mesh(geometry, material);
    // first its depth alone, then its colour: one layer is seen, not the far side of the same plate through the near one
    const veil = new Mesh(geometry, new MeshPhongMaterial({ colorWrite: false, side: FrontSide }));
    veil.material.polygonOffset = solid;
    veil.material.polygonOffsetFactor = -1;
    veil.material.polygonOffsetUnits = -2;
    const group = new Group();
    for (const drawn of [veil, mesh]) {
      drawn.frustumCulled = false;
      group.add(drawn);
    }
    [veil.renderOrder, mesh.renderOrder] = [2 * place + 1, 2 * place + 2];
    group.visible = data.shown;
    this.world.add(group);
    const part = { data, group, mesh, veil, colours, solid };
    this.fade(part, data.opacity);
    return part;
  }

  fade(part, opacity) {
    part.mesh.material.opacity = opacity;
    part.mesh.material.transparent = opacity < 1;
    part.mesh.material.depthWrite = opacity === 1 || part.solid;
    part.veil.visible = part.solid && opacity < 1;
    part.mesh.material.needsUpdate = true;
  }

  colour(scale, range) {
    for (const { data, colours } of this.parts.values()) {
      paint(colours.array, data, scale, range);
      colours.needsUpdate = true;
    }
  }

  /** Put each part where a layout (or the way between two, 0 to 1) has it. */
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

  /** Some hundred points of each visible part, where they stand: enough to frame the picture by. */
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

  resize(width, height) {
    this.renderer.setPixelRatio(this.#ratio());
    this.renderer.setSize(width, height, false);
    this.camera.three.aspect = width / height;
  }

  #ratio() {
    const full = Math.min(MOST_PIXELS, globalThis.devicePixelRatio || 1);
    // without multisampling edges are smoothed by drawing the picture that stays twice as fine
    if (this.software) return this.sharp ? MOST_PIXELS : 1;
    return this.sharp ? full : full / 2;
  }

  /** Draw at the next chance; where the machine is slow coarser at first, and again when the picture rests. */
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

  /** The first picture, at once. */
  open() {
    this.draw();
    this.finish();
    this.#restLater();
  }

  /** The picture as fine as it gets, for an export. */
  drawSharp(width, height) {
    clearTimeout(this.refine);
    this.sharp = true;
    this.resize(width, height);
    this.draw();
  }

  #setSharp(sharp) {
    if (sharp === this.sharp) return;
    this.sharp = sharp;
    this.renderer.setPixelRatio(this.#ratio());
  }

  draw() {
    this.camera.apply();
    this.lamps.quaternion.copy(this.camera.three.quaternion);
    this.renderer.render(this.world, this.camera.three);
    this.frames++;
    this.drawn?.();
  }

  /** Wait until the picture is really there. */
  finish() {
    const gl = this.renderer.getContext();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  dispose() {
    cancelAnimationFrame(this.pending);
    clearTimeout(this.refine);
    for (const { mesh, veil } of this.parts.values()) {
      mesh.geometry.dispose();
      mesh.material.dispose();
      veil.material.dispose();
    }
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
