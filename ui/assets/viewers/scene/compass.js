// Which way the knee is turned: letters around a small cross, those that point away faint.
const SPACE = "http://www.w3.org/2000/svg";
const RADIUS = 25;
const MIDDLE = 36;

export class Compass {
  constructor(side) {
    const [left, right] = side === "right" ? ["M", "L"] : ["L", "M"];
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

  /** Follow the camera's unit vectors. */
  turn({ right, up, towards }) {
    this.ends.forEach(([axis, sign], k) => {
      const [x, y, depth] = [sign * right[axis], -sign * up[axis], sign * towards[axis]];
      const { line, text } = this.marks[k];
      const set = (node, values) => Object.entries(values).forEach(([name, value]) => node.setAttribute(name, value));
      const strength = depth > -0.2 ? 1 : 0.3;
      const reach = RADIUS - 8;
      set(line, { x1: MIDDLE, y1: MIDDLE, x2: MIDDLE + x * reach, y2: MIDDLE + y * reach, opacity: strength });
      set(text, { x: MIDDLE + x * RADIUS, y: MIDDLE + y * RADIUS, opacity: Math.hypot(x, y) < 0.25 ? 0 : strength });
    });
  }
}
