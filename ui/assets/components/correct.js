// Sends a label map that was corrected in another program to the REST interface; Streamlit gets the id of the new version.
const JOBS = new URL("../../api/jobs/", import.meta.url).href;

/**
 * @typedef {{job: string, newest: number}} Data
 * @typedef {{detail?: string | {msg: string}[], hint?: string, error_code?: string, id?: string}} Answer
 * @param {{data: Data, parentElement: HTMLElement, setTriggerValue: (name: "saved", id: string) => void}} component
 */
export default function ({ data, parentElement, setTriggerValue }) {
  const form = parentElement.querySelector("form");
  const problem = parentElement.querySelector(".problem");
  const state = parentElement.querySelector("[data-part=state]");
  const anyway = parentElement.querySelector("[data-part=anyway]");
  if (!form || !problem || !state || !(anyway instanceof HTMLButtonElement)) throw new Error("the form of ui/analysis/correct_elsewhere.py has changed");

  /** @param {boolean} checked whether a newer version is refused */
  async function send(checked) {
    if (!form || !problem || !state || !(anyway instanceof HTMLButtonElement)) return;
    const body = new FormData(form);
    if (checked) body.set("newest", String(data.newest));
    for (const name of ["note", "initials"]) if (!body.get(name)) body.delete(name);
    problem.textContent = "";
    anyway.hidden = true;
    state.textContent = "The map is sent and checked …";
    try {
      const reply = await fetch(`${JOBS}${encodeURIComponent(data.job)}/labels`, { method: "POST", body });
      /** @type {Answer} */
      const answer = await reply.json();
      if (reply.status === 201 && answer.id) {
        state.textContent = "Saved.";
        setTriggerValue("saved", answer.id);
        return;
      }
      const { detail } = answer;
      const text = typeof detail === "string" ? detail : (detail ?? []).map(({ msg }) => msg).join(" ");
      problem.textContent = [text, answer.hint].filter(Boolean).join(" ");
      anyway.hidden = answer.error_code !== "NEWER_VERSION";
    } catch {
      problem.textContent = "The map could not be sent. Check the connection, then try again.";
    }
    state.textContent = "";
  }

  form.onsubmit = (event) => {
    event.preventDefault();
    send(true);
  };
  anyway.onclick = () => send(false);
}
