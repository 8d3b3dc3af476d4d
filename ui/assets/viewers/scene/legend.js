// The legend of the colours: on the page, and in an exported picture.
import { between, css, gradient } from "./colours.js";
import { element } from "./element.js";

/** @import { Channel, Range, Rgb } from "./data.js" */

const TICKS = 5;

/** Values beside the scale, low to high. @param {Range} range */
function ticks([low, high]) {
  return Array.from({ length: TICKS + 1 }, (_, k) => low + ((high - low) * k) / TICKS);
}

/** @param {number} value */
function written(value) {
  return String(Number(value.toFixed(2)));
}

/** @param {Channel} channel */
function title(channel) {
  return channel.kind === "scalar" ? `${channel.title} (${channel.unit})` : channel.title;
}

/**
 * Titles and colours of labels, and of vertices without a value.
 * @param {Channel} channel @param {Rgb} bone colour of the latter
 * @returns {{title: string, colour: Rgb}[]}
 */
function entriesOf(channel, bone) {
  const named = channel.kind === "categories" ? channel.entries : [];
  return [...named, { title: channel.missing, colour: bone }];
}

/** @param {Channel} channel @param {Range} range @param {Rgb} bone */
export function legend(channel, range, bone) {
  const box = element("div", { class: `legend ${channel.kind}` }, element("strong", {}, title(channel)));
  if (channel.kind === "scalar" && channel.note) box.append(element("p", { class: "note" }, channel.note));
  if (channel.kind === "scalar") {
    const numbers = ticks(range).map((value) => element("span", {}, written(value)));
    box.append(
      element(
        "div",
        { class: "scale" },
        element("div", { class: "bar", style: `--up:${gradient(channel.colours, "0deg")};--along:${gradient(channel.colours, "90deg")}` }),
        element("div", { class: "ticks" }, ...numbers),
      ),
    );
  }
  const rows = entriesOf(channel, bone).map(({ title: text, colour }) =>
    element("li", {}, element("i", { class: "swatch", style: `background:${css(colour)}` }), text),
  );
  box.append(element("ul", {}, ...rows));
  return box;
}

/**
 * The picture with its legend and a caption, as a PNG.
 * @param {HTMLCanvasElement} source
 * @param {{channel: Channel | null, range: Range, bone: Rgb, caption: string, paper: string, ink: string}} options
 *   paper, ink: CSS colours
 * @returns {Promise<Blob>}
 */
export async function pictureWithLegend(source, { channel, range, bone, caption, paper, ink }) {
  const unit = Math.max(1, Math.round(source.height / 420));
  const sheet = document.createElement("canvas");
  const side = channel ? 230 * unit : 0;
  [sheet.width, sheet.height] = [source.width + side, source.height + 40 * unit];
  const pen = /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d"));
  pen.fillStyle = paper;
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.drawImage(source, 0, 0);
  pen.fillStyle = ink;
  pen.textBaseline = "middle";
  pen.font = `${12 * unit}px sans-serif`;
  pen.fillText(caption, 16 * unit, source.height + 20 * unit);
  if (channel) drawLegend(pen, source.width, unit, channel, range, bone, ink);
  return new Promise((resolve, reject) => {
    sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be encoded"))), "image/png");
  });
}

/**
 * @param {CanvasRenderingContext2D} pen @param {number} left @param {number} unit canvas pixels per CSS pixel
 * @param {Channel} channel @param {Range} range @param {Rgb} bone @param {string} ink
 */
function drawLegend(pen, left, unit, channel, range, bone, ink) {
  let y = 34 * unit;
  pen.font = `600 ${13 * unit}px sans-serif`;
  pen.fillText(title(channel), left, y);
  pen.font = `${12 * unit}px sans-serif`;
  y += 24 * unit;
  if (channel.kind === "scalar" && channel.note) {
    pen.fillText(channel.note, left, y, 205 * unit);
    y += 24 * unit;
  }
  if (channel.kind === "scalar") {
    const [width, height] = [18 * unit, 200 * unit];
    for (let row = 0; row < height; row++) {
      pen.fillStyle = css(between(channel.colours, 1 - row / (height - 1)));
      pen.fillRect(left, y + row, width, 1);
    }
    pen.fillStyle = ink;
    ticks(range).forEach((value, k) => {
      pen.fillText(written(value), left + width + 8 * unit, y + height - (height * k) / TICKS);
    });
    y += height + 26 * unit;
  }
  for (const { title: text, colour } of entriesOf(channel, bone)) {
    pen.fillStyle = css(colour);
    pen.fillRect(left, y - 6 * unit, 12 * unit, 12 * unit);
    pen.fillStyle = ink;
    pen.fillText(text, left + 20 * unit, y, 205 * unit);
    y += 20 * unit;
  }
}
