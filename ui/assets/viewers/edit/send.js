// Sends the edits to the server, which stores them as a new version of the analysis.

/**
 * @typedef {{runs: string, newest: number, note: string, initials: string}} NewVersion
 * @typedef {{id: string, version: number}} Saved
 */

const KEPT = "Your edits are kept in this browser.";

/** A newer version exists than the user knew. */
export class Newer extends Error {
  /** @param {Saved} newest */
  constructor(newest) {
    super(`Version ${newest.version} of this analysis was saved in the meantime.`);
    this.newest = newest;
  }
}

/**
 * @param {string} base address of the viewer's files, below /api/jobs/ @param {string} job
 * @param {NewVersion} version
 * @returns {Promise<Saved>}
 */
export async function send(base, job, version) {
  const address = `${base.slice(0, base.indexOf("/api/jobs/"))}/api/jobs/${job}/versions`;
  const body = JSON.stringify(version);
  const answer = await asked(address, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const found = await answer.json().catch(() => ({}));
  if (answer.status === 409 && found.error_code === "NEWER_VERSION") {
    /** @type {Saved[]} */
    const versions = await (await asked(address, {})).json();
    throw new Newer(versions.reduce((newest, one) => (one.version > newest.version ? one : newest)));
  }
  if (!answer.ok) {
    const detail = typeof found.detail === "string" ? found.detail : `The server answered ${answer.status}.`;
    throw new Error([detail, found.hint, KEPT].filter(Boolean).join(" "));
  }
  return found;
}

/** @param {string} address @param {RequestInit} request */
async function asked(address, request) {
  try {
    return await fetch(address, request);
  } catch {
    throw new Error(`The server did not answer. ${KEPT} Try again.`);
  }
}
