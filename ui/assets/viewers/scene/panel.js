// The controls next to the picture. They keep no state.
import { css } from "./colours.js";
import { element } from "./element.js";
import { entriesOf, stepFields } from "./steps.js";

/** @import { Colouring } from "./colouring.js" */
/** @import { MeshData, Range, Rgb, SceneData, ScalarChannel } from "./data.js" */
/** @import { Navigation } from "./navigation.js" */
/** @import { Stage } from "./stage.js" */

let choices = 0; // each group of radio buttons has a unique name

/**
 * A row of radio buttons.
 * @param {string} title
 * @param {{id: string, title: string, hint?: string}[]} entries
 * @param {string} taken id @param {(id: string) => void} choose
 */
function choice(title, entries, taken, choose) {
  const name = `ok3d-choice-${choices++}`;
  const labels = entries.map(({ id, title: text, hint }) => {
    const input = element("input", { type: "radio", name, value: id, change: () => choose(id) });
    input.checked = id === taken;
    return element("label", { title: hint }, input, element("span", {}, text));
  });
  return element("fieldset", { class: "choice" }, element("legend", {}, title), element("div", {}, ...labels));
}

/** @param {Rgb} colour */
function swatch(colour) {
  return element("i", { class: "swatch", style: `background:${css(colour)}`, "aria-hidden": "true" });
}

/**
 * Two fields for the ends of the colour scale.
 * @param {ScalarChannel} channel @param {Range} current @param {(range: Range) => void} change
 */
function rangeFields(channel, current, change) {
  /** @param {string} text @param {number} value */
  const field = (text, value) =>
    element("input", { type: "number", step: "any", value, "aria-label": `${text} end of the scale` });
  const low = field("Low", current[0]);
  const high = field("High", current[1]);
  const take = () => {
    /** @type {Range} */
    const ends = [low.valueAsNumber, high.valueAsNumber];
    const usable = ends.every(Number.isFinite) && ends[0] < ends[1];
    for (const input of [low, high]) input.toggleAttribute("aria-invalid", !usable);
    if (usable) change(ends);
  };
  low.addEventListener("input", take);
  high.addEventListener("input", take);
  const restore = () => {
    [low.value, high.value] = channel.range.map(String);
    take();
  };
  return element(
    "fieldset",
    { class: "range" },
    element("legend", {}, `Scale (${channel.unit})`),
    element("div", {}, low, element("span", {}, "to"), high, element("button", { type: "button", click: restore }, "Reset")),
  );
}

/** @param {string} group @param {MeshData[]} meshes @param {Stage} stage */
function structures(group, meshes, stage) {
  const rows = meshes.map((mesh) => {
    const input = element("input", { type: "checkbox", change: () => stage.setVisible(mesh.key, input.checked) });
    input.checked = mesh.shown;
    return element("label", { class: "structure" }, input, swatch(mesh.colour), element("span", {}, mesh.title));
  });
  const percent = Math.round(100 * meshes[0].opacity);
  const slider = element("input", {
    type: "range",
    min: 5,
    max: 100,
    step: 5,
    value: percent,
    "aria-label": `Opacity of ${group.toLowerCase()}, percent`,
    input: () => {
      shown.textContent = `${slider.value} %`;
      stage.setOpacity(group, slider.valueAsNumber / 100);
    },
  });
  const shown = element("output", {}, `${percent} %`);
  return element(
    "fieldset",
    { class: "group" },
    element("legend", {}, group),
    ...rows,
    element("div", { class: "opacity" }, element("span", {}, "Opacity"), slider, shown),
  );
}

/**
 * All controls of a scene.
 * @param {SceneData} scene
 * @param {{colouring: Colouring, navigation: Navigation, stage: Stage}} viewer
 */
export function controlPanel(scene, { colouring, navigation, stage }) {
  const panel = element("div", { class: "panel", role: "group", "aria-label": "What the 3D view shows" });
  const slot = element("div", { class: "slot" });
  const drawRange = () => {
    const { channel, range } = colouring;
    const fields = channel?.kind === "scalar" ? [rangeFields(channel, range, (ends) => colouring.setRange(ends))] : [];
    slot.replaceChildren(...stepFields(scene.channels, colouring), ...fields);
  };
  const channels = [...entriesOf(scene.channels), { id: "", title: "None" }];
  panel.append(
    choice("Colour", channels, colouring.channel?.name ?? "", (name) => {
      colouring.choose(name);
      drawRange();
    }),
    slot,
    choice("Arrangement", scene.layouts, navigation.layout.id, (id) => navigation.arrange(id)),
  );
  drawRange();
  for (const group of new Set(scene.meshes.map((mesh) => mesh.group))) {
    panel.append(structures(group, scene.meshes.filter((mesh) => mesh.group === group), stage));
  }
  return panel;
}

/**
 * Mark the current arrangement after it was changed by something else than its radio buttons.
 * @param {HTMLElement} panel @param {string} id
 */
export function markLayout(panel, id) {
  /** @type {HTMLInputElement | null} */
  const input = panel.querySelector(`input[type="radio"][value="${id}"]`);
  if (input) input.checked = true;
}
