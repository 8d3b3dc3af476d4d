// A beat every data.everyMs, only while the page can be seen: a page in the background asks nothing of the server.
export default function ({ data, parentElement, setStateValue }) {
  clearInterval(parentElement.pulse);
  parentElement.pulse = setInterval(() => {
    if (document.visibilityState === "visible") setStateValue("beat", Date.now());
  }, data.everyMs);
  return () => clearInterval(parentElement.pulse);
}
