"""Names and values as an HTML definition list."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

MODEL_FACT_TITLES: Final = {
    "weights_sha256": "Weights SHA-256",
    "first_pass_sha256": "First pass SHA-256",
    "checkpoints_sha256": "Folds SHA-256",
    "title": "Model",
    "scope": "Structures outlined",
}
"""Key of a model card -> title, where the title is not simply the key in words."""


def facts_list(facts: Mapping[str, object]) -> str:
    """The facts as `<dl>`; a fact without a value is left out."""
    lines = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact_text(value))}</dd>" for name, value in facts.items() if value
    )
    return f'<dl class="ok-facts">{lines}</dl>'


def fact_text(value: object) -> str:
    """A value of a JSON document as text: lists separated by commas, yes or no, four significant digits."""
    if isinstance(value, Mapping):
        return named_values(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(fact_text(item).replace("_", " ") for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def named_values(values: Mapping[str, object] | None) -> str:
    """`numpy 2.4.6, scipy 1.17.1`; empty for None."""
    return ", ".join(f"{key.replace('_', ' ')} {fact_text(value)}" for key, value in (values or {}).items())
