// Opens a link that was shared. Its secret is after the # of the address: it reaches the server in the body of one request,
// and is taken out of the address at once. An invitation is accepted with a button, so that nobody joins by loading a page.

/** @param {{parentElement: HTMLElement}} component */
export default function ({ parentElement }) {
  const root = new URL("../../", import.meta.url);
  const text = parentElement.querySelector("[data-part=text]");
  const button = parentElement.querySelector("[data-part=open]");
  const signIn = parentElement.querySelector("[data-part=sign-in]");
  if (!(text instanceof HTMLElement) || !(button instanceof HTMLButtonElement) || !(signIn instanceof HTMLAnchorElement)) {
    throw new Error("the content of pages/link.py has changed");
  }
  const kept = "kneebox-link";
  const given = window.location.hash.slice(1);
  if (given) {
    window.sessionStorage.setItem(kept, given); // survives the sign-in, in this tab alone
    window.history.replaceState(null, "", window.location.pathname);
  }
  const token = given || window.sessionStorage.getItem(kept);
  if (!token) {
    text.textContent = "This address has no link. Copy the whole of it, with what is after the #.";
    return;
  }
  button.hidden = false;
  button.onclick = async () => {
    button.disabled = true;
    try {
      const answer = await fetch(new URL("api/links/open", root), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ token }),
      });
      const found = await answer.json();
      if (answer.ok) {
        window.sessionStorage.removeItem(kept);
        window.location.assign(found.address);
        return;
      }
      text.textContent = `${found.detail} ${found.hint}`;
      if (answer.status === 403) {
        const address = new URL("api/sign-in", root);
        address.searchParams.set("next", "/link");
        signIn.href = address.href;
        signIn.hidden = false;
        button.hidden = true;
        return;
      }
      window.sessionStorage.removeItem(kept);
      button.hidden = true;
    } catch {
      text.textContent = "The server is not responding. Try again.";
    }
    button.disabled = false;
  };
}
