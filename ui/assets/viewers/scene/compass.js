// Shows how the knee is turned: anatomical letters on three axes; those that point away are faint.

/** @import { Vector3 } from "../../vendor/three-viewer-0.187.0.min.js" */

const SPACE = "http://www.w3.org/2000/svg";
const RADIUS = 25;
const MIDDLE = 36;

export class Compass {
  /** @param {string} side of the knee: left or right */
  constructor(side) {
    const [left, right] = side === "right" ? ["M", "L"] : ["L", "M"];
    /** @type {["x" | "y" | "z", number, string][]} */
    this.ends = [
      ["x", 1, left],
      ["x", -1, right],
      ["y", 1, "S"],
      ["y", -1, "I"],
      ["z", 1, "A"],
      ["z", -1, "P"],
    ];
    this.root = document.createElementNS(SPACE, "svg");
    this.root.setAttribute("viewBox", `0 0 ${2 * MIDDLE} ${2 * MIDDLE}`);
    this.root.setAttribute("class", "compass");
    this.root.setAttribute("aria-hidden", "true");
    this.marks = this.ends.map(([, , letter]) => {
      const line = document.createElementNS(SPACE, "line");
      const text = document.createElementNS(SPACE, "text");
      text.textContent = letter;
      this.root.append(line, text);
      return { line, text };
    });
  }

  /** Turn with the camera. @param {{right: Vector3, up: Vector3, towards: Vector3}} basis */
  turn({ right, up, towards }) {
    this.ends.forEach(([axis, sign], k) => {
      const [x, y, depth] = [sign * right[axis], -sign * up[axis], sign * towards[axis]];
      const { line, text } = this.marks[k];
      /** @param {SVGElement} node @param {Record<string, number>} values */
      const set = (node, values) => {
        for (const [name, value] of Object.entries(values)) node.setAttribute(name, String(value));
      };
      const strength = depth > -0.2 ? 1 : 0.3;
      const reach = RADIUS - 8;
      set(line, { x1: MIDDLE, y1: MIDDLE, x2: MIDDLE + x * reach, y2: MIDDLE + y * reach, opacity: strength });
      set(text, { x: MIDDLE + x * RADIUS, y: MIDDLE + y * RADIUS, opacity: Math.hypot(x, y) < 0.25 ? 0 : strength });
    });
  }
}
