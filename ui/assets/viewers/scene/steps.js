// Channels through which the viewer steps, such as the thickness at the visits of one knee.
import { element } from "./element.js";

/** @import { Colouring } from "./colouring.js" */
/** @import { Channel } from "./data.js" */

const STEP_MS = 900; // while it plays

/**
 * Channels as entries of one choice; those that are steps of the same are one entry, with the name of the first.
 * @param {Channel[]} channels
 */
export function entriesOf(channels) {
  /** @type {Map<string, {id: string, title: string}>} */
  const entries = new Map();
  for (const channel of channels) {
    const steps = stepsOf(channel);
    const key = steps || channel.name;
    if (!entries.has(key)) entries.set(key, { id: channel.name, title: steps || channel.title });
  }
  return [...entries.values()];
}

/** @param {Channel | null} channel */
function stepsOf(channel) {
  return channel?.kind === "scalar" ? (channel.steps ?? "") : "";
}

/**
 * A slider over the steps and a button that plays them, if the current channel is one of them.
 * @param {Channel[]} channels @param {Colouring} colouring
 */
export function stepFields(channels, colouring) {
  const title = stepsOf(colouring.channel);
  if (!title) return [];
  const steps = channels.filter((channel) => stepsOf(channel) === title);
  let timer = 0;
  const show = () => {
    const step = steps[slider.valueAsNumber];
    slider.setAttribute("aria-valuetext", step.title);
    shown.textContent = step.title;
    colouring.step(step);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const next = () => {
    if (!slider.isConnected) return stop();
    slider.valueAsNumber = (slider.valueAsNumber + 1) % steps.length;
    show();
  };
  const slider = element("input", {
    type: "range",
    min: 0,
    max: steps.length - 1,
    step: 1,
    value: 0,
    "aria-label": title,
    "aria-valuetext": steps[0].title,
    input: () => {
      stop();
      show();
    },
  });
  const shown = element("output", {}, steps[0].title);
  const toggle = () => {
    if (timer) return stop();
    play.textContent = "Stop";
    timer = window.setInterval(next, STEP_MS);
    next();
  };
  const play = element("button", { type: "button", click: toggle }, "Play");
  return [element("fieldset", { class: "steps" }, element("legend", {}, shown), element("div", {}, slider, play))];
}
