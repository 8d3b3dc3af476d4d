// Keys of the edit mode. They work wherever the focus is in the viewer, except in text fields; Space and Enter act at the
// cross-hair only if a picture has the focus, because elsewhere they press buttons.

import { TOOLS } from "./tools.js";

/** @import { Pane } from "../slices_pane.js" */
/** @import { Editor } from "./editor.js" */
/** @import { ToolName } from "./tools.js" */

/** For the list in the panel. */
export const EDIT_HELP = [
  [Object.values(TOOLS).map(({ key }) => key.toUpperCase()).join(" "), Object.values(TOOLS).map(({ title }) => title.toLowerCase()).join(", ")],
  ["1 to 9", "structure with this label"],
  ["[ ] and Shift wheel", "size of the brush"],
  ["D, X, O", "disc or ball, add or remove, what may be painted over"],
  ["Space", "the tool at the cross-hair; lasso: a corner"],
  ["Enter, Escape", "accept or reject a proposal; close or drop a lasso"],
  ["F, M", "fill between slices, smooth the slice"],
  ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
  ["Ctrl S", "save as a new version"],
  ["Alt click, or V", "move the cross-hair"],
];

const TEXT = "textarea, select, input[type=text], input[type=number]";

/**
 * @param {Editor} editor @param {KeyboardEvent} event
 * @returns {boolean} whether the key is for the edit mode, and not for the page: Streamlit takes letters typed inside a
 *   shadow root for its own keys
 */
export function onEditKey(editor, event) {
  if (!editor.active) return false;
  const target = /** @type {HTMLElement} */ (event.composedPath()[0]);
  if (target.matches(TEXT) || target.closest("dialog")) return true;
  const act = event.ctrlKey || event.metaKey ? withControl(editor, event) : event.altKey ? null : plain(editor, event, target);
  if (!act) return false;
  event.preventDefault();
  act();
  return true;
}

/** @param {Editor} editor @param {KeyboardEvent} event */
function withControl(editor, { key, shiftKey }) {
  /** @type {Record<string, () => void>} */
  const acts = {
    z: () => (shiftKey ? editor.redo() : editor.undo()),
    y: () => editor.redo(),
    s: () => editor.toolbar.openSave(),
  };
  return acts[key.toLowerCase()] ?? null;
}

/** @param {Editor} editor @param {KeyboardEvent} event @param {HTMLElement} target */
function plain(editor, { key, shiftKey }, target) {
  if (/^[1-9]$/.test(key)) return () => editor.chooseStructure(Number(key));
  /** @type {Record<string, () => void>} */
  const acts = {
    "[": () => editor.resize(-1),
    "]": () => editor.resize(1),
    d: () => editor.set({ ball: !editor.settings.ball }),
    x: () => editor.set({ remove: !editor.settings.remove }),
    o: () => editor.toolbar.nextOver(),
    f: () => editor.proposals.fillBetween(),
    m: () => editor.smoothSlice(editor.pane),
    Escape: () => { if (!editor.cancel()) editor.proposals.reject(); },
  };
  const tool = /** @type {ToolName[]} */ (Object.keys(TOOLS)).find((name) => TOOLS[name].key === key.toLowerCase());
  if (tool && !shiftKey) return () => editor.choose(tool);
  const pane = paneOf(editor, target);
  if (pane) {
    editor.pane = pane;
    acts[" "] = () => editor.strokeAtCross(pane);
    acts.Enter = () => {
      if (editor.proposals.current) editor.proposals.accept();
      else if (editor.tool === "lasso") editor.lasso.close();
      else editor.strokeAtCross(pane);
    };
  }
  return acts[key.length === 1 ? key.toLowerCase() : key] ?? null;
}

/** @param {Editor} editor @param {HTMLElement} target @returns {Pane | undefined} */
const paneOf = ({ viewer }, target) => viewer.panes.find(({ canvas }) => canvas === target);
