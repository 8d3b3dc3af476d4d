"""Accuracy of adapted weights on scans of the lab that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import Plate
from pipeline.errors import KneeError
from pipeline.segmentation import run
from pipeline.types import Resources, Segmentation
from training.adapt.cases import read_pair
from training.adapt.pairs import Pair
from training.knee_unet.agreement import compare, region_means
from training.knee_unet.built_in import built_in, with_first_pass
from training.knee_unet.evaluate import Knee

NETWORK_ALONE: Final = "knee_unet"
WITH_EDGES: Final = "nnunet_fullres"
"""The built-in models whose first pass is replaced: alone, and with located edges."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Results of one way to use the weights.

    model   the built-in model whose first pass they replace
    failed  names of scans that could not be segmented or measured
    """

    model: str
    knees: list[Knee]
    failed: list[str] = field(default_factory=list)

    @property
    def cartilage_dice(self) -> float:
        """Mean over the plates, then over the scans; a failed scan counts as 0."""
        plates = [[one.dice for name, one in knee.parts.items() if name in tuple(Plate)] for knee in self.knees]
        values = [float(np.mean(dice)) for dice in plates if dice] + [0.0] * len(self.failed)
        return float(np.mean(values)) if values else 0.0


def measured(weights: Path | None, pairs: Sequence[Pair], numbering: str, models: Sequence[str]) -> list[Measured]:
    """Segment every scan with the weights, as the pipeline does; None: the built-in ones.

    Raises KneeError if a label map cannot be read.
    """
    found = [Measured(model=model, knees=[]) for model in models]
    for pair in pairs:
        scan, expert = read_pair(pair, numbering)
        true = thickness(expert)
        for one in found:
            model = with_first_pass(built_in(one.model), weights)
            try:
                ours = run(model, scan, Resources(), lambda _: None)
            except KneeError as error:
                one.failed.append(pair.name)
                print(f"{pair.name} {one.model}: FAILED: {error}", flush=True)
                continue
            parts = compare(ours, expert)
            one.knees.append(Knee(name=pair.name, protocol="", parts=parts, true_mm=true, found_mm=thickness(ours)))
            dice = ", ".join(f"{name} {row.dice:.3f}" for name, row in parts.items())
            print(f"{pair.name} {one.model}: {dice}", flush=True)
    return found


def thickness(outlines: Segmentation) -> dict[str, float]:
    """Mean ThC of every region, mm; empty if the outlines cannot be measured, as without a femur."""
    try:
        return region_means(outlines)
    except KneeError:
        return {}
