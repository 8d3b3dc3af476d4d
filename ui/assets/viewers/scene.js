// The 3D viewer: bone and cartilage surfaces with measured values at each vertex. Python's side is ui/viewers/scene.py.
//
// Its root element reports: data-state (loading, ready, failed), data-loads, data-ready-ms, data-frames, data-view,
// data-layout; and after the pointer has moved data-hover-ms (since the event), data-hover-work-ms (our own part of it),
// data-hover-structure, data-hover-region, data-hover-value.
import { Camera } from "./scene/camera.js";
import { Colouring } from "./scene/colouring.js";
import { Compass } from "./scene/compass.js";
import { Controls } from "./scene/controls.js";
import { decodeScene } from "./scene/data.js";
import { element } from "./scene/element.js";
import { makeFoot, makeSurface, makeTools } from "./scene/frame.js";
import { FlatPanel } from "./scene/flat_panel.js";
import { Hover } from "./scene/hover.js";
import { pictureWithLegend } from "./scene/legend.js";
import { Navigation } from "./scene/navigation.js";
import { controlPanel, markLayout } from "./scene/panel.js";
import { Stage } from "./scene/stage.js";

/** @import { Layout, SceneData, View } from "./scene/data.js" */

const NARROW_PX = 720;

/** Loads a scene into a root element. */
export class Viewer {
  /**
   * @param {HTMLElement} root
   * @param {{height: number, failed: () => void}} options height in CSS pixels
   */
  constructor(root, { height, failed }) {
    this.root = root;
    this.failed = failed;
    this.ending = new AbortController();
    this.started = performance.now();
    /** @type {SceneViewer | null} */
    this.shown = null;
    root.className = "ok3d";
    root.style.setProperty("--height", `${height}px`);
    Object.assign(root.dataset, { state: "loading", loads: Number(root.dataset.loads ?? 0) + 1 });
    root.replaceChildren(element("p", { class: "wait", role: "status" }, "Loading the 3D view"));
  }

  /**
   * @param {Promise<Response>} asked the scene's file, already requested
   * @param {Promise<unknown>} styled the style sheet, already requested
   */
  async open(asked, styled) {
    const { root, ending } = this;
    try {
      const answer = await asked;
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const buffer = await answer.arrayBuffer();
      await styled;
      if (ending.signal.aborted) return;
      this.shown = new SceneViewer(root, decodeScene(buffer), ending.signal);
    } catch (error) {
      if (!ending.signal.aborted) this.#fail(error);
      return;
    }
    requestAnimationFrame(() => {
      root.dataset.readyMs = String(Math.round(performance.now() - this.started));
      root.dataset.state = "ready";
      performance.mark("ok3d-ready");
      this.shown?.hover.prepare(ending.signal);
      this.shown?.flat.prepare(ending.signal);
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    this.ending.abort(); // frees what was built so far
    this.root.dataset.state = "failed";
    const reason = /webgl/i.test(String(error))
      ? "This browser cannot show 3D graphics (WebGL is off or missing)."
      : `The 3D view could not be loaded: ${error instanceof Error ? error.message : error}.`;
    this.root.replaceChildren(element("p", { class: "wait", role: "alert" }, reason));
    this.failed();
  }

  dispose() {
    this.ending.abort();
    this.root.replaceChildren();
  }
}

/** A loaded scene: builds the elements and connects the parts. */
class SceneViewer {
  /**
   * @param {HTMLElement} root @param {SceneData} scene
   * @param {AbortSignal} signal ends it
   */
  constructor(root, scene, signal) {
    this.root = root;
    this.scene = scene;
    this.size = { width: 0, height: 0 };
    const canvas = element("canvas", { class: "canvas" });
    this.camera = new Camera();
    this.stage = new Stage(canvas, scene.meshes, this.camera);
    signal.addEventListener("abort", () => this.stage.dispose());
    this.surface = makeSurface(scene, canvas);
    this.hint = element("p", { class: "hint" });
    this.compass = new Compass(scene.side);
    this.colouring = new Colouring(scene, this.stage);
    this.hover = new Hover(scene, this.stage, this.surface);
    this.navigation = new Navigation(scene, this.camera, this.stage, (view, layout) => this.#arrived(view, layout));
    signal.addEventListener("abort", () => this.navigation.stop());
    const { tools, fullScreen } = makeTools({
      reset: () => this.navigation.reset(),
      save: () => this.save(),
      toggleFullScreen: () => this.#toggleFullScreen(),
    });
    this.panel = controlPanel(scene, this);
    this.flat = new FlatPanel(scene, { ...this, turnTo: (direction) => this.#turnTo(direction) });
    this.colouring.applied = () => this.flat.paint();
    const { hint, hover, surface, flat } = this;
    const top = element("div", { class: "top" }, hint, tools);
    const over = [this.colouring.legend, top, this.compass.root, hover.tip, hover.spoken];
    surface.append(flat.mark);
    root.replaceChildren(
      element("div", { class: "frame" }, surface, ...over),
      this.panel,
      makeFoot(scene.views, (view) => this.navigation.look(view)),
      flat.root,
    );
    this.#resize();
    this.#listen(signal, canvas, fullScreen);
    this.navigation.open();
    this.stage.drawn = () => {
      this.compass.turn(this.camera.basis());
      flat.place();
      root.dataset.frames = String(this.stage.frames);
    };
    this.stage.open();
  }

  /** @param {AbortSignal} signal @param {HTMLCanvasElement} canvas @param {HTMLElement} fullScreen */
  #listen(signal, canvas, fullScreen) {
    const { surface, hover, stage, root } = this;
    this.controls = new Controls(surface, this.camera, {
      signal,
      reset: () => this.navigation.reset(),
      keyed: () => hover.readMiddle(),
      moved: () => {
        delete root.dataset.view;
        this.navigation.stop();
        hover.hide();
        this.flat.point(null);
        stage.invalidate(true);
      },
    });
    surface.addEventListener("pointermove", (event) => this.#reportHover(event), { signal });
    const left = () => {
      hover.hide();
      this.flat.point(null);
    };
    for (const end of ["pointerleave", "blur"]) surface.addEventListener(end, left, { signal });
    const observer = new ResizeObserver(() => {
      if (!this.#resize()) return;
      if (root.dataset.view) this.navigation.reframe();
      stage.invalidate();
    });
    observer.observe(root);
    observer.observe(surface);
    signal.addEventListener("abort", () => observer.disconnect());
    canvas.addEventListener("webglcontextrestored", () => stage.invalidate(), { signal });
    const label = () => {
      fullScreen.textContent = this.#fillsScreen() ? "Leave full screen" : "Full screen";
    };
    document.addEventListener("fullscreenchange", label, { signal });
  }

  /** Follow the size of the page. -> whether the picture's size has changed */
  #resize() {
    this.root.classList.toggle("narrow", this.root.clientWidth < NARROW_PX); // controls below the picture, not beside it
    const { clientWidth: width, clientHeight: height } = this.surface;
    if (!width || !height || (width === this.size.width && height === this.size.height)) return false;
    this.size = { width, height };
    this.stage.resize(width, height);
    return true;
  }

  /** @param {View} view @param {Layout} layout */
  #arrived(view, layout) {
    Object.assign(this.root.dataset, { view: view.title.toLowerCase(), layout: layout.id });
    this.hint.textContent = layout.hint;
    this.compass.root.toggleAttribute("hidden", !layout.anatomical);
    markLayout(this.panel, layout.id);
    this.hover.hide();
  }

  /** Look from a direction that has no name. @param {number[]} direction */
  #turnTo(direction) {
    delete this.root.dataset.view;
    this.hover.hide();
    this.navigation.face(direction);
  }

  /** @param {PointerEvent} event */
  #reportHover(event) {
    if (this.controls?.held || this.root.dataset.state !== "ready") return;
    const begun = performance.now();
    const found = this.hover.follow(event);
    this.flat.point(this.hover.found);
    Object.assign(this.root.dataset, {
      hoverMs: Math.max(0, performance.now() - event.timeStamp).toFixed(1),
      hoverWorkMs: (performance.now() - begun).toFixed(1),
      hoverStructure: found?.structure ?? "",
      hoverRegion: found?.regions[0] ?? "",
      hoverValue: found?.value ?? "",
    });
  }

  /** Save the picture with its legend as knee-3d.png. */
  async save() {
    const { stage, scene, colouring, size } = this;
    stage.drawSharp(size.width, size.height);
    const style = getComputedStyle(this.root);
    const blob = await pictureWithLegend(stage.renderer.domElement, {
      channel: colouring.channel,
      range: colouring.range,
      bone: colouring.bone,
      caption: `${scene.side === "left" ? "Left" : "Right"} knee. ${this.navigation.layout.hint}. Research use only.`,
      paper: style.backgroundColor,
      ink: style.color,
    });
    const link = element("a", { href: URL.createObjectURL(blob), download: "knee-3d.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #fillsScreen() {
    const root = this.root.getRootNode();
    const element = root instanceof ShadowRoot ? root.fullscreenElement : document.fullscreenElement;
    return element === this.root;
  }

  #toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen();
  }
}
