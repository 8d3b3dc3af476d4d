// Picture export: the planes as on the screen, the large one on the left, with a caption.

/** @import { Viewer } from "./slices.js" */

const GAP = 8;
const FOOT = 30;

/** @param {Viewer} viewer */
export function savePicture(viewer) {
  const { panes, volume, state } = viewer;
  const shown = panes.filter((pane) => pane.canvas.offsetParent !== null);
  const ratio = window.devicePixelRatio || 1;
  const gap = GAP * ratio;
  const large = panes[state.large].canvas;
  const small = shown.map(({ canvas }) => canvas).filter((canvas) => canvas !== large);
  const sheet = document.createElement("canvas");
  const column = small.reduce((sum, { height }) => sum + height + gap, -gap);
  const pictures = Math.max(large.height, column);
  sheet.width = large.width + (small.length ? gap + Math.max(...small.map(({ width }) => width)) : 0);
  sheet.height = pictures + FOOT * ratio;
  const pen = /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d"));
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.drawImage(large, 0, 0);
  let y = 0;
  for (const canvas of small) {
    pen.drawImage(canvas, large.width + gap, y);
    y += canvas.height + gap;
  }
  pen.font = `${12 * ratio}px ${viewer.font}`;
  pen.fillStyle = "#eef3f6";
  pen.textBaseline = "middle";
  const parts = shown.map(({ plane, slice }) => `${plane.name} ${slice + 1}/${plane.n}`);
  if (state.mode === "t2" && volume.meta.t2) {
    const { title, range_ms, unit } = volume.meta.t2;
    parts.push(`${title} ${range_ms.join(" to ")} ${unit}, viridis`);
  }
  parts.push("Research use only");
  const line = `${volume.meta.side} knee · ${parts.join(" · ")}`;
  pen.fillText(line[0].toUpperCase() + line.slice(1), 8 * ratio, sheet.height - (FOOT / 2) * ratio, sheet.width - 16 * ratio);
  const link = document.createElement("a");
  link.download = `${["slices", ...shown.map(({ plane, slice }) => `${plane.name.toLowerCase()}-${slice + 1}`)].join("_")}.png`;
  sheet.toBlob((blob) => {
    if (!blob) return;
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}
