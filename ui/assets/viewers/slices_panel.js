// The controls: frame, headers and sliders of the planes, switches, and the values under the cross-hair.

import { EDIT_HELP } from "./edit/keys.js";
import { check, choice, el, icon, range } from "./slices_elements.js";

/** @import { Overlay, Viewer } from "./slices.js" */
/** @import { Entry, Plane, SlicesMeta, T2Meta, ScanMeta, VoxelValue } from "./slices_volume.js" */

const HELP = [
  ["Click, drag", "move the cross-hair"],
  ["Wheel, Page Up/Down", "next slice"],
  ["Arrows (Shift: by 10)", "move the cross-hair"],
  ["Right drag", "brightness and contrast"],
  ["Shift drag, middle drag", "pan"],
  ["Ctrl wheel, + and −, pinch", "zoom; 0 fits"],
];

/** @param {HTMLElement} parent */
export function buildFrame(parent) {
  const message = el("p", { className: "message", role: "status" });
  const body = el("div", { className: "body" });
  const sheets = ["./slices.css", "./edit/edit.css"].map((name) => el("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href }));
  const root = el("div", { className: "slices" }, message, body);
  root.hidden = true;
  sheets[0].addEventListener("load", () => { root.hidden = false; });
  parent.append(...sheets, root);
  const remove = root.remove.bind(root);
  root.remove = () => { for (const sheet of sheets) sheet.remove(); remove(); };
  return { root, message, body };
}

/** @param {Viewer} viewer */
export function buildPanel(viewer) {
  const { volume, state, frame } = viewer;
  const planes = volume.planes.map((plane, k) => buildPlane(viewer, plane, k));
  const chooser = choice("Plane", "chooser", volume.planes.map(({ name }, k) => ({ value: k, text: name })), state.large, enlarge);
  const readout = buildReadout(viewer);
  const entries = el("div", { className: "entries" });
  const scale = buildScale(volume.meta.t2);

  const fill = range("Fill", { min: 0, max: 100, step: 5, value: state.fill[state.mode] * 100 }, (value) => {
    viewer.change({ fill: { ...state.fill, [state.mode]: value / 100 } });
  }, (value) => `${value} %`);

  /** @param {number} k */
  function enlarge(k) {
    for (const [other, { section }] of planes.entries()) section.classList.toggle("large", other === k);
    chooser.querySelectorAll("input")[k].checked = true;
    viewer.change({ large: k });
  }
  for (const [k, plane] of planes.entries()) plane.enlarge.addEventListener("click", () => enlarge(k));

  /** @param {Overlay} mode */
  async function overlay(mode) {
    if (mode !== "structures") await volume.need(mode === "t2" ? "t2" : "subregions");
    viewer.change({ mode });
    fill.set(state.fill[mode] * 100);
    list();
  }
  function list() {
    const shown = state.mode === "regions" ? volume.meta.regions : volume.meta.structures.filter(({ found }) => found !== false);
    entries.replaceChildren(...shown.map((entry) => buildEntry(viewer, entry)));
    scale.hidden = state.mode !== "t2";
  }
  /** @type {{value: Overlay, text: string}[]} */
  const modes = [{ value: "structures", text: "Structures" }, { value: "regions", text: "Sub-regions" }];
  if (volume.meta.t2) modes.push({ value: "t2", text: volume.meta.t2.title });

  const editKeys = el("details", { hidden: true }, el("summary", {}, "Keys for editing"), keyList(EDIT_HELP));
  const editing = el("div", { hidden: true });
  const begin = el("div", { hidden: true });
  const panel = el("div", { className: "panel" },
    readout.list,
    begin,
    choice("Overlay", "overlay", modes, state.mode, overlay),
    scale,
    entries,
    fill.row,
    el("div", { className: "checks" },
      check("Outlines", state.outline, (outline) => viewer.change({ outline })),
      check("Cross-hair", state.cross, (cross) => viewer.change({ cross }))),
    volume.meta.scan ? buildWindow(viewer, volume.meta.scan) : null,
    el("button", { type: "button", className: "save", onclick: () => viewer.save() }, "Save picture"),
    el("details", {}, el("summary", {}, "Mouse and keys"), keyList(HELP)),
    editKeys);

  /** @param {{root: HTMLElement, begin: HTMLElement} | null} toolbar of the edit mode */
  function placeEditor(toolbar) {
    editing.replaceChildren(...(toolbar ? [toolbar.root] : []));
    begin.replaceChildren(...(toolbar ? [toolbar.begin] : []));
    for (const place of [editing, begin, editKeys]) place.hidden = !toolbar;
  }

  frame.body.replaceChildren(chooser, editing, el("div", { className: "planes" }, ...planes.map(({ section }) => section)), panel,
    el("p", { className: "note" }, note(volume.meta)));
  enlarge(state.large);
  list();
  return { planes, show: readout.show, overlay, list, placeEditor };
}

/** @param {string[][]} lines */
const keyList = (lines) => el("dl", { className: "help" }, ...lines.flatMap(([what, does]) => [el("dt", {}, what), el("dd", {}, does)]));

/** @param {SlicesMeta} meta */
function note(meta) {
  const parts = ["Radiological convention: the patient's left is on the right of coronal and axial pictures."];
  if (meta.tilt_deg >= 1) parts.push(`Slices lie in the scan's own planes, up to ${meta.tilt_deg.toFixed(0)}° from the body's.`);
  if (!meta.scan) parts.unshift("The label map was measured without a scan, so there is no image under it.");
  return parts.join(" ");
}

/** @param {Viewer} viewer @param {Plane} plane @param {number} k */
function buildPlane(viewer, plane, k) {
  const name = plane.name;
  const canvas = el("canvas", {
    tabIndex: 0, role: "application", "aria-roledescription": "picture of a slice",
    "aria-label": `${name} slice. Arrow keys move the cross-hair, Page Up and Page Down change the slice, plus and minus zoom, 0 fits.`,
  });
  const slider = el("input", {
    type: "range", min: 1, max: plane.n, step: 1, "aria-label": `${name} slice`,
    oninput: () => viewer.changeSlice(k, Number(slider.value) - 1, 0),
  });
  const count = el("span", { className: "count" });
  const pane = () => viewer.panes[k];
  const enlarge = icon("large", `Enlarge the ${name.toLowerCase()} plane`, () => {});
  enlarge.classList.add("enlarge");
  const bar = el("div", { className: "bar" }, el("strong", {}, name), count, el("span", { className: "space" }),
    icon("minus", `Zoom out of the ${name.toLowerCase()} plane`, () => pane().magnify(0.8)),
    icon("plus", `Zoom into the ${name.toLowerCase()} plane`, () => pane().magnify(1.25)),
    icon("fit", `Fit the ${name.toLowerCase()} plane`, () => { pane().fit(); viewer.refresh(); }),
    enlarge);
  const section = el("section", { className: "plane", "aria-label": `${name} plane` }, bar, el("div", { className: "picture" }, canvas), slider);
  return { section, canvas, slider, count, enlarge };
}

/** @param {Viewer} viewer */
function buildReadout({ volume, state }) {
  const { scan, t2, structures, regions } = volume.meta;
  /** @param {Entry[]} entries @param {number} label */
  const title = (entries, label) => entries.find((entry) => entry.label === label)?.title ?? "none";
  const lines = ["Structure", "Sub-region", ...(scan ? ["Intensity"] : []), ...(t2 ? [t2.title] : []), "Position", "Voxel"];
  const cells = Object.fromEntries(lines.map((name) => [name, el("dd", {})]));
  const list = el("dl", { className: "readout", "aria-label": "Under the cross-hair" }, ...lines.flatMap((name) => [el("dt", {}, name), cells[name]]));
  cells["Sub-region"].className = "long";
  cells.Position.title = "Millimetres to the patient's left or right, to the back or front, up or down";
  cells.Voxel.title = "x, y, z, counted from 0";
  const letters = [["L", "R"], ["P", "A"], ["S", "I"]];
  return {
    list,
    /** @param {VoxelValue} value @param {number[]} mm LPS */
    show(value, mm) {
      /** @type {Record<string, string>} */
      const texts = {
        Structure: title(structures, value.label),
        "Sub-region": title(regions, value.region),
        Intensity: value.intensity?.toFixed(!scan || scan.step >= 1 ? 0 : scan.step < 0.1 ? 2 : 1) ?? "",
        ...(t2 && { [t2.title]: value.t2 === null ? "no fit here" : `${value.t2.toFixed(t2.digits)} ${t2.unit}` }),
        Position: `${mm.map((x, k) => `${letters[k][x < 0 ? 1 : 0]}\u00a0${Math.abs(x).toFixed(1)}`).join(" ")} mm`,
        Voxel: [...state.at].reverse().join(", "),
      };
      for (const name of lines) if (cells[name].textContent !== texts[name]) cells[name].textContent = texts[name];
    },
  };
}

/** @param {Viewer} viewer @param {Entry} entry */
function buildEntry(viewer, { key, title, colour }) {
  const { hidden } = viewer.state;
  const swatch = el("span", { className: "swatch" });
  swatch.style.background = colour;
  const row = check(title, !hidden.has(key), (on) => {
    if (on) hidden.delete(key);
    else hidden.add(key);
    viewer.refresh();
  });
  row.querySelector("input")?.after(swatch);
  return row;
}

/** @param {T2Meta | null} t2 */
function buildScale(t2) {
  if (!t2) return el("span", { hidden: true });
  const [low, high] = t2.range_ms;
  const bar = el("div", { className: "ramp" });
  bar.style.background = `linear-gradient(90deg, ${t2.colours.map((c) => `rgb(${c})`).join()})`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => el("span", {}, `${low + part * (high - low)}`));
  return el("div", { className: "scale" }, bar, el("div", { className: "ticks" }, ...ticks), el("span", { className: "unit" }, `${t2.title} in ${t2.unit}`));
}

/** @param {Viewer} viewer @param {ScanMeta} scan */
function buildWindow(viewer, scan) {
  const [low, high] = [scan.offset, scan.offset + 255 * scan.step];
  /** @param {number} value */
  const round = (value) => (scan.step < 0.1 ? value.toFixed(2) : value.toFixed(0));
  const half = () => (viewer.state.window[1] - viewer.state.window[0]) / 2;
  const middle = () => (viewer.state.window[1] + viewer.state.window[0]) / 2;
  /** @param {number} level @param {number} width */
  const set = (level, width) => viewer.setWindow(level - width / 2, level + width / 2);
  const width = range("Window", { min: scan.step, max: high - low, step: scan.step, value: 2 * half() }, (value) => set(middle(), value), round);
  const level = range("Level", { min: low, max: high, step: scan.step, value: middle() }, (value) => set(value, 2 * half()), round);
  viewer.windowChanged = () => {
    width.set(2 * half());
    level.set(middle());
  };
  const reset = el("button", { type: "button", className: "link", onclick: () => viewer.setWindow(...scan.window) }, "Reset");
  const head = el("div", { className: "head" }, el("span", {}, "Brightness and contrast"), reset);
  return el("div", { className: "window", role: "group", "aria-label": "Brightness and contrast" }, head, width.row, level.row);
}
