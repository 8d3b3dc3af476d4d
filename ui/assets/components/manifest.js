// Reads a manifest in the browser and gives its bytes to the page.
import { droppable } from "./drop_zone.js";
import { one } from "./upload.js";

/**
 * @typedef {(name: "sent", file: {name: string, content: string}) => void} Tell
 * @typedef {{data: {limit_bytes: number}, parentElement: HTMLElement, setTriggerValue: Tell}} Component
 */

/** @param {Component} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const root = one(parentElement, ".manifest", HTMLElement);
  const zone = one(root, "[data-part=zone]", HTMLElement);
  const problem = one(root, "[data-part=problem]", HTMLElement);
  const input = one(root, "[data-part=file]", HTMLInputElement);

  /** @param {File | undefined} file */
  function take(file) {
    if (!file) return;
    problem.textContent = "";
    if (file.size > data.limit_bytes) {
      problem.textContent = `${file.name} is larger than ${data.limit_bytes >> 20} MB. Divide the study.`;
      return;
    }
    const reader = new FileReader();
    reader.onerror = () => {
      problem.textContent = `${file.name} cannot be read. Choose it again.`;
    };
    reader.onload = () => setTriggerValue("sent", { name: file.name, content: String(reader.result).split(",")[1] ?? "" });
    reader.readAsDataURL(file);
  }

  one(root, "[data-part=choose]", HTMLButtonElement).onclick = () => input.click();
  input.onchange = () => {
    take(input.files?.[0]);
    input.value = ""; // the same file can be chosen again after it was changed
  };
  droppable(zone, ({ files }) => {
    if (files.length > 1) problem.textContent = `${files.length} files were dropped; a study has one manifest.`;
    else take(files[0]);
  });
  if (input.files?.length) input.dispatchEvent(new Event("change")); // chosen before this script was loaded
}
