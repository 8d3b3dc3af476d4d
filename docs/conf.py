"""Configuration of the documentation site. `make docs` builds it; nothing is fetched from the network."""

from __future__ import annotations

import gc
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[1]
gc.set_threshold(100_000, 50, 100)  # a fifth of the build: document trees are garbage only at the end
sys.path.insert(0, str(ROOT))
shutil.rmtree(ROOT / "docs" / "api" / "generated", ignore_errors=True)  # a page of a module that no longer exists

project = "Kneebox"
author = "Kneebox contributors"
copyright = "2026, Kneebox contributors"  # noqa: A001  the name that Sphinx reads
release = "0.1.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_templates", "_static"]

myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # a package re-exports names of its modules: either page is the right target
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
# Names of other packages have no page here, and the build must not ask the network for theirs.
# Nor has a type variable.
nitpick_ignore_regex = [("py:.*", r"(?!pipeline\.).*"), ("py:class", r".*\.[A-Z]")]

html_theme = "pydata_sphinx_theme"
html_title = "Kneebox"
html_logo = str(ROOT / "ui" / "assets" / "logo.svg")
html_favicon = str(ROOT / "ui" / "assets" / "icon.png")
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "tutorial", "methods", "benchmarks")}  # no pages below these
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"alt_text": "Kneebox"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navigation_depth": 3,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}

COLUMNS: Final = re.compile(r"\S {2,}\S")
"""A line of a docstring that is laid out in columns: name, then meaning."""

MARKUP: Final = re.compile(r"([\\*_|])")
"""Characters that reStructuredText would read as markup."""

ARRAY: Final = re.compile(r"~?numpy\.ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?numpy\.dtype\[(.*?)\]\]")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-process-signature", short_signature)


def plain_docstring(_app: Sphinx, _what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Our docstrings are plain text: columns become preformatted text, `names` become code, the rest is escaped."""
    paragraphs = "\n".join(lines).strip("\n").split("\n\n")
    lines[:] = [line for paragraph in paragraphs for line in (*_restructured(paragraph), "")]


def short_signature(
    _app: Sphinx, _what: str, _name: str, _of: object, _options: object, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """An array type is shown as in the source, not in the long form that numpy expands it to.

    The default of a field that a function makes is shown as `...`: Sphinx cannot read `<factory>`.
    """
    texts = (text and ARRAY.sub(r"NDArray[\1]", text).replace("<factory>", "...") for text in (signature, result))
    return tuple(texts)


def _restructured(paragraph: str) -> list[str]:
    found = paragraph.split("\n")
    start = next((i for i, line in enumerate(found) if COLUMNS.search(line) or line.startswith(" ")), len(found))
    text = [_escaped(line) for line in found[:start]]
    if start == len(found):
        return text
    return [*text, "", ".. code-block:: text", "", *("    " + line for line in found[start:])]


def _escaped(line: str) -> str:
    words = line.split("`")
    return "".join(f"``{word}``" if i % 2 else MARKUP.sub(r"\\\1", word) for i, word in enumerate(words))
