// What every area has that files are dropped on: it shows that they are over it, and keeps the browser from opening them.

/** @param {HTMLElement} zone @param {(dropped: DataTransfer) => void} take */
export function droppable(zone, take) {
  let depth = 0; // elements of the zone that the pointer has entered
  const over = (/** @type {number} */ now) => {
    depth = Math.max(0, now);
    zone.classList.toggle("over", depth > 0);
  };
  zone.ondragenter = (event) => { event.preventDefault(); over(depth + 1); };
  zone.ondragleave = () => over(depth - 1);
  zone.ondragover = (event) => event.preventDefault();
  zone.ondrop = (event) => {
    event.preventDefault();
    over(0);
    if (event.dataTransfer) take(event.dataTransfer);
  };
}
