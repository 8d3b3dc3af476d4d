// The job ids of analyses that were started or opened in this browser, newest first, in its local storage.

/**
 * @typedef {object} Data
 * @property {string[]} remember ids to put on top
 * @property {string[]} forget
 * @property {boolean} tell whether Python asks for the list
 * @property {string[] | null} known the list that Python has
 */
const KEY = "kneebox.analyses";
const MOST = 200;

/** @returns {string[]} */
function read() {
  try {
    const ids = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return []; // storage is disabled, or holds something else
  }
}

/** @param {{data: Data, setStateValue: (name: "ids", ids: string[]) => void}} component */
export default function ({ data, setStateValue }) {
  const before = read();
  const gone = new Set([...data.remember, ...data.forget]);
  const after = [...data.remember, ...before.filter((id) => !gone.has(id))].slice(0, MOST);
  if (after.join() !== before.join()) {
    try {
      localStorage.setItem(KEY, JSON.stringify(after));
    } catch { /* a private window: the list lasts as long as the session */ }
  }
  if (data.tell && (data.known === null || data.known.join() !== after.join())) setStateValue("ids", after);
}
