// Elements of the slice viewer's controls.

const ICONS = {
  minus: "M4 10h12", plus: "M4 10h12M10 4v12", fit: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  large: "M12 4h4v4M16 4l-5 5M8 16H4v-4M4 16l5-5",
  undo: "M8 4L4 8l4 4M4 8h7a5 5 0 0 1 0 9H8", redo: "M12 4l4 4-4 4M16 8H9a5 5 0 0 0 0 9h3",
};

/**
 * Make an element: el("button", {type: "button"}, "text", child, ...).
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} attributes properties, attributes, and listeners (on...)
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name in made && name !== "list") Object.assign(made, { [name]: value });
    else made.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null) made.append(child);
  return made;
}

/** @param {keyof typeof ICONS} name @param {string} label @param {() => void} onclick */
export function icon(name, label, onclick) {
  const button = el("button", { type: "button", title: label, "aria-label": label, className: "icon", onclick });
  button.innerHTML = `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return button;
}

/** @param {string} title @param {boolean} checked @param {(on: boolean) => void} onchange */
export function check(title, checked, onchange) {
  const box = el("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) });
  return el("label", { className: "check" }, box, el("span", {}, title));
}

/**
 * A slider with its value in words.
 * @param {string} title
 * @param {{min: number, max: number, step: number, value: number}} attributes
 * @param {(value: number) => void} oninput @param {(value: number) => string} text
 */
export function range(title, attributes, oninput, text) {
  const shown = el("output", {});
  const input = el("input", { type: "range", "aria-label": title, ...attributes });
  const tell = () => {
    shown.textContent = text(Number(input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => { oninput(Number(input.value)); tell(); });
  tell();
  /** @param {number} value */
  const set = (value) => { input.value = String(value); tell(); };
  return { row: el("label", { className: "range" }, el("span", {}, title), input, shown), set };
}

/**
 * A row of radio buttons.
 * @template {string | number} T
 * @param {string} title @param {string} className
 * @param {{value: T, text: string}[]} options @param {T} chosen @param {(value: T) => void} onchange
 */
export function choice(title, className, options, chosen, onchange) {
  const group = `${className}-${Math.random().toString(36).slice(2)}`;
  return el("fieldset", { className: `choice ${className}` }, el("legend", {}, title),
    ...options.map(({ value, text }) => el("label", {},
      el("input", { type: "radio", name: group, checked: value === chosen, onchange: () => onchange(value) }), el("span", {}, text))));
}
