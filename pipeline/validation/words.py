"""The main figures of a validation as a sentence, for pages."""

from __future__ import annotations

import math

from pipeline.anatomy import Structure, Tissue
from pipeline.quantities import HEADLINES, THC, VOLUME
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
        parts.append(f"{quantity.title}, mean difference from the experts: {', '.join(differences)}")
    return f"On the {cases} of {validation.set_name}: {'; '.join(parts)}."


def _difference(figures: PlaceFigures) -> str:
    digits, unit = figures.of.digits, figures.of.unit.symbol
    bias = f"{figures.bias:+.{digits}f} {unit}"
    if not math.isfinite(figures.low):
        return bias
    return f"{bias} (limits of agreement {figures.low:+.{digits}f} to {figures.high:+.{digits}f})"
