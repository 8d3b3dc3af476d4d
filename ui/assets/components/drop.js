// Uploads many scans, one after another: each file, or each folder packed as a zip. The bytes go to the REST interface;
// Streamlit gets the ids and names of the scans that were accepted.
import { droppable } from "./drop_zone.js";
import { one, walk } from "./upload.js";

const ZIP = "../vendor/client-zip-2.5.1.min.js";
const SCANS = new URL("../../api/scans", import.meta.url).href;
const WAIT_MS = 3000; // before a try again, where the server is busy
const TRIES = 20;

/**
 * @typedef {{file: File, path: string}} Item
 * @typedef {{scan_id: string, filename: string}} Scan
 * @typedef {(name: "scans", scans: Scan[]) => void} Tell
 */

/** @type {WeakMap<HTMLElement, Tell>} */
const tellers = new WeakMap(); // by root: what the last rerun passed

/** @param {{data: {limit_bytes: number, archive: string}, parentElement: HTMLElement, setStateValue: Tell}} component */
export default function ({ data, parentElement, setStateValue }) {
  const root = one(parentElement, ".drop", HTMLElement);
  tellers.set(root, setStateValue);
  if (root.dataset.ready) return; // called by a rerun: the current uploads continue
  root.dataset.ready = "yes";
  /** @param {string} name */
  const part = (name) => one(root, `[data-part=${name}]`, HTMLElement);
  const bar = one(root, "progress", HTMLProgressElement);
  const input = one(root, "[data-part=files]", HTMLInputElement);
  /** @type {Scan[]} */
  const accepted = [];
  /** @type {{name: string, files: Item[]}[]} */
  const waiting = [];
  let total = 0;
  let done = 0;
  let busy = false;

  /** @param {string} text */
  const problem = (text) => {
    const line = document.createElement("li");
    line.textContent = text;
    part("problems").append(line);
  };

  async function work() {
    if (busy) return;
    busy = true;
    bar.hidden = false;
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      part("detail").textContent = `${done + 1} of ${total}: ${next.name}`;
      try {
        const scan = await send(next.name, next.files);
        if (scan) accepted.push(scan);
      } catch {
        problem(`${next.name}: the upload was interrupted. Drop it again.`);
      }
      done += 1;
      bar.value = done / total;
    }
    busy = false;
    bar.hidden = true;
    part("detail").textContent = `${accepted.length} scans are uploaded.`;
    tellers.get(root)?.("scans", [...accepted]);
  }

  /** @param {string} name @param {Item[]} files @returns {Promise<Scan | null>} */
  async function send(name, files) {
    /** @type {Blob} */
    let blob = files[0].file;
    let sent = name;
    if (files.length > 1 || files[0].path.includes("/")) {
      const { downloadZip } = await import(ZIP);
      blob = await downloadZip(files.map(({ file, path }) => ({ name: path, input: file, lastModified: file.lastModified }))).blob();
      sent = `${name}${data.archive}`;
    }
    if (blob.size > data.limit_bytes) {
      problem(`${name}: larger than ${Math.round(data.limit_bytes / 1e6)} MB, which this server takes.`);
      return null;
    }
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const form = new FormData();
      form.append("file", blob, sent);
      const answer = await fetch(SCANS, { method: "POST", body: form });
      /** @type {{scan_id?: string, detail?: unknown, hint?: string}} */
      const body = await answer.json().catch(() => ({}));
      if (answer.status === 201 && body.scan_id) return { scan_id: body.scan_id, filename: sent };
      if (answer.status !== 429 && answer.status !== 503) {
        const detail = typeof body.detail === "string" ? body.detail : `the server answered ${answer.status}.`;
        problem(`${name}: ${detail} ${body.hint ?? ""}`.trim());
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
    problem(`${name}: the server is busy. Drop it again later.`);
    return null;
  }

  /** @param {{name: string, files: Item[]}[]} found */
  function take(found) {
    const usable = found.filter(({ name, files }) => files.length && !name.startsWith("."));
    waiting.push(...usable);
    total += usable.length;
    if (usable.length) work();
  }

  part("choose").onclick = () => input.click();
  input.onchange = () => {
    take([...(input.files ?? [])].map((file) => ({ name: file.name, files: [{ file, path: file.name }] })));
    input.value = "";
  };
  droppable(part("zone"), async ({ items }) => {
    const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
    try {
      take(await Promise.all(entries.map(async (entry) => ({ name: entry.name, files: await walk(entry) }))));
    } catch {
      problem("What was dropped could not be read. Choose the files with the button instead.");
    }
  });
  if (input.files?.length) input.dispatchEvent(new Event("change")); // chosen before this script was there
}
