// A scan on its way from the browser's disk to the server's: dropped or chosen, several files packed into one zip on the
// way, sent with real progress. The bytes go to the REST interface; Streamlit only learns the id of what arrived.
const ZIP = "/assets/vendor/client-zip-2.5.1.min.js";

const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`);

export default function (component) {
  const { parentElement, data } = component;
  const root = parentElement.querySelector(".upload");
  root.limit = data.limit_bytes;
  root.endings = data.endings;
  root.tell = component.setStateValue;
  if (root.dataset.state) return; // called again by a rerun: what is under way goes on
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const zone = part("zone");
  let request = null;
  let again = null;

  const show = (state, title = "", detail = "") => {
    root.dataset.state = state;
    part("title").textContent = title;
    part("detail").textContent = detail;
  };
  const fail = (message, hint = "") => {
    show("idle");
    part("problem").replaceChildren(message, ...(hint ? [document.createElement("br"), hint] : []));
  };

  async function take(files, folder) {
    part("problem").textContent = "";
    again = null;
    const found = files.filter(({ path }) => !path.split("/").some((piece) => piece.startsWith(".") || piece === "__MACOSX"));
    if (!found.length) return fail("There is no file in what was chosen.", "Choose a scan, or the folder with its DICOM images.");
    const total = found.reduce((sum, { file }) => sum + file.size, 0);
    if (total > root.limit) {
      return fail(`${size(total)} were chosen; this server takes up to ${size(root.limit)}.`, `Choose one series, or compress it (${root.endings.compact.join(", ")}).`);
    }
    const alone = found.length === 1 && found[0].path.includes(".");
    if (alone) return send(found[0].file, found[0].file.name);
    show("packing", `Packing ${found.length} files`, size(total));
    try {
      const { downloadZip } = await import(ZIP);
      const entries = found.map(({ file, path }) => ({ name: path, input: file, lastModified: file.lastModified }));
      await send(await downloadZip(entries).blob(), `${folder || found[0].path.split("/")[0] || root.endings.unnamed}${root.endings.archive}`);
    } catch {
      fail("The files could not be read.", "Were they moved or deleted meanwhile? Choose them again.");
    }
  }

  function send(blob, name) {
    again = () => send(blob, name);
    const form = new FormData();
    form.append("file", blob, name);
    request = new XMLHttpRequest();
    const begun = performance.now();
    const bar = part("bar");
    bar.value = 0;
    show("sending", name, `0 of ${size(blob.size)}`);
    request.upload.onprogress = ({ loaded, total }) => {
      bar.value = loaded / total;
      const speed = loaded / Math.max(0.2, (performance.now() - begun) / 1000);
      const left = Math.round((total - loaded) / speed);
      part("detail").textContent = `${size(loaded)} of ${size(total)}${left > 2 ? `, about ${left} s left` : ""}`;
    };
    request.upload.onload = () => show("checking", name, "Looking at the scan: every slice is read once.");
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* a proxy's own page */ }
      if (request.status === 201) {
        show("done", name, "");
        root.tell("scan", answer.scan_id);
      } else if (typeof answer.detail === "string") fail(answer.detail, answer.hint);
      else fail("The server refused this upload.", `It answered ${request.status}.`);
    };
    request.onerror = () => {
      fail("The upload broke off.", "Check the connection, then try again.");
      part("again").hidden = false;
    };
    request.onabort = () => show("idle");
    part("again").hidden = true;
    request.open("POST", "/api/scans");
    request.send(form);
  }

  // ---- ways in
  const chosen = (list) => [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  for (const name of ["files", "folder"]) {
    const input = part(name);
    part(`${name}-button`).onclick = () => input.click();
    input.onchange = () => {
      const files = chosen(input.files);
      if (files.length) take(files, name === "folder" ? files[0].path.split("/")[0] : "");
      input.value = "";
    };
  }
  const early = ["files", "folder"].map(part).find((input) => input.files.length);
  part("cancel").onclick = () => request?.abort();
  part("again").onclick = () => again?.();

  let depth = 0;
  zone.ondragenter = (event) => { event.preventDefault(); depth += 1; zone.classList.add("over"); };
  zone.ondragleave = () => { depth -= 1; if (depth <= 0) zone.classList.remove("over"); };
  zone.ondragover = (event) => event.preventDefault();
  zone.ondrop = async (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("over");
    if (root.dataset.state !== "idle") return;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const plain = chosen(event.dataTransfer.files);
    const folder = entries.length === 1 && entries[0].isDirectory ? entries[0].name : "";
    if (!entries.some((entry) => entry.isDirectory)) return take(plain, "");
    show("packing", "Looking through the folder");
    try {
      take((await Promise.all(entries.map(walk))).flat(), folder);
    } catch {
      fail("The folder could not be read.", "Choose it with the button instead.");
    }
  };
  show("idle");
  early?.onchange(); // chosen before this script had come
}

// Every file below a dropped entry. A reader gives at most 100 entries at a time.
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!piece.length) break;
    found.push(...piece);
  }
  return (await Promise.all(found.map(walk))).flat();
}
