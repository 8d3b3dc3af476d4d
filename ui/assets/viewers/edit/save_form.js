// The form that saves the edits as a new version: what has changed, a note, initials.

import { el } from "../slices_elements.js";
import { netChange, packed } from "./net.js";
import { Newer, send } from "./send.js";
import { millilitres, titleOf } from "./words.js";

/** @import { Editor } from "./editor.js" */

const INITIALS = "kneebox.initials";

export class SaveForm {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.summary = el("tbody", {});
    this.note = el("textarea", { rows: 2, maxLength: 500 });
    this.initials = el("input", { type: "text", maxLength: 16, autocomplete: "off" });
    this.problem = el("p", { className: "problem", role: "alert" });
    this.confirm = el("button", { type: "submit", className: "save strong" }, "Save");
    this.anyway = el("button", { type: "button", className: "save", onclick: () => this.#save() }, "Save all the same");
    this.newest = el("button", { type: "button", className: "save", onclick: () => { this.dialog.close(); editor.about.saved(this.newer); } }, "Open the newest");
    this.number = 0; // of the newest version that the user knows
    this.newer = ""; // id of one that the user did not know
    const head = ["Structure", "Added", "Removed"].map((text) => el("th", { scope: "col" }, text));
    const form = el("form", { onsubmit: (/** @type {SubmitEvent} */ event) => { event.preventDefault(); this.#save(); } },
      el("h2", { id: "save-title" }, "Save as a new version"),
      el("table", {}, el("thead", {}, el("tr", {}, ...head)), this.summary),
      el("label", {}, el("span", {}, "Note (optional)"), this.note),
      el("label", {}, el("span", {}, "Initials (optional)"), this.initials),
      this.problem,
      el("div", { className: "group" }, this.confirm, this.anyway, this.newest,
        el("button", { type: "button", className: "save", onclick: () => this.dialog.close() }, "Cancel")));
    this.dialog = el("dialog", { className: "form", "aria-labelledby": "save-title", onclose: () => editor.pane.canvas.focus({ preventScroll: true }) }, form);
  }

  open() {
    const { editor } = this;
    editor.cancel();
    editor.proposals.reject();
    const { volume } = editor.viewer;
    this.net = netChange(volume.labels, editor.session.history.inForce);
    const rows = this.net.balances.map(({ label, added, removed }) => el("tr", {},
      el("th", { scope: "row" }, titleOf(volume, label)),
      ...[added, removed].map((count) => el("td", {}, count ? `${count.toLocaleString("en")} (${millilitres(volume, count)})` : "–"))));
    if (!rows.length) {
      editor.say("There is nothing to save: the edits cancel each other.");
      return;
    }
    this.summary.replaceChildren(...rows);
    this.initials.value ||= remembered();
    this.number = editor.about.newest;
    this.#show("", false);
    this.dialog.showModal();
    this.note.focus();
  }

  /** @param {string} problem @param {boolean} newer whether a newer version exists */
  #show(problem, newer) {
    this.problem.textContent = problem;
    this.confirm.hidden = newer;
    this.anyway.hidden = this.newest.hidden = !newer;
  }

  async #save() {
    if (!this.net) return;
    const { editor } = this;
    const buttons = [this.confirm, this.anyway];
    for (const button of buttons) button.disabled = true;
    this.confirm.textContent = "Saving …";
    const initials = this.initials.value.trim();
    try {
      const version = { runs: await packed(this.net.triples), newest: this.number, note: this.note.value.trim(), initials };
      const { id } = await send(editor.viewer.base, editor.about.job, version);
      remember(initials);
      this.note.value = "";
      this.dialog.close();
      await editor.session.saved();
      editor.about.saved(id);
    } catch (error) {
      const newer = error instanceof Newer;
      if (newer) [this.number, this.newer] = [error.newest.version, error.newest.id];
      this.#show(newer ? `${error.message} Your version would follow it and not hold its changes.` : error instanceof Error ? error.message : String(error), newer);
    } finally {
      for (const button of buttons) button.disabled = false;
      this.confirm.textContent = "Save";
    }
  }
}

function remembered() {
  try {
    return localStorage.getItem(INITIALS) ?? "";
  } catch {
    return ""; // storage is disabled
  }
}

/** @param {string} initials */
function remember(initials) {
  try {
    localStorage.setItem(INITIALS, initials);
  } catch { /* a private window: asked again next time */ }
}
