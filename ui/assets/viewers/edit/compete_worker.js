// Runs compete() outside the page's thread.

import { compete } from "./compete.js";

/** @import { Question } from "./compete.js" */

addEventListener("message", (/** @type {MessageEvent<{id: number, question: Question}>} */ { data: { id, question } }) => {
  postMessage({ id, labels: compete(question) });
});
