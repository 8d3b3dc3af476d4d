"""The figures of a model on a set of three cases, femoral cartilage alone."""

from __future__ import annotations

from dataclasses import replace

from pipeline.anatomy import ALL, Plate, Structure
from pipeline.quantities import PRIMARY, THC
from pipeline.segmentation.identity import INSTALLED, WEIGHTS, ModelIdentity
from pipeline.validation.agreement import Agreement
from pipeline.validation.case import CaseResult, MeasuredPlace
from pipeline.validation.record import Validation
from pipeline.validation.summary import not_in_set, place_figures, structure_figures

FEMORAL, PATELLAR = Structure.FEMORAL_CARTILAGE.key, Structure.PATELLAR_CARTILAGE.key
MODEL = ModelIdentity(id="our_model", source=INSTALLED, digests={WEIGHTS: "a" * 64})


def outlines(dice: float, distance: float = 0.3) -> Agreement:
    return Agreement(dice=dice, mean_surface_distance_mm=distance, hausdorff95_mm=1.0, volume_bias_percent=0.0)


def thickness(expert: float, model: float) -> MeasuredPlace:
    return MeasuredPlace(
        quantity=THC.id, method=PRIMARY, structure=Plate.FEMORAL, region=ALL, expert=expert, model=model
    )


def case(dice: float, true_mm: float, found_mm: float, **changes: object) -> CaseResult:
    plain = CaseResult(
        agreement={FEMORAL: outlines(dice)}, places=(thickness(true_mm, found_mm),), expert=(FEMORAL,), found=(FEMORAL,)
    )
    return replace(plain, **changes)


CASES = {"a": case(0.9, 2.0, 2.1), "b": case(0.8, 2.4, 2.4), "c": case(0.85, 1.8, 2.0)}


def validation(**changes: object) -> Validation:
    results = list(CASES.values())
    plain = Validation(
        set_name="our_knees",
        layout="two folders",
        numbering="oai",
        model=MODEL,
        model_title="Our model",
        date="2026-11-29",
        program={"version": "1"},
        steps={"segment": 4},
        options={},
        cases=3,
        refused=0,
        unpaired=0,
        without_bones=False,
        structures=structure_figures(results),
        places=place_figures(results),
        not_in_set=not_in_set(results),
    )
    return replace(plain, **changes)
