// Sends the API key to the server once; the answer sets a cookie that scripts cannot read.

/** @param {{parentElement: HTMLElement}} component */
export default function ({ parentElement }) {
  const form = parentElement.querySelector("form");
  const field = form?.querySelector("input");
  const problem = form?.querySelector(".problem");
  if (!form || !field || !problem) throw new Error("the form of ui/parts/access.py has changed");
  form.onsubmit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const answer = await fetch(new URL("../../api/access", import.meta.url), { method: "POST", headers: { "X-API-Key": field.value.trim() } });
      if (answer.ok) window.location.reload();
      else problem.textContent = (await answer.json()).detail;
    } catch {
      problem.textContent = "The server is not responding. Try again.";
    }
  };
  field.focus();
}
