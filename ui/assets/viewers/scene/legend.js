// The colour key: as part of the page, and drawn into an exported picture.
import { between, css, gradient } from "./colours.js";
import { element } from "./panel.js";

const TICKS = 5;

/** Values that stand beside the scale, low to high. */
export function ticks([low, high]) {
  return Array.from({ length: TICKS + 1 }, (_, k) => low + ((high - low) * k) / TICKS);
}

export function written(value) {
  return String(Number(value.toFixed(2)));
}

function title(scale) {
  return scale.kind === "scalar" ? `${scale.title} (${scale.unit})` : scale.title;
}

/** What the colours mean: {title, entries} for labels and for what has no number. */
function entriesOf(scale, bone) {
  const named = scale.kind === "categories" ? scale.entries : [];
  return [...named, { title: scale.missing, colour: bone }];
}

export function legend(scale, range, bone) {
  const box = element("div", { class: `legend ${scale.kind}` }, element("strong", {}, title(scale)));
  if (scale.kind === "scalar") {
    const numbers = ticks(range).map((value) => element("span", {}, written(value)));
    box.append(
      element(
        "div",
        { class: "scale" },
        element("div", { class: "bar", style: `--up:${gradient(scale.colours, "0deg")};--along:${gradient(scale.colours, "90deg")}` }),
        element("div", { class: "ticks" }, ...numbers),
      ),
    );
  }
  const rows = entriesOf(scale, bone).map(({ title: text, colour }) =>
    element("li", {}, element("i", { class: "swatch", style: `background:${css(colour)}` }), text),
  );
  box.append(element("ul", {}, ...rows));
  return box;
}

/** The picture on `source` with its key and a caption, as a PNG. */
export async function picture(source, { scale, range, bone, caption, paper, ink }) {
  const unit = Math.max(1, Math.round(source.height / 420));
  const sheet = document.createElement("canvas");
  const side = scale ? 230 * unit : 0;
  [sheet.width, sheet.height] = [source.width + side, source.height + 40 * unit];
  const pen = sheet.getContext("2d");
  pen.fillStyle = paper;
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.drawImage(source, 0, 0);
  pen.fillStyle = ink;
  pen.textBaseline = "middle";
  pen.font = `${12 * unit}px sans-serif`;
  pen.fillText(caption, 16 * unit, source.height + 20 * unit);
  if (scale) drawKey(pen, source.width, unit, scale, range, bone, ink);
  const blob = await new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
  return blob;
}

function drawKey(pen, left, unit, scale, range, bone, ink) {
  let y = 34 * unit;
  pen.font = `600 ${13 * unit}px sans-serif`;
  pen.fillText(title(scale), left, y);
  pen.font = `${12 * unit}px sans-serif`;
  y += 24 * unit;
  if (scale.kind === "scalar") {
    const [width, height] = [18 * unit, 200 * unit];
    for (let row = 0; row < height; row++) {
      pen.fillStyle = css(between(scale.colours, 1 - row / (height - 1)));
      pen.fillRect(left, y + row, width, 1);
    }
    pen.fillStyle = ink;
    ticks(range).forEach((value, k) => {
      pen.fillText(written(value), left + width + 8 * unit, y + height - (height * k) / TICKS);
    });
    y += height + 26 * unit;
  }
  for (const { title: text, colour } of entriesOf(scale, bone)) {
    pen.fillStyle = css(colour);
    pen.fillRect(left, y - 6 * unit, 12 * unit, 12 * unit);
    pen.fillStyle = ink;
    pen.fillText(text, left + 20 * unit, y, 205 * unit);
    y += 20 * unit;
  }
}
