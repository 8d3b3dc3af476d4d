// Picture export: the planes as they are on the screen, side by side, with a line that says what they are.

const GAP = 8;
const FOOT = 30;

export function savePicture(viewer) {
  const { panes, volume, state } = viewer;
  const shown = panes.filter((pane) => pane.canvas.offsetParent !== null);
  const ratio = window.devicePixelRatio || 1;
  const sheet = document.createElement("canvas");
  sheet.width = shown.reduce((sum, { canvas }) => sum + canvas.width, (shown.length - 1) * GAP * ratio);
  sheet.height = Math.max(...shown.map(({ canvas }) => canvas.height)) + FOOT * ratio;
  const pen = sheet.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  let x = 0;
  for (const { canvas } of shown) {
    pen.drawImage(canvas, x, 0);
    x += canvas.width + GAP * ratio;
  }
  pen.font = `${12 * ratio}px ${viewer.font}`;
  pen.fillStyle = "#eef3f6";
  pen.textBaseline = "middle";
  const parts = shown.map(({ plane, slice }) => `${plane.name} ${slice + 1}/${plane.n}`);
  if (state.mode === "t2") parts.push(`T2 ${volume.meta.t2.range_ms.join(" to ")} ms, viridis`);
  parts.push("Research use only");
  const line = `${volume.meta.side} knee · ${parts.join(" · ")}`;
  pen.fillText(line[0].toUpperCase() + line.slice(1), 8 * ratio, sheet.height - (FOOT / 2) * ratio, sheet.width - 16 * ratio);
  const link = document.createElement("a");
  link.download = `${["slices", ...shown.map(({ plane, slice }) => `${plane.name.toLowerCase()}-${slice + 1}`)].join("_")}.png`;
  sheet.toBlob((blob) => {
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}
