// The elements around the picture: buttons, named views, legend, compass, help.
import { element } from "./element.js";

/** @import { SceneData, View } from "./data.js" */

const HELP =
  "Drag to turn, scroll to zoom (click first), shift-drag to move. Keys: arrows turn, + and − zoom, 0 resets; " +
  "the value in the middle is read out.";

/**
 * The focusable surface that holds the canvas.
 * @param {SceneData} scene @param {HTMLCanvasElement} canvas
 */
export function makeSurface(scene, canvas) {
  return element(
    "div",
    {
      class: "surface",
      tabindex: 0,
      role: "application",
      "aria-label": `3D view of the ${scene.side} knee`,
      "aria-describedby": "ok3d-help",
    },
    canvas,
  );
}

/**
 * Buttons on the picture.
 * @param {{reset: () => void, save: () => void, toggleFullScreen: () => void}} actions
 * @returns {{tools: HTMLElement, fullScreen: HTMLElement}}
 */
export function makeTools({ reset, save, toggleFullScreen }) {
  const fullScreen = button("Full screen", "full", toggleFullScreen);
  const tools = [button("Reset view", "home", reset), button("Save picture", "save", save)];
  if (document.fullscreenEnabled) tools.push(fullScreen);
  return { tools: element("div", { class: "tools", role: "group", "aria-label": "Picture" }, ...tools), fullScreen };
}

/**
 * Named views and help, below the picture.
 * @param {View[]} views @param {(view: View) => void} look
 */
export function makeFoot(views, look) {
  const buttons = views.map((view) => button(view.title, view.title, () => look(view)));
  const title = element("span", { "aria-hidden": "true" }, "View from");
  return element(
    "div",
    { class: "foot" },
    element("div", { class: "views", role: "group", "aria-label": "View from" }, title, ...buttons),
    element("p", { class: "help", id: "ok3d-help" }, HELP),
  );
}

/** @param {string} title @param {string} name @param {() => void} act */
function button(title, name, act) {
  return element("button", { type: "button", "data-name": name, click: act }, title);
}
