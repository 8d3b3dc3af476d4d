// Contact sheet of the knees of a study, the most conspicuous first, and their review by keyboard. Knees, pictures and
// reviews go to and from the REST interface; Streamlit is not asked.
import { one } from "./upload.js";

const AHEAD = 3; // pictures that are fetched before they are shown
const EMPTY_MS = 15000; // until a study without ranked knees is asked for again
const READER = "kneebox.reader"; // key in the browser's storage
const WORDS = {
  accepted: "Accepted", to_be_corrected: "To be corrected", rejected: "Rejected", disagreement: "Readers disagree", "": "",
};
/** @type {Record<string, keyof typeof WORDS>} */
const KEYS = { a: "accepted", c: "to_be_corrected", r: "rejected", u: "" };

/**
 * @typedef {{rank: number, row: number, subject: string, visit: string, side: string, score: number, reasons: string[],
 *   analysis: string, version: number, review: keyof typeof WORDS}} Knee
 * @typedef {{study: string, picture: string, report: string, judging: boolean}} Data judging: may change the study
 */

/** @param {{data: Data, parentElement: HTMLElement}} component */
export default function ({ data, parentElement }) {
  const root = one(parentElement, ".gallery", HTMLElement);
  if (root.dataset.study === data.study) return; // called by a rerun
  root.dataset.study = data.study;
  const base = new URL(`../../api/studies/${data.study}`, import.meta.url).href;
  const sheet = one(root, ".sheet", HTMLElement);
  const dialog = one(root, "dialog", HTMLDialogElement);
  const problem = one(root, ".problem", HTMLElement);
  const reader = one(root, "[data-part=reader]", HTMLInputElement);
  if (!data.judging) {
    one(root, "[data-part=begin]", HTMLButtonElement).textContent = "Look at each";
    for (const part of root.querySelectorAll("[data-owner]")) part.remove();
  }
  /** @param {string} name */
  const part = (name) => one(dialog, `[data-part=${name}]`, HTMLElement);
  const picture = one(dialog, ".picture", HTMLImageElement);
  const report = one(dialog, "[data-part=report]", HTMLAnchorElement);
  /** @type {Knee[]} */
  let knees = [];
  /** @type {HTMLButtonElement[]} */
  let cards = [];
  /** @type {Map<string, HTMLImageElement>} */
  const ahead = new Map();
  let at = 0;

  /** @param {Knee} knee @param {string} name */
  const file = (knee, name) => `${base}/rows/${knee.row}/artifacts/${name}?v=${knee.analysis}`;
  /** @param {Knee} knee */
  const title = (knee) => [knee.subject, knee.visit, knee.side].filter(Boolean).join(" · ");

  function count() {
    one(root, "[data-part=begin]", HTMLButtonElement).disabled = !knees.length;
    if (!knees.length) {
      one(root, ".counts", HTMLElement).textContent = "No knee is ranked yet. The ranking follows the first rows within about a minute.";
      return;
    }
    const of = (/** @type {string} */ state) => knees.filter(({ review }) => review === state).length;
    const differing = of("disagreement");
    const reviewed = knees.filter(({ review }) => review).length;
    one(root, ".counts", HTMLElement).textContent =
      `${reviewed} of ${knees.length} reviewed: ${of("accepted")} accepted, ${of("to_be_corrected")} to be corrected, ${of("rejected")} rejected${differing ? `, ${differing} on which readers disagree` : ""}`;
    one(root, "progress", HTMLProgressElement).value = knees.length ? reviewed / knees.length : 0;
  }

  /** Outside of the dialog and in it, where a reader looks. @param {string} text */
  function tell(text) {
    problem.textContent = text;
    part("problem").textContent = text;
  }

  /** @param {Knee} knee */
  const version = (knee) => (knee.version > 1 ? `Outlines corrected (version ${knee.version}). ` : "");

  /** @param {number} index */
  function mark(index) {
    const { review } = knees[index];
    cards[index].dataset.review = review;
    one(cards[index], ".mark", HTMLElement).textContent = WORDS[review];
    if (index === at) part("state").textContent = version(knees[index]) + (WORDS[review] || "Not reviewed");
  }

  /** @param {Knee} knee @param {number} index */
  function card(knee, index) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "card";
    const image = document.createElement("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = "";
    image.src = `${base}/rows/${knee.row}/thumbnail?v=${knee.analysis}`;
    const [name, state, why] = ["who", "mark", "why"].map((kind) => {
      const text = document.createElement("span");
      text.className = kind;
      return text;
    });
    name.textContent = `${knee.rank}. ${title(knee)}`;
    why.textContent = (knee.version > 1 ? `Version ${knee.version}. ` : "") + (knee.reasons[0] ?? "");
    button.append(image, name, state, why);
    button.onclick = () => open(index);
    item.append(button);
    cards.push(button);
    return item;
  }

  /** @param {number} index */
  function fetchAhead(index) {
    for (let next = index; next <= Math.min(index + AHEAD, knees.length - 1); next += 1) {
      const address = file(knees[next], data.picture);
      if (!ahead.has(address)) {
        const image = new Image();
        image.src = address;
        ahead.set(address, image);
      }
    }
    for (const address of [...ahead.keys()].slice(0, Math.max(0, ahead.size - 4 * AHEAD))) ahead.delete(address);
  }

  /** @param {number} index */
  function show(index) {
    if (index < 0 || index >= knees.length) return;
    at = index;
    const knee = knees[at];
    part("title").textContent = `${knee.rank} of ${knees.length}: ${title(knee)} (row ${knee.row})`;
    part("state").textContent = version(knee) + (WORDS[knee.review] || "Not reviewed");
    part("problem").textContent = "";
    part("reasons").replaceChildren(...knee.reasons.map((reason) => {
      const line = document.createElement("li");
      line.textContent = reason;
      return line;
    }));
    picture.src = file(knee, data.picture);
    picture.alt = `Outlines of ${title(knee)}`;
    report.href = file(knee, data.report);
    fetchAhead(at);
  }

  /** @param {number} index */
  function open(index) {
    show(index);
    if (!dialog.open) dialog.showModal();
  }

  /** @param {keyof typeof WORDS} state */
  async function judge(state) {
    const index = at;
    const before = knees[index].review;
    knees[index].review = state;
    mark(index);
    count();
    if (state) show(index + 1);
    try {
      const answer = await fetch(`${base}/rows/${knees[index].row}/review`, {
        method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ state, initials: reader.value.trim() }),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      problem.textContent = "";
    } catch {
      knees[index].review = before;
      mark(index);
      count();
      tell(`The review of row ${knees[index].row} was not saved. Check the connection, then try again.`);
    }
  }

  /** The analysis of the knee in another tab, in the edit mode. */
  async function edit() {
    const { row } = knees[at];
    const tab = window.open("", "_blank"); // at once: later, the browser takes it for an unwanted window
    try {
      const answer = await fetch(`${base}/rows/${row}/edit`, { method: "POST" });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.detail);
      const address = new URL(`../../analysis?job=${found.id}&edit=1&study=${data.study}`, import.meta.url).href;
      if (tab) tab.location.href = address;
      else window.location.assign(address);
    } catch (error) {
      tab?.close();
      const why = error instanceof Error && error.message ? error.message : "Check the connection, then try again.";
      tell(`The outlines of row ${row} cannot be edited now. ${why}`);
    }
  }

  dialog.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key in KEYS && data.judging) judge(KEYS[key]);
    else if (key === "e" && data.judging) edit();
    else if (key === "arrowright" || key === "n") show(at + 1);
    else if (key === "arrowleft" || key === "p") show(at - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  dialog.onclose = () => cards[at]?.focus();
  for (const button of dialog.querySelectorAll("button")) {
    button.onclick = () => {
      const name = button.dataset.do ?? "";
      if (name === "close") dialog.close();
      else if (name === "next") show(at + 1);
      else if (name === "previous") show(at - 1);
      else if (name === "edit") edit();
      else judge(/** @type {keyof typeof WORDS} */ (name === "undo" ? "" : name));
    };
  }
  one(root, "[data-part=begin]", HTMLButtonElement).onclick = () => {
    const first = knees.findIndex(({ review }) => !review);
    open(Math.max(first, 0));
  };

  async function load() {
    const shown = knees[at]?.row;
    const answer = await fetch(`${base}/gallery?${new URLSearchParams({ reader: reader.value.trim() })}`);
    if (!answer.ok) throw new Error(String(answer.status));
    knees = (await answer.json()).knees;
    cards = [];
    sheet.replaceChildren(...knees.map(card));
    at = Math.max(knees.findIndex(({ row }) => row === shown), 0);
    knees.forEach((_, index) => { mark(index); });
    if (dialog.open) show(at);
    count();
    root.dataset.state = "ready";
    if (!knees.length) setTimeout(seen, EMPTY_MS);
  }
  const reload = () => load().catch(() => tell("The knees could not be read. Reload the page."));
  reader.value = localStorage.getItem(READER) ?? "";
  reader.onchange = () => {
    localStorage.setItem(READER, reader.value.trim());
    reload();
  };
  const seen = () => {
    if (!root.isConnected) document.removeEventListener("visibilitychange", seen);
    else if (!document.hidden) reload(); // outlines may have been corrected in another tab
  };
  document.addEventListener("visibilitychange", seen);
  reload();
}
