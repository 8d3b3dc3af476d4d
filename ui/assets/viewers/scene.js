// The 3D viewer: surfaces of a knee with a number at each vertex. Python's side is ui/viewers/scene.py.
//
// The root tells how it stands: data-state (loading, ready, failed), data-loads, data-ready-ms, data-frames, data-view,
// data-layout; and after the pointer has moved data-hover-ms (from the event on), data-hover-work-ms (of it our own work),
// data-hover-structure, data-hover-region, data-hover-value.
import { Camera, steer } from "./scene/camera.js";
import { Compass } from "./scene/compass.js";
import { decodeScene } from "./scene/data.js";
import { legend, picture } from "./scene/legend.js";
import { controls, element, markLayout } from "./scene/panel.js";
import { labelAt, Picker, valueAt } from "./scene/pick.js";
import { Stage } from "./scene/stage.js";

const HELP =
  "Drag to turn, scroll to zoom (click first), shift-drag to move. Keys: arrows turn, + and − zoom, 0 starts over; " +
  "the value in the middle is read out.";
const NARROW_PX = 720;
const GLIDE_MS = 420;
const SLANTED = [0.45, 0.28, 1]; // from the front, a little from above and from the patient's left

export class Viewer {
  constructor(root, { url, height, failed }) {
    this.root = root;
    this.url = url;
    this.failed = failed;
    this.ending = new AbortController();
    this.started = performance.now();
    root.className = "ok3d";
    root.style.setProperty("--height", `${height}px`);
    Object.assign(root.dataset, { state: "loading", loads: Number(root.dataset.loads ?? 0) + 1 });
    root.replaceChildren(element("p", { class: "wait", role: "status" }, "Loading the 3D view"));
  }

  /** @param {Promise<Response>} asked the scene's file, already under way @param {Promise} styled the style sheet */
  async open(asked, styled) {
    try {
      const answer = await asked;
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const buffer = await answer.arrayBuffer();
      await styled;
      if (this.ending.signal.aborted) return;
      this.scene = decodeScene(buffer);
      this.#build();
    } catch (error) {
      if (!this.ending.signal.aborted) this.#fail(error);
    }
  }

  #fail(error) {
    this.stage?.dispose();
    this.root.dataset.state = "failed";
    const webgl = /webgl/i.test(String(error));
    const reason = webgl
      ? "This browser shows no 3D graphics (WebGL is off or missing)."
      : `The 3D view could not be loaded: ${error.message}.`;
    this.root.replaceChildren(element("p", { class: "wait", role: "alert" }, reason));
    this.failed?.();
  }

  #build() {
    const { scene, root } = this;
    this.scale = scene.channels[0] ?? null;
    this.range = this.scale?.range;
    this.layout = scene.layouts[0];
    this.bone = scene.meshes[0].colour;
    this.canvas = element("canvas", { class: "canvas" });
    this.camera = new Camera();
    this.stage = new Stage(this.canvas, scene.meshes, this.camera);
    this.stage.place(this.layout, this.layout, 1);
    this.stage.colour(this.scale, this.range);
    this.#furnish();
    root.replaceChildren(this.frame, this.panel, this.foot);
    this.#watch();
    this.#widen();
    this.#fit();
    this.home();
    this.#drawLegend();
    this.stage.drawn = () => {
      this.compass.turn(this.camera.basis());
      root.dataset.frames = this.stage.frames;
    };
    this.stage.open();
    requestAnimationFrame(() => {
      root.dataset.readyMs = Math.round(performance.now() - this.started);
      root.dataset.state = "ready";
      performance.mark("ok3d-ready");
      // one structure at a time: the first hover finds them made, and no task is long
      const waiting = [...this.stage.parts.values()];
      const next = () => {
        if (this.ending.signal.aborted || !waiting.length) return;
        this.#picker(waiting.shift());
        setTimeout(next);
      };
      setTimeout(next, 30);
    });
  }

  #furnish() {
    const { scene } = this;
    this.help = element("p", { class: "help", id: "ok3d-help" }, HELP);
    this.tip = element("div", { class: "tip", hidden: true });
    this.spoken = element("p", { class: "spoken", "aria-live": "polite" });
    this.hint = element("p", { class: "hint" });
    this.compass = new Compass(scene.side);
    this.key = element("div", { class: "key" });
    this.surface = element(
      "div",
      {
        class: "surface",
        tabindex: 0,
        role: "application",
        "aria-label": `3D view of the ${scene.side} knee`,
        "aria-describedby": "ok3d-help",
      },
      this.canvas,
    );
    const button = (title, act, name) => element("button", { type: "button", click: act, "data-name": name }, title);
    const views = scene.views.map((view) => button(view.title, () => this.look(view), view.title));
    this.full = button("Full screen", () => this.#fill(), "full");
    const tools = [button("Start over", () => this.home(true), "home"), button("Save picture", () => this.save(), "save")];
    if (document.fullscreenEnabled) tools.push(this.full);
    this.frame = element(
      "div",
      { class: "frame" },
      this.surface,
      this.key,
      this.hint,
      this.compass.root,
      element("div", { class: "tools", role: "group", "aria-label": "Picture" }, ...tools),
      this.tip,
      this.spoken,
    );
    this.panel = controls(scene, this);
    this.foot = element(
      "div",
      { class: "foot" },
      element(
        "div",
        { class: "views", role: "group", "aria-label": "Look from" },
        element("span", { "aria-hidden": "true" }, "Look from"),
        ...views,
      ),
      this.help,
    );
  }

  #watch() {
    const { signal } = this.ending;
    this.steering = steer(this.surface, this.camera, {
      signal,
      reset: () => this.home(true),
      moved: (byKey) => {
        delete this.root.dataset.view;
        this.tip.hidden = true;
        this.stage.invalidate(true);
        if (byKey) this.#readMiddle();
      },
    });
    this.surface.addEventListener("pointermove", (event) => this.#hover(event), { signal });
    this.surface.addEventListener("pointerleave", () => (this.tip.hidden = true), { signal });
    this.surface.addEventListener("blur", () => (this.tip.hidden = true), { signal });
    const size = new ResizeObserver(() => {
      this.#widen();
      if (this.#fit()) {
        if (this.root.dataset.view) this.camera.frame(this.stage.outline());
        this.stage.invalidate();
      }
    });
    size.observe(this.root);
    size.observe(this.surface);
    signal.addEventListener("abort", () => size.disconnect());
    this.canvas.addEventListener("webglcontextrestored", () => this.stage.invalidate(), { signal });
    document.addEventListener(
      "fullscreenchange",
      () => (this.full.textContent = this.#filled() ? "Leave full screen" : "Full screen"),
      { signal },
    );
  }

  /** Controls stand beside the picture where there is room for both. */
  #widen() {
    this.root.classList.toggle("narrow", this.root.clientWidth < NARROW_PX);
  }

  /** Follow the size of the page; -> whether it has changed. */
  #fit() {
    const { clientWidth: width, clientHeight: height } = this.surface;
    if (!width || !height || (width === this.width && height === this.height)) return false;
    [this.width, this.height] = [width, height];
    this.stage.resize(width, height);
    return true;
  }

  // What the controls call.

  paint(name) {
    this.scale = this.scene.channels.find((channel) => channel.name === name) ?? null;
    this.range = this.scale?.range;
    this.#recolour();
  }

  stretch(range) {
    this.range = range;
    this.#recolour();
  }

  #recolour() {
    this.stage.colour(this.scale, this.range);
    this.#drawLegend();
    this.stage.invalidate();
  }

  show(key, shown) {
    this.stage.parts.get(key).group.visible = shown;
    this.stage.invalidate();
  }

  fade(group, opacity) {
    for (const part of this.stage.parts.values()) if (part.data.group === group) this.stage.fade(part, opacity);
    this.stage.invalidate();
  }

  arrange(id) {
    const to = this.scene.layouts.find((layout) => layout.id === id);
    const from = this.layout;
    if (to === from) return;
    this.layout = to;
    this.#aim(this.#homeView(), from);
  }

  look(view) {
    const from = this.layout;
    if (!from.anatomical) {
      // opened, no direction has its name any more: show the knee with its bones apart
      this.layout = this.scene.layouts.find((layout) => layout.anatomical);
      markLayout(this.panel, this.layout.id);
    }
    this.#aim(view, from);
  }

  home(gliding = false) {
    const view = this.#homeView();
    if (gliding) return this.#aim(view, this.layout);
    this.camera.lookFrom(view.towards);
    this.camera.frame(this.stage.outline());
    this.#note(view);
  }

  #homeView() {
    if (!this.layout.anatomical) return { title: "home", towards: [0, 0, 1] };
    return { title: "home", towards: SLANTED };
  }

  #note(view) {
    Object.assign(this.root.dataset, { view: view.title.toLowerCase(), layout: this.layout.id });
    this.hint.textContent = this.layout.hint;
    this.compass.root.toggleAttribute("hidden", !this.layout.anatomical);
  }

  /** Go to a view, and from one layout to the one that now stands; at once where motion is not wanted. */
  #aim(view, from) {
    const { camera, stage } = this;
    cancelAnimationFrame(this.glide);
    const start = { yaw: camera.yaw, pitch: camera.pitch, distance: camera.distance, target: camera.target.clone() };
    stage.place(from, this.layout, 1);
    camera.lookFrom(view.towards);
    camera.frame(stage.outline());
    const turn = camera.yaw - start.yaw;
    const end = {
      yaw: start.yaw + Math.atan2(Math.sin(turn), Math.cos(turn)),
      pitch: camera.pitch,
      distance: camera.distance,
      target: camera.target.clone(),
    };
    this.#note(view);
    this.tip.hidden = true;
    const set = (share) => {
      stage.place(from, this.layout, share);
      for (const name of ["yaw", "pitch", "distance"]) camera[name] = start[name] + (end[name] - start[name]) * share;
      camera.target.lerpVectors(start.target, end.target, share);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      set(1);
      stage.invalidate();
      return;
    }
    const begun = performance.now();
    const step = () => {
      const time = Math.min(1, (performance.now() - begun) / GLIDE_MS);
      set(time * time * (3 - 2 * time));
      stage.invalidate(time < 1);
      if (time < 1) this.glide = requestAnimationFrame(step);
    };
    step();
  }

  #drawLegend() {
    this.key.replaceChildren(...(this.scale ? [legend(this.scale, this.range, this.bone)] : []));
  }

  // The number under the pointer.

  #picker(part) {
    part.picker ??= new Picker(part.data.points, part.data.faces);
    return part.picker;
  }

  /** What lies at a point of the picture (-1 to 1): bones first, since soft tissue in front of them has no numbers. */
  meet(x, y) {
    const ray = this.camera.ray(x, y);
    let found = null;
    for (const part of this.stage.parts.values()) {
      if (!part.group.visible) continue;
      const back = part.group.quaternion.clone().invert();
      const origin = ray.origin.clone().sub(part.group.position).applyQuaternion(back);
      const direction = ray.direction.clone().applyQuaternion(back);
      const hit = this.#picker(part).meet(origin.toArray(), direction.toArray());
      if (!hit) continue;
      const behind = found && (part.solid === found.part.solid ? hit.distance > found.hit.distance : part.solid);
      if (!behind) found = { part, hit };
    }
    return found && this.#describe(found.part.data, found.hit);
  }

  #describe(mesh, hit) {
    const lines = [];
    let region = "";
    let value = "";
    for (const scale of this.scene.channels) {
      const values = mesh.channels[scale.name]?.values;
      if (!values) continue;
      if (scale.kind === "categories") {
        const entry = scale.entries.find(({ label }) => label === labelAt(values, hit));
        region = entry?.title ?? scale.missing;
        continue;
      }
      const number = valueAt(values, hit);
      const known = Number.isFinite(number);
      if (known) lines.push({ text: scale.title, number: `${number.toFixed(scale.decimals)} ${scale.unit}` });
      if (known && !value) value = number.toFixed(scale.decimals);
    }
    return { structure: mesh.title, region, value, lines };
  }

  #hover(event) {
    if (this.steering.held || this.root.dataset.state !== "ready") return;
    const begun = performance.now();
    const box = this.surface.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const found = this.meet((2 * x) / box.width - 1, 1 - (2 * y) / box.height);
    this.#tell(found, x, y);
    Object.assign(this.root.dataset, {
      hoverMs: Math.max(0, performance.now() - event.timeStamp).toFixed(1),
      hoverWorkMs: (performance.now() - begun).toFixed(1),
      hoverStructure: found?.structure ?? "",
      hoverRegion: found?.region ?? "",
      hoverValue: found?.value ?? "",
    });
  }

  #tell(found, x, y) {
    this.tip.hidden = !found;
    if (!found) return;
    const lines = found.lines.map(({ text, number }) =>
      element("p", {}, element("b", {}, number), ` ${text.toLowerCase()}`),
    );
    this.tip.replaceChildren(
      ...lines,
      element("p", { class: "where" }, found.structure),
      ...(found.region ? [element("p", { class: "where" }, found.region)] : []),
    );
    const [width, height] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const left = x + 18 + width > this.width ? x - width - 14 : x + 18;
    const top = Math.min(this.height - height - 6, Math.max(6, y - height / 2));
    this.tip.style.transform = `translate(${Math.max(6, Math.round(left))}px, ${Math.round(top)}px)`;
  }

  /** For the keyboard: the value in the middle of the picture, shown and read out. */
  #readMiddle() {
    this.camera.apply();
    const found = this.meet(0, 0);
    this.#tell(found, this.width / 2, this.height / 2);
    const parts = found ? [...found.lines.map(({ text, number }) => `${text} ${number}`), found.structure, found.region] : [];
    this.spoken.textContent = parts.filter(Boolean).join(", ") || "Nothing in the middle";
  }

  // Picture and full screen.

  async save() {
    this.stage.drawSharp(this.width, this.height);
    const style = getComputedStyle(this.root);
    const blob = await picture(this.canvas, {
      scale: this.scale,
      range: this.range,
      bone: this.bone,
      caption: `${this.scene.side === "left" ? "Left" : "Right"} knee. ${this.layout.hint}. Research use only.`,
      paper: style.backgroundColor,
      ink: style.color,
    });
    const link = element("a", { href: URL.createObjectURL(blob), download: "knee-3d.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #filled() {
    return (this.root.getRootNode().fullscreenElement ?? document.fullscreenElement) === this.root;
  }

  #fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen();
  }


  dispose() {
    this.ending.abort();
    cancelAnimationFrame(this.glide);
    this.stage?.dispose();
    this.root.replaceChildren();
  }
}
