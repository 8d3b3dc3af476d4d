"""Runs axe-core in a page and returns its findings as lines for a failed test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = Path(__file__).parent / "vendor" / "axe-core-4.14.1.min.js"
BAD = ("serious", "critical")

COLOUR_RULES = ["color-contrast", "link-in-text-block"]

STREAMLITS_OWN: dict[str, dict[str, str]] = {}
"""Rule -> selector of Streamlit's own element -> why we cannot fix it."""

_RUN = """async ([own, runOnly]) => {
  const answer = await axe.run(document, { resultTypes: ["violations"], ...(runOnly ? { runOnly } : {}) });
  const last = (target) => [target.at(-1)].flat().at(-1);
  const deep = (target) => target.flat().reduce((root, step) => {
    const found = (root.shadowRoot ?? root).querySelector(step);
    return found ?? root;
  }, document);
  return answer.violations.flatMap(({ id, impact, help, nodes }) => nodes
    .filter(({ target }) => !(own[id] ?? []).some((selector) => deep(target).closest?.(selector)))
    .map(({ target, failureSummary, html }) => ({ id, impact, help, target: target.flat().join(" "),
      html: html.slice(0, 160), why: failureSummary.split("\\n").slice(1).join(" ").trim() })));
}"""


def findings(page: Page, *, colours_alone: bool = False) -> list[str]:
    """Serious and critical findings of the current page, one line each; `colours_alone`: by COLOUR_RULES."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    own = {rule: list(places) for rule, places in STREAMLITS_OWN.items()}
    found: list[dict[str, Any]] = page.evaluate(_RUN, [own, COLOUR_RULES if colours_alone else None])
    return [
        f"{item['impact']} {item['id']}: {item['target']}: {item['html']} ({item['why']})"
        for item in found
        if item["impact"] in BAD
    ]
