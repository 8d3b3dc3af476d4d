// The bar above the pictures: tools, structures, options of the tool, and what the last stroke did.

import { choice, el, icon, range } from "../slices_elements.js";
import { SaveForm } from "./save_form.js";
import { TOOLS } from "./tools.js";

/** @import { Editor } from "./editor.js" */
/** @import { OptionName, ToolName } from "./tools.js" */

const REACH_MM = { min: 3, max: 15, step: 1 };
const SIZE_MM = { min: 0.5, max: 30, step: 0.5 };

/** @param {Editor} editor */
export function buildToolbar(editor) {
  const { viewer } = editor;
  const { structures } = viewer.volume.meta;
  const names = /** @type {ToolName[]} */ (Object.keys(TOOLS));
  const tools = choice("Tool", "tools", names.map((value) => ({ value, text: TOOLS[value].title })), editor.tool, (name) => editor.choose(name));
  tools.querySelectorAll("label").forEach((label, k) => { label.title = `${TOOLS[names[k]].hint} Key: ${TOOLS[names[k]].key.toUpperCase()}`; });
  const chips = choice("Structure", "chips", structures.map(({ label, title }) => ({ value: label, text: title })), editor.label, (label) => editor.chooseStructure(label));
  chips.querySelectorAll("label span").forEach((span, k) => {
    const swatch = el("i", { className: "swatch", "aria-hidden": "true" });
    swatch.style.background = structures[k].colour;
    span.prepend(swatch);
    if (structures[k].label <= 9) span.append(el("kbd", { "aria-hidden": "true" }, String(structures[k].label)));
  });
  const undo = icon("undo", "Undo (Ctrl Z)", () => editor.undo());
  const redo = icon("redo", "Redo (Ctrl Shift Z)", () => editor.redo());
  /** @param {string} text @param {() => void} onclick @param {string} className @param {string} title */
  const button = (text, onclick, className = "save", title = "") => el("button", { type: "button", className, onclick, title }, text);
  const fill = button("Fill between", () => editor.proposals.fillBetween(), "save", "Interpolate the structure between the painted slices of the plane that was used last. Key: F");
  const slice = button("Smooth slice", () => editor.smoothSlice(editor.pane), "save", "Smooth the structure in the slice of the plane that was used last. Key: M");
  const save = button("Save …", () => form.open(), "save strong", "Save as a new version (Ctrl S)");
  const done = button("Close", () => editor.close(), "save", "Stop editing; unsaved edits are kept in this browser");
  const options = buildOptions(editor);
  const accept = button("Accept", () => { editor.proposals.accept(); editor.pane.canvas.focus({ preventScroll: true }); }, "save strong", "Enter");
  const reject = button("Reject", () => { editor.proposals.reject(); editor.pane.canvas.focus({ preventScroll: true }); }, "save", "Escape");
  const status = el("span", { className: "status", role: "status", "aria-live": "polite" });
  const asked = el("span", { className: "asked" }, accept, reject);
  const banner = el("p", { className: "banner" });
  const bar = el("section", { className: "edit", "aria-label": "Edit outlines" },
    el("div", { className: "line" }, tools, el("div", { className: "group" }, undo, redo, fill, slice), el("span", { className: "space" }), el("div", { className: "group" }, save, done)),
    chips,
    options.root,
    el("div", { className: "line status-line" }, status, asked));
  const ring = el("span", { className: "ring", "aria-hidden": "true", hidden: true });
  const form = new SaveForm(editor);
  const begin = button("Edit outlines", () => editor.open());
  const root = el("div", { className: "editing" }, banner, bar, form.dialog);

  function refresh() {
    const { active, session, strokes, proposals } = editor;
    bar.hidden = !active;
    begin.hidden = active || session.state === "elsewhere" || session.state === "saved";
    begin.textContent = strokes ? `Edit outlines (${strokes} unsaved)` : "Edit outlines";
    viewer.root.classList.toggle("is-editing", active);
    tools.querySelectorAll("input").forEach((input, k) => { input.checked = names[k] === editor.tool; });
    chips.querySelectorAll("input").forEach((input, k) => { input.checked = structures[k].label === editor.label; });
    undo.disabled = strokes === 0;
    redo.disabled = strokes === session.history.strokes.length;
    save.disabled = strokes === 0;
    asked.hidden = !proposals.current;
    options.refresh();
    const parts = bannerOf(editor, button);
    banner.replaceChildren(...parts);
    banner.hidden = !parts.length;
    root.hidden = bar.hidden && banner.hidden;
  }
  /** @param {string} text */
  const say = (text) => { status.textContent = text; };
  return { root, ring, begin, refresh, say, openSave: () => { if (editor.strokes) form.open(); else say("There is nothing to save yet."); }, nextOver: options.nextOver };
}

/**
 * What the user must know about kept strokes.
 * @param {Editor} editor @param {(text: string, onclick: () => void) => HTMLElement} button
 * @returns {(Node | string)[]}
 */
function bannerOf(editor, button) {
  const { session, active, about } = editor;
  const parts = [];
  if (session.state === "elsewhere") {
    parts.push("Another tab of this browser edits these outlines; its strokes are kept there. ", button("Edit here instead", () => editor.open(true)));
  } else if (session.state === "saved") {
    parts.push("Your edits are saved as a new version.");
  } else if (active && session.restored) {
    const when = new Date(session.restored);
    const today = when.toDateString() === new Date().toDateString();
    const text = when.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
    parts.push(`Unsaved edits of ${text} restored. `, button("Discard", () => editor.discard()));
  } else if (session.others) {
    parts.push("This browser keeps unsaved edits of another version of this analysis. Open that version to continue with them.");
  }
  if (active && about.version < about.newest) parts.push(` This is version ${about.version}; the newest is ${about.newest}.`);
  if (active && session.problem) parts.push(` ${session.problem}`);
  return parts;
}

/** @param {Editor} editor */
function buildOptions(editor) {
  const { settings, viewer } = editor;
  const { structures, scan } = viewer.volume.meta;
  const size = range("Size", { ...SIZE_MM, value: settings.diameter }, (value) => editor.set({ diameter: value }), (value) => `${value} mm`);
  const shape = choice("Shape", "pairs", [{ value: 0, text: "Disc" }, { value: 1, text: "Ball" }], 0, (ball) => editor.set({ ball: ball === 1 }));
  const sign = choice("Effect", "pairs", [{ value: 0, text: "Add" }, { value: 1, text: "Remove" }], 0, (remove) => editor.set({ remove: remove === 1 }));
  const overs = [{ label: -1, title: "Everything" }, { label: 0, title: "Background" }, ...structures];
  const over = el("select", { onchange: () => editor.set({ over: Number(over.value) }) }, ...overs.map(({ label, title }) => el("option", { value: String(label) }, title)));
  /** @type {Partial<Record<OptionName, HTMLElement>>} */
  const rows = {
    size: size.row, shape, sign,
    over: el("label", { className: "pick" }, el("span", {}, "Paint over"), over),
  };
  const shown = scan ? buildIntensities(editor, scan) : null;
  if (shown) Object.assign(rows, shown.rows);
  const reach = range("Reach", { ...REACH_MM, value: settings.reach }, (value) => editor.set({ reach: value }), (value) => `${value} mm`);
  rows.reach = reach.row;
  function refresh() {
    const wanted = TOOLS[editor.tool].options;
    for (const [name, row] of Object.entries(rows)) row.hidden = !wanted.includes(/** @type {OptionName} */ (name));
    size.set(settings.diameter);
    reach.set(settings.reach);
    shape.querySelectorAll("input")[Number(settings.ball)].checked = true;
    sign.querySelectorAll("input")[Number(settings.remove)].checked = true;
    over.value = String(settings.over);
  }
  function nextOver() {
    over.selectedIndex = (over.selectedIndex + 1) % overs.length;
    editor.set({ over: Number(over.value) });
    editor.say(`Paints over ${overs[over.selectedIndex].title.toLowerCase()}.`);
  }
  return { root: el("div", { className: "line options" }, ...Object.values(rows)), refresh, nextOver };
}

/** @param {Editor} editor @param {{offset: number, step: number}} scan */
function buildIntensities(editor, { offset, step }) {
  const { settings, viewer } = editor;
  const [low, high] = [offset, offset + 255 * step];
  const digits = step < 0.1 ? 2 : 0;
  /** @param {string} label @param {number} value */
  const number = (label, value) => el("input", { type: "number", "aria-label": label, step: "any", value: value.toFixed(digits), onchange: apply });
  const [from, to] = [number("Lowest intensity", viewer.state.window[0]), number("Highest intensity", viewer.state.window[1])];
  const box = el("input", { type: "checkbox", onchange: apply });
  function apply() {
    editor.set({ window: box.checked ? [Number(from.value), Number(to.value)] : null });
  }
  const tolerance = range("Tolerance", { min: step, max: (high - low) / 2, step, value: settings.tolerance }, (value) => editor.set({ tolerance: value }), (value) => `± ${value.toFixed(digits)}`);
  const limits = el("div", { className: "pick" }, el("label", { className: "check" }, box, el("span", {}, "Intensities")), from, el("span", {}, "to"), to);
  return { rows: { window: limits, tolerance: tolerance.row } };
}
