// The controls beside the picture. Each tells the viewer what was chosen; none keeps a state of its own.

let count = 0;

/** An element: attributes (a function is a listener), then children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A row of choices of which one is taken. */
function choice(title, entries, taken, choose) {
  const name = `ok3d-choice-${count++}`;
  const labels = entries.map(({ id, title: text, hint }) => {
    const input = element("input", { type: "radio", name, value: id, change: () => choose(id) });
    input.checked = id === taken;
    return element("label", { title: hint }, input, element("span", {}, text));
  });
  return element("fieldset", { class: "choice" }, element("legend", {}, title), element("div", {}, ...labels));
}

function swatch(colour) {
  return element("i", { class: "swatch", style: `background:rgb(${colour.join(",")})`, "aria-hidden": "true" });
}

/** Low and high end of the colour scale. */
function range(scale, current, change) {
  const fixed = scale.range;
  const field = (text, value) => {
    const input = element("input", { type: "number", step: "any", value, "aria-label": `${text} end of the scale` });
    return input;
  };
  const low = field("Low", current[0]);
  const high = field("High", current[1]);
  const take = () => {
    const ends = [low.valueAsNumber, high.valueAsNumber];
    const usable = ends.every(Number.isFinite) && ends[0] < ends[1];
    for (const input of [low, high]) input.toggleAttribute("aria-invalid", !usable);
    if (usable) change(ends);
  };
  low.addEventListener("input", take);
  high.addEventListener("input", take);
  const restore = () => {
    [low.value, high.value] = fixed;
    take();
  };
  return element(
    "fieldset",
    { class: "range" },
    element("legend", {}, `Scale (${scale.unit})`),
    element("div", {}, low, element("span", {}, "to"), high, element("button", { type: "button", click: restore }, "Reset")),
  );
}

function structures(group, meshes, viewer) {
  const rows = meshes.map((mesh) => {
    const input = element("input", { type: "checkbox", change: () => viewer.show(mesh.key, input.checked) });
    input.checked = mesh.shown;
    return element("label", { class: "structure" }, input, swatch(mesh.colour), element("span", {}, mesh.title));
  });
  const percent = Math.round(100 * meshes[0].opacity);
  const slider = element("input", {
    type: "range",
    min: 5,
    max: 100,
    step: 5,
    value: percent,
    "aria-label": `Opacity of ${group.toLowerCase()}, percent`,
    input: () => {
      shown.textContent = `${slider.value} %`;
      viewer.fade(group, slider.valueAsNumber / 100);
    },
  });
  const shown = element("output", {}, `${percent} %`);
  return element(
    "fieldset",
    { class: "group" },
    element("legend", {}, group),
    ...rows,
    element("div", { class: "opacity" }, element("span", {}, "Opacity"), slider, shown),
  );
}

/** All controls of a scene. `viewer` takes: paint, stretch, arrange, show, fade. */
export function controls(scene, viewer) {
  const panel = element("div", { class: "panel", role: "group", "aria-label": "What the 3D view shows" });
  const scaleSlot = element("div", { class: "slot" });
  const drawScale = () => {
    const scale = viewer.scale;
    const stretchable = scale?.kind === "scalar";
    scaleSlot.replaceChildren(...(stretchable ? [range(scale, viewer.range, (ends) => viewer.stretch(ends))] : []));
  };
  const colours = [...scene.channels.map(({ name, title }) => ({ id: name, title })), { id: "", title: "None" }];
  panel.append(
    choice("Colour", colours, viewer.scale?.name ?? "", (name) => {
      viewer.paint(name);
      drawScale();
    }),
    scaleSlot,
    choice("Arrangement", scene.layouts, viewer.layout.id, (id) => viewer.arrange(id)),
  );
  drawScale();
  const groups = Map.groupBy ? Map.groupBy(scene.meshes, (mesh) => mesh.group) : grouped(scene.meshes);
  for (const [group, meshes] of groups) panel.append(structures(group, meshes, viewer));
  return panel;
}

function grouped(meshes) {
  const found = new Map();
  for (const mesh of meshes) found.set(mesh.group, [...(found.get(mesh.group) ?? []), mesh]);
  return found;
}

/** Mark the layout that stands, where it was changed by something else than its own control. */
export function markLayout(panel, id) {
  const input = panel.querySelector(`input[type="radio"][value="${id}"]`);
  if (input) input.checked = true;
}
