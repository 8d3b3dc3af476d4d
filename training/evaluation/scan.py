"""Scans of held-out knees in a condition, with their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.acquisition import PulseSequence
from pipeline.grid import Grid
from pipeline.types import LabelArray, Scan, Segmentation
from training.canvas import Insert, filled
from training.evaluation.changes import without_patella
from training.evaluation.effusion import effusion
from training.evaluation.grids import Mask, Plane, knee_on, slices_across
from training.evaluation.sequences import DESS, Sequence
from training.joint import with_whole_shafts
from training.knee_unet.fields import blurred
from training.knee_unet.scans import UNSEEN, dess_scan
from training.knee_unet.specimen import read_expert_map
from training.limb import Field
from training.render import QUIET, Drawn, render_sequence
from training.signal import FREE_FLUID

Change = Callable[[Segmentation, np.random.Generator], Segmentation]
InBone = Callable[[LabelArray, Grid, np.random.Generator], tuple[Insert, ...]]
AVERAGED: Final = 3
"""Scans with different soft tissues in the blurred average."""
AVERAGE_SD_MM: Final = 0.8
"""SD of the blur of the average: registration leaves about a voxel."""
TEMPLATE_MM: Final = (1.4, 0.73, 0.73)
"""Voxels of the CLAIR-Knee-103R template (Y. Yao et al., CartiMorph, Med. Image Anal. 91, 2024)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """A scan and its truth.

    truth   labels on the scan's grid, at the centres of its voxels
    drawn   the rendered labels, before voxels were averaged to slices: thickness is compared with theirs
    fluid   (z, y, x) on the scan's grid: where effusion was drawn; None without effusion
    """

    scan: Scan
    truth: Segmentation
    drawn: Segmentation
    fluid: Mask | None = None


def unseen_dess(path: Path, numbering: str, number: int, seed: int) -> Rendered:
    """DESS on the map's own voxels, with parameters outside the training ranges (scans.UNSEEN in turn)."""
    knee = read_expert_map(path, numbering)
    return Rendered(scan=dess_scan(knee, UNSEEN[number % len(UNSEEN)], seed), truth=knee, drawn=knee)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a knee is changed and scanned.

    voxel_mm        isotropic voxels that are rendered
    plane, slices   number (odd) of voxels that are averaged to one slice, and the plane of the slices
    changes         of the labels, in this order
    bathed          effusion; what the changes removed from the cartilage is fluid in any case
    in_bone         changes of the marrow
    """

    sequence: Sequence
    voxel_mm: float = 0.6
    plane: Plane = Plane.SAGITTAL
    slices: int = 1
    changes: tuple[Change, ...] = ()
    bathed: bool = False
    in_bone: InBone | None = None

    def __call__(self, path: Path, numbering: str, number: int, seed: int) -> Rendered:  # noqa: ARG002 -- as unseen_dess
        """A scan of an expert map."""
        return self.scan(knee_on(path, numbering, (self.voxel_mm,) * 3), seed)

    def scan(self, whole: Segmentation, seed: int) -> Rendered:
        """A scan of a knee on isotropic voxels of voxel_mm in the network's axes; deterministic for a seed."""
        shapes, liquid, lesions = np.random.default_rng(seed).spawn(3)
        knee = whole
        for change in self.changes:
            knee = change(knee, shapes)
        labels, grid = with_whole_shafts(knee.labels, knee.grid), knee.grid
        wet = (whole.labels > 0) & (labels == 0)
        if self.bathed:
            wet |= effusion(labels, grid, liquid)
        drawn = Drawn(
            around=filled(wet, FREE_FLUID),
            inside=() if self.in_bone is None else self.in_bone(labels, grid, lesions),
            tissues=self.sequence.tissues,
        )
        scanner = self.sequence.scanner
        # averaging n voxels to a slice lowers the noise by sqrt(n); a scan with thick slices has as much as a thin one
        scanner = replace(scanner, noise=scanner.noise * float(np.sqrt(self.slices)))
        image = render_sequence(labels, grid, seed, self.sequence.model, scanner=scanner, drawn=drawn)
        image, middle, wet, slices = slices_across(image, labels, wet, grid, self.plane, self.slices)
        return Rendered(
            scan=Scan(echoes=image[None], grid=slices, sequence=self.sequence.kind),
            truth=replace(knee, labels=middle, grid=slices),
            drawn=replace(knee, labels=labels),
            fluid=wet if self.bathed else None,
        )


def blurred_average(path: Path, numbering: str, number: int, seed: int) -> Rendered:  # noqa: ARG001 -- as unseen_dess
    """Femur, tibia and their cartilage alone, as in a template: the blurred mean of several DESS scans, masked."""
    return averaged_scan(knee_on(path, numbering, TEMPLATE_MM), seed)


def averaged_scan(whole: Segmentation, seed: int) -> Rendered:
    """The same, of a knee on any grid."""
    knee = without_patella(whole)
    labels = with_whole_shafts(knee.labels, knee.grid)
    scans = [render_sequence(labels, knee.grid, seed + k, DESS.model, scanner=QUIET) for k in range(AVERAGED)]
    image: Field = np.asarray(np.mean(scans, axis=0), np.float32) * (labels > 0)
    for axis, mm in enumerate(knee.grid.spacing_mm):
        image = blurred(image, axis, AVERAGE_SD_MM / mm)
    knee = replace(knee, labels=labels)
    scan = Scan(echoes=np.ascontiguousarray(image, np.float32)[None], grid=knee.grid, sequence=PulseSequence.DESS)
    return Rendered(scan=scan, truth=knee, drawn=knee)
