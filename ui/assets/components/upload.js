// Uploads a scan: dropped or chosen, several files packed into one zip, with progress. The bytes go to the REST interface;
// Streamlit only gets the id of the upload.
import { droppable } from "./drop_zone.js";

const ZIP = "../vendor/client-zip-2.5.1.min.js";
const SCANS = new URL("../../api/scans", import.meta.url).href;

/**
 * @typedef {{file: File, path: string}} Item
 * @typedef {(name: "scan", id: string) => void} Tell
 * @typedef {{compact: string[], archive: string, unnamed: string}} Endings file extensions
 */

/** @type {WeakMap<HTMLElement, Tell>} */
const tellers = new WeakMap(); // by root: what the last rerun passed

/** @param {number} bytes */
const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`);

/**
 * @template {HTMLElement} T
 * @param {ParentNode} parent @param {string} selector @param {new () => T} type
 */
export function one(parent, selector, type) {
  const found = parent.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`${selector} is missing: the HTML of ui/home/upload.py has changed`);
  return found;
}

/** @param {{data: {limit_bytes: number, endings: Endings}, parentElement: HTMLElement, setStateValue: Tell}} component */
export default function ({ data, parentElement, setStateValue }) {
  const root = one(parentElement, ".upload", HTMLElement);
  root.dataset.limit = String(data.limit_bytes);
  tellers.set(root, setStateValue);
  if (root.dataset.state) return; // called by a rerun: the current upload continues
  /** @param {string} name */
  const part = (name) => one(root, `[data-part=${name}]`, HTMLElement);
  /** @param {string} name */
  const input = (name) => one(root, `[data-part=${name}]`, HTMLInputElement);
  const zone = part("zone");
  /** @type {XMLHttpRequest | null} */
  let request = null;
  /** @type {(() => void) | null} */
  let again = null;

  /** @param {string} state @param {string} title @param {string} detail */
  const show = (state, title = "", detail = "") => {
    root.dataset.state = state;
    part("title").textContent = title;
    part("detail").textContent = detail;
  };
  /** @param {string} message @param {string} hint */
  const fail = (message, hint = "") => {
    show("idle");
    part("problem").replaceChildren(message, ...(hint ? [document.createElement("br"), hint] : []));
  };

  /** @param {Item[]} files @param {string} folder its name; empty for single files */
  async function take(files, folder) {
    part("problem").textContent = "";
    again = null;
    const found = files.filter(({ path }) => !path.split("/").some((piece) => piece.startsWith(".") || piece === "__MACOSX"));
    if (!found.length) return fail("There is no file in what was chosen.", "Choose a scan, or the folder with its DICOM images.");
    const total = found.reduce((sum, { file }) => sum + file.size, 0);
    const limit = Number(root.dataset.limit);
    if (total > limit) {
      return fail(`${size(total)} were chosen; this server takes up to ${size(limit)}.`, `Choose one series, or compress it (${data.endings.compact.join(", ")}).`);
    }
    const alone = found.length === 1 && found[0].path.includes(".");
    if (alone) return send(found[0].file, found[0].file.name);
    show("packing", `Packing ${found.length} files`, size(total));
    try {
      const { downloadZip } = await import(ZIP);
      const entries = found.map(({ file, path }) => ({ name: path, input: file, lastModified: file.lastModified }));
      const [top, below] = found[0].path.split("/");
      const stem = folder || (below ? top : top.split(".")[0]) || data.endings.unnamed;
      await send(await downloadZip(entries).blob(), `${stem}${data.endings.archive}`);
    } catch {
      fail("The files could not be read.", "Were they moved or deleted meanwhile? Choose them again.");
    }
  }

  /** @param {Blob} blob @param {string} name */
  function send(blob, name) {
    again = () => send(blob, name);
    const form = new FormData();
    form.append("file", blob, name);
    const sent = new XMLHttpRequest();
    request = sent;
    const begun = performance.now();
    const bar = one(root, "progress", HTMLProgressElement);
    bar.value = 0;
    show("sending", name, `0 of ${size(blob.size)}`);
    sent.upload.onprogress = ({ loaded, total }) => {
      bar.value = loaded / total;
      const speed = loaded / Math.max(0.2, (performance.now() - begun) / 1000);
      const left = Math.round((total - loaded) / speed);
      part("detail").textContent = `${size(loaded)} of ${size(total)}${left > 2 ? `, about ${left} s left` : ""}`;
    };
    sent.upload.onload = () => show("checking", name, "Checking the upload: every slice is read.");
    sent.onload = () => {
      /** @type {{scan_id?: string, detail?: string, hint?: string}} */
      let answer = {};
      try {
        answer = JSON.parse(sent.responseText);
      } catch { /* the page of a proxy */ }
      if (sent.status === 201 && answer.scan_id) {
        show("done", name, "");
        tellers.get(root)?.("scan", answer.scan_id);
      } else if (typeof answer.detail === "string") fail(answer.detail, answer.hint);
      else fail("The server refused this upload.", `It answered ${sent.status}.`);
    };
    sent.onerror = () => {
      fail("The upload was interrupted.", "Check the connection, then try again.");
      part("again").hidden = false;
    };
    sent.onabort = () => show("idle");
    part("again").hidden = true;
    sent.open("POST", SCANS);
    sent.send(form);
  }

  /** @param {string} name of the input */
  function takeChosen(name) {
    const field = input(name);
    const files = field.files ? chosen(field.files) : [];
    field.value = "";
    if (files.length) take(files, name === "folder" ? files[0].path.split("/")[0] : "");
  }

  // Files come from two inputs or by drag and drop.
  /** @param {FileList} list @returns {Item[]} */
  const chosen = (list) => [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  for (const name of ["files", "folder"]) {
    part(`${name}-button`).onclick = () => input(name).click();
    input(name).onchange = () => takeChosen(name);
  }
  part("cancel").onclick = () => request?.abort();
  part("again").onclick = () => again?.();

  droppable(zone, async (dropped) => {
    if (root.dataset.state !== "idle") return;
    const entries = [...dropped.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
    const plain = chosen(dropped.files);
    const folder = entries.length === 1 && entries[0].isDirectory ? entries[0].name : "";
    if (!entries.some((entry) => entry.isDirectory)) return take(plain, "");
    show("packing", "Reading the folder");
    try {
      take((await Promise.all(entries.map(walk))).flat(), folder);
    } catch {
      fail("The folder could not be read.", "Choose it with the button instead.");
    }
  });
  show("idle");
  const early = ["files", "folder"].find((name) => input(name).files?.length);
  if (early) takeChosen(early); // chosen before this script was loaded
}

/**
 * Every file below a dropped entry.
 * @param {FileSystemEntry} entry
 * @returns {Promise<Item[]>}
 */
export async function walk(entry) {
  if (entry.isFile) {
    /** @type {File} */
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ file, path: entry.fullPath.slice(1) }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!piece.length) break; // a reader gives at most 100 entries at a time
    found.push(...piece);
  }
  return (await Promise.all(found.map(walk))).flat();
}
