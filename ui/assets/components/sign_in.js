// The link that leads to the provider, which sends the browser back to this page.

/** @param {{parentElement: HTMLElement}} component */
export default function ({ parentElement }) {
  const link = parentElement.querySelector("a");
  if (!link) throw new Error("the link of ui/parts/access.py has changed");
  const root = new URL("../../", import.meta.url);
  const page = window.location.pathname.slice(root.pathname.length - 1) || "/";
  const address = new URL("api/sign-in", root);
  address.searchParams.set("next", page + window.location.search);
  link.href = address.href;
}
