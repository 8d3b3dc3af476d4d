// The key goes to the server once; what comes back is a cookie that no script can read.
export default function ({ parentElement }) {
  const form = parentElement.querySelector("form");
  const field = form.querySelector("input");
  const problem = form.querySelector(".problem");
  form.onsubmit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const answer = await fetch("/api/access", { method: "POST", headers: { "X-API-Key": field.value.trim() } });
      if (answer.ok) window.location.reload();
      else problem.textContent = (await answer.json()).detail;
    } catch {
      problem.textContent = "The server does not answer. Try again.";
    }
  };
  field.focus();
}
