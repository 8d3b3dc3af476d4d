// The analyses that were started or opened in this browser: ids, newest first, in its own storage.
const KEY = "kneebox.analyses";
const MOST = 200;

function read() {
  try {
    const ids = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return []; // storage is off, or holds something else
  }
}

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
