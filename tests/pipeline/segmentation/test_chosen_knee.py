"""One of two knees in a scan is segmented as if it were alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.errors import TwoKnees
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.chosen_knee import segment_knee
from pipeline.segmentation.identity import ModelFile, ModelIdentity
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.segmenter import Availability, Report
from pipeline.types import Resources, Scan, Segmentation
from tests.support.knees import coarse_knee
from tests.support.two_knees import GAP_MM, two_knees

TISSUE = 50.0
STEP = 100.0
"""Grey value of soft tissue, and the difference between two labels in the scans of these tests."""


@dataclass
class ByGreyValue:
    """A model that reads the labels from the grey values, and notes what it was given."""

    seen: list[Scan] = field(default_factory=list)

    @property
    def card(self) -> ModelCard:
        return knee_unet().card

    def files(self) -> tuple[ModelFile, ...]:
        return ()

    def identity(self) -> ModelIdentity:
        return knee_unet().identity()

    def availability(self) -> Availability:
        return Availability(available=True)

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:  # noqa: ARG002 -- the interface
        self.seen.append(scan)
        report(1.0)
        labels = np.rint((scan.echoes[0] - TISSUE) / STEP).clip(min=0).astype(np.uint8)
        return Segmentation(labels=labels, grid=scan.grid, model_id="by grey value")

    def provenance(self, resources: Resources) -> dict[str, object]:  # noqa: ARG002 -- the interface
        return {}


def scan_of(both: Segmentation, air: slice) -> Scan:
    """Both knees in soft tissue, with slices of air between them."""
    image = TISSUE + STEP * both.labels.astype(np.float32)
    image += np.random.default_rng(1).uniform(-0.2 * STEP, 0.2 * STEP, image.shape).astype(np.float32)
    image[air] = 0
    return Scan(echoes=image[None], grid=both.grid)


@pytest.mark.slow
def test_the_chosen_knee_is_segmented_in_its_own_part_of_the_scan() -> None:
    both, right, left = two_knees(knee=coarse_knee())
    stop = len(both.labels) - len(coarse_knee().labels)
    start = stop - round(GAP_MM / both.grid.spacing_mm[0])
    scan = scan_of(both, slice(start, stop))
    with pytest.raises(TwoKnees):
        segment_knee(ByGreyValue(), scan, Resources(), lambda _: None, "", "")
    for number, alone, part in (("1", right, slice(stop, None)), ("2", left, slice(0, start))):
        model = ByGreyValue()
        found = segment_knee(model, scan, Resources(), lambda _: None, number, "")
        assert np.array_equal(np.pad(found.labels, found.padding), alone.labels)
        assert found.scan_grid.matches(scan.grid)
        own = model.seen[-1]
        assert np.array_equal(own.echoes[0], scan.echoes[0, part]), "without the other knee and without the air"
        assert np.allclose(own.grid.origin_mm, scan.grid.to_mm([[part.start, 0, 0]])[0])
