// Reruns its fragment every data.everyMs while the page is visible; a hidden page sends the server nothing.

/** @type {WeakMap<HTMLElement, ReturnType<typeof setInterval>>} */
const timers = new WeakMap();

/** @param {{data: {everyMs: number}, parentElement: HTMLElement, setStateValue: (name: "tick", value: number) => void}} component */
export default function ({ data, parentElement, setStateValue }) {
  clearInterval(timers.get(parentElement));
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") setStateValue("tick", Date.now());
  }, data.everyMs);
  timers.set(parentElement, timer);
  return () => clearInterval(timer);
}
