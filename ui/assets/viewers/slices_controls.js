// Mouse, touch and keys of a plane.
// In the edit mode, the left button and one finger belong to the tool (edit/editor.js).
// Left: cross-hair. Right: window. Middle, or Shift: pan. Wheel: slices; with Ctrl: zoom. Two fingers: zoom and pan.

const WHEEL_PX = 50; // of a smooth wheel that make one slice

/** @import { Pane } from "./slices_pane.js" */

/** @param {Pane} pane */
export function listen(pane) {
  const { canvas, viewer } = pane;
  /** @type {Map<number, PointerEvent>} */
  const down = new Map(); // pointer -> last event
  let wheel = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 1) event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    if (down.size > 1) viewer.editor?.cancel(); // the second finger of a gesture
    else if (!viewer.editor?.down(pane, event) && event.button === 0 && !event.shiftKey) pane.point(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    viewer.editor?.hover(pane, event);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, event);
    if (other) {
      /** @param {PointerEvent} from */
      const span = (from) => Math.hypot(from.clientX - other.clientX, from.clientY - other.clientY);
      if (span(last) > 0) pane.magnify(span(event) / span(last), pane.pixel(event));
      pane.pan(dx / 2, dy / 2);
    } else if (viewer.editor?.pressed) {
      viewer.editor.move(pane, event);
    } else if (event.buttons & 2) {
      viewer.dragWindow(dx, dy);
    } else if (event.buttons & 4 || event.shiftKey) {
      pane.pan(dx, dy);
    } else if (viewer.editor?.points(event) ?? true) {
      pane.point(event);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    down.delete(event.pointerId);
    viewer.editor?.up(pane, event);
  });
  canvas.addEventListener("pointercancel", (event) => {
    down.delete(event.pointerId);
    viewer.editor?.cancel();
  });
  canvas.addEventListener("pointerleave", () => viewer.editor?.hover(pane, null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey && viewer.editor?.active) {
      viewer.editor.resize(-Math.sign(event.deltaY || event.deltaX));
      viewer.editor.hover(pane, event);
      return;
    }
    if (event.ctrlKey || event.metaKey) {
      pane.magnify(Math.exp(-event.deltaY / 300), pane.pixel(event));
      return;
    }
    wheel += event.deltaMode ? Math.sign(event.deltaY) * WHEEL_PX : Math.max(-WHEEL_PX, Math.min(WHEEL_PX, event.deltaY));
    const steps = Math.trunc(wheel / WHEEL_PX);
    wheel -= steps * WHEEL_PX;
    if (steps) viewer.changeSlice(pane.k, pane.slice, steps);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => onKey(pane, event));
}

/** @param {Pane} pane @param {KeyboardEvent} event */
function onKey(pane, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { viewer, k, slice } = pane;
  const steps = event.shiftKey ? 10 : 1;
  /** @type {Record<string, () => void>} */
  const moves = {
    ArrowLeft: () => pane.nudge(0, -steps),
    ArrowRight: () => pane.nudge(0, steps),
    ArrowUp: () => pane.nudge(-steps, 0),
    ArrowDown: () => pane.nudge(steps, 0),
    PageUp: () => viewer.changeSlice(k, slice, -steps),
    PageDown: () => viewer.changeSlice(k, slice, steps),
    Home: () => viewer.changeSlice(k, slice, -Infinity),
    End: () => viewer.changeSlice(k, slice, Infinity),
    "+": () => pane.magnify(1.25),
    "=": () => pane.magnify(1.25),
    "-": () => pane.magnify(0.8),
    0: () => { pane.fit(); viewer.refresh(); },
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  event.stopPropagation(); // Streamlit has its own key handlers
  moves[event.key]();
}
