// Ends the session of this browser, then goes to the address at which the provider ends its own.

/** @param {{parentElement: HTMLElement}} component */
export default function ({ parentElement }) {
  const button = parentElement.querySelector("button");
  if (!button) throw new Error("the button of ui/parts/access.py has changed");
  button.onclick = async () => {
    button.disabled = true;
    try {
      const answer = await fetch(new URL("../../api/sign-out", import.meta.url), { method: "POST" });
      window.location.assign((await answer.json()).address);
    } catch {
      button.disabled = false;
      button.textContent = "Sign out (the server is not responding)";
    }
  };
}
