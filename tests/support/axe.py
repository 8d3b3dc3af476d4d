"""Runs axe-core in a page and returns its findings as lines for a failed test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = Path(__file__).parent / "vendor" / "axe-core-4.14.1.min.js"
BAD = ("serious", "critical")

COLOUR_RULES = ["color-contrast", "link-in-text-block"]

ROOTS = """
  const hosts = (root) => [...root.querySelectorAll("*")].filter((part) => part.shadowRoot);
  const roots = (root) => [root, ...hosts(root).flatMap((host) => roots(host.shadowRoot))];
"""
"""JavaScript: a document or shadow root, and all shadow roots inside it (each component of a page has one)."""

QUIET = f"""() => {{{ROOTS}
  const app = document.querySelector("[data-testid=stApp]");
  const moving = roots(document).flatMap((root) => root.getAnimations()).filter((animation) =>
    animation.playState === "running" && animation.effect.getComputedTiming().endTime !== Infinity);
  return app && app.dataset.testScriptState !== "running" && !moving.length
    && !document.querySelector("[data-testid=stSkeleton]");
}}"""
"""Whether the page's script has run and its transitions have ended."""

SCHEME = f"""(wanted) => {{{ROOTS}
  const app = document.querySelector("[data-testid=stApp]");
  const level = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
  const wrong = wanted === "light" ? (text) => level(text) > 0.8 : (text) => level(text) < 0.3;
  const texts = [...app.querySelectorAll("[data-testid=stMarkdownContainer] p")]
    .filter((text) => !text.closest("a, button, [data-testid=stAlert]"));
  const components = roots(app).slice(1).flatMap((root) => [...root.querySelectorAll("[data-state]")]);
  const shown = [app, ...texts, ...components];
  return (level(getComputedStyle(app).backgroundColor) > 0.5) === (wanted === "light")
    && !shown.map((part) => getComputedStyle(part).color).some(wrong);
}}"""
"""Whether the page, its texts and its components have the colours of a scheme."""

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


def settled(page: Page, scheme: str = "light") -> Page:
    """The page after its script has run, its scheme is shown and its transitions have ended."""
    page.wait_for_function(SCHEME, arg=scheme)
    page.wait_for_timeout(100)  # a script that the last click starts
    page.wait_for_function(QUIET)
    return page


def by_day_and_night(page: Page) -> list[str]:
    """All findings of the loaded page, and colour findings of its dark scheme."""
    found = findings(settled(page))
    page.emulate_media(color_scheme="dark")
    found += findings(settled(page, "dark"), colours_alone=True)
    page.emulate_media(color_scheme="light")
    return found
