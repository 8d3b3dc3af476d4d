"""The main figures of a validation as a sentence, for pages."""

from __future__ import annotations

import math

from pipeline.anatomy import Structure, Tissue
from pipeline.quantities import HEADLINES, SECOND, THC, VOLUME
from pipeline.validation.record import PlaceFigures, Validation


def main_figures(validation: Validation) -> str:
    """`On the 20 scans of our_lab: Dice of femoral cartilage 0.88, ...; thickness: femur +0.02 mm (limits ...`."""
    cases = f"{validation.cases} scan{'s' * (validation.cases != 1)}"
    dice = [
        f"{structure.title.lower()} {outlines.dice:.2f}"
        for structure in Structure
        if structure.tissue is Tissue.CARTILAGE and (outlines := validation.structures.get(structure.key)) is not None
    ]
    parts = [f"Dice of {', '.join(dice)}"] if dice else []
    quantity = THC if validation.of_quantity(THC) else VOLUME
    differences = [
        f"{title.lower()} {_difference(figures)}"
        for title, region in HEADLINES
        if (figures := validation.place(quantity, region.plate, region.name)) is not None and figures.n
    ]
    if differences:
        method = f" ({SECOND.display_name}, on the model's bones)" if validation.without_bones else ""
        title = quantity.title[0].lower() + quantity.title[1:]
        what = "mean difference from the experts (95 % limits of agreement)"
        parts.append(f"{title}{method}, {what}: {', '.join(differences)}")
    return f"On the {cases} of {validation.set_name}: {'; '.join(parts)}."


def _difference(figures: PlaceFigures) -> str:
    digits, unit = figures.of.digits, figures.of.unit.symbol
    words = f"{figures.bias:+.{digits}f} {unit}"
    if math.isfinite(figures.low):
        words += f" ({figures.low:+.{digits}f} to {figures.high:+.{digits}f})"
    return words.replace("-", "−")
