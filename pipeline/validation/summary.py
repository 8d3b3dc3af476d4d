"""Figures over the cases of a labelled set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import numpy as np

from pipeline.anatomy import BONES, PLATE_ON, Structure, Tissue, place_order
from pipeline.report import collect_program
from pipeline.segmentation.segmenter import Segmenter
from pipeline.validation.agreement import Agreement
from pipeline.validation.case import CaseResult, MeasuredPlace, Outcomes, Plan, parts_of
from pipeline.validation.labelled_set import LabelledSet
from pipeline.validation.outlines import Place
from pipeline.validation.record import PlaceFigures, StructureFigures, Validation
from pipeline.validation.statistics import paired_figures

MOST_MIXED_UP: Final = 0.5
"""If a structure is taken for another one in more than this share of the cases, the numbering is refused."""


def structure_figures(results: Sequence[CaseResult]) -> dict[str, StructureFigures]:
    """Agreement of every part that an expert outlined and the model segments, by name."""
    return {
        name: _structure([result.agreement[name] for result in results if name in result.agreement])
        for name in parts_of()
        if any(name in result.agreement for result in results)
    }


def _structure(rows: Sequence[Agreement]) -> StructureFigures:
    dice = np.array([row.dice for row in rows])
    found = [row for row in rows if math.isfinite(row.mean_surface_distance_mm)]

    def mean(of: Callable[[Agreement], float]) -> float:
        return float(np.mean([of(row) for row in found])) if found else math.nan

    return StructureFigures(
        n=len(rows),
        missed=len(rows) - len(found),
        dice=float(dice.mean()),
        dice_sd=float(dice.std(ddof=1)) if len(rows) > 1 else math.nan,
        dice_worst=float(dice.min()),
        assd_mm=mean(lambda row: row.mean_surface_distance_mm),
        hd95_mm=mean(lambda row: row.hausdorff95_mm),
    )


def pairs_of(results: Iterable[CaseResult]) -> dict[Place, list[MeasuredPlace]]:
    """The measures of every region over the cases, in the order of tables."""
    found: dict[Place, list[MeasuredPlace]] = {}
    for result in results:
        for item in result.places:
            found.setdefault((item.quantity, item.method, item.structure, item.region), []).append(item)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][:2], place_order(*entry[0][2:]))))


def place_figures(results: Sequence[CaseResult]) -> tuple[PlaceFigures, ...]:
    """Bias, limits of agreement, ICC and correlation of every region."""
    rows = []
    for (quantity, method, structure, region), items in pairs_of(results).items():
        both = [item for item in items if math.isfinite(item.model)]
        figures = paired_figures([item.expert for item in both], [item.model for item in both])
        rows.append(
            PlaceFigures(
                quantity=quantity,
                method=method,
                structure=structure,
                region=region,
                missed=len(items) - len(both),
                **asdict(figures),
            )
        )
    return tuple(rows)


def not_in_set(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """Keys of the structures that no label map holds."""
    present = {key for result in results for key in result.expert}
    return tuple(structure.key for structure in Structure if structure.key not in present)


def mixed_up(results: Sequence[CaseResult]) -> dict[str, tuple[str, int]]:
    """Structure of the experts -> the one that the model calls it, and in how many cases; only if in most of them."""
    found: dict[str, tuple[str, int]] = {}
    for key in {key for result in results for key in result.mixed_up}:
        others = [result.mixed_up[key] for result in results if key in result.mixed_up]
        holding = sum(key in result.expert for result in results)
        if len(others) > MOST_MIXED_UP * holding:
            most = max(set(others), key=others.count)
            found[key] = (most, len(others))
    return dict(sorted(found.items()))


def worst_first(results: Mapping[str, CaseResult]) -> list[tuple[str, float]]:
    """Names of the cases and their mean Dice of cartilage (of all parts, if none has cartilage), the lowest first."""
    plates = {structure.key for structure in Structure if structure.tissue is Tissue.CARTILAGE}
    # the tibial plates are counted one by one; as one where they are not apart
    scored = []
    for name, result in results.items():
        dice = {part: row.dice for part, row in result.agreement.items()}
        chosen = [value for part, value in dice.items() if part in plates]
        chosen = chosen or [value for part, value in dice.items() if part in set(PLATE_ON.values())]
        scored.append((name, float(np.mean(chosen or list(dice.values()) or [math.nan]))))
    return sorted(scored, key=lambda entry: (math.isnan(entry[1]), entry[1]))


def validation_of(
    labelled: LabelledSet, outcomes: Outcomes, plan: Plan, set_name: str, segmenter: Segmenter, steps: Mapping[str, int]
) -> Validation:
    """The figures of the set. outcomes: with at least one result; steps: versions of those that made them."""
    results = list(outcomes.results.values())
    absent = not_in_set(results)
    declared = {structure.key for structure in segmenter.card.structures}
    return Validation(
        set_name=set_name,
        layout=labelled.layout.title,
        numbering=", ".join(sorted({result.numbering for result in results})),
        model=segmenter.identity(),
        model_title=segmenter.card.title,
        date=datetime.now(UTC).date().isoformat(),
        program=collect_program(),
        steps=steps,
        options=plan.options.to_dict(),
        cases=len(results),
        refused=len(outcomes.refusals),
        unpaired=len(labelled.without_labels) + len(labelled.without_scan),
        without_bones={bone.key for bone in BONES} <= set(absent),
        structures=structure_figures(results),
        places=place_figures(results),
        not_in_set=absent,
        not_segmented=tuple(s.key for s in Structure if s.key not in declared and s.key not in absent),
    )
