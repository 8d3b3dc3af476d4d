"""Checks of the knee as a whole: its side, its fit to the reference, and where its bones are."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.anatomy import Structure, Tissue
from pipeline.scan_checks.finding import Finding
from pipeline.scan_checks.subject import Subject

POSTERIOR: Final = 1
"""Axis of the reference frame."""


def missing_structures(subject: Subject) -> Finding | None:
    """Number of structures that the model can find and did not; menisci may be cut away, and do not count."""
    expected = [structure for structure in subject.card.structures if structure.tissue is not Tissue.MENISCUS]
    absent = [structure.title.lower() for structure in expected if structure not in subject.segmentation.boxes]
    return Finding(value=float(len(absent)), words=f"not found: {', '.join(absent)}")


def poor_fit(subject: Subject) -> Finding | None:
    """Mean distance (mm) between the bone by which the knee was aligned and the reference."""
    alignment = subject.alignment
    bone = alignment.structure.key
    words = f"the {bone} is {alignment.residual_mm:.1f} mm from the reference {bone} on average"
    return Finding(value=alignment.residual_mm, words=words)


def side(subject: Subject) -> Finding | None:
    """Residual of the side found divided by that of the other side; above 1 if the header states the other side."""
    alignment, stated = subject.alignment, subject.scan.side
    ratio = alignment.residual_mm / alignment.residual_other_mm
    fits = (
        f"fits a {alignment.side} knee to {alignment.residual_mm:.2f} mm, "
        f"a {alignment.side.other} one to {alignment.residual_other_mm:.2f} mm"
    )
    if stated is not None and stated is not alignment.side:
        return Finding(value=2.0 - ratio, words=f"stated is a {stated} knee, but the {alignment.structure.key} {fits}")
    return Finding(value=ratio, words=f"the {alignment.structure.key} {fits}")


def patella_behind(subject: Subject) -> Finding | None:
    """Position (mm, towards posterior) of the patella's middle in the reference frame; None without a patella."""
    segmentation = subject.segmentation
    if Structure.PATELLA not in segmentation.boxes:
        return None
    voxels = np.argwhere(segmentation.labels == Structure.PATELLA)
    middle = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    position = float(subject.alignment.to_reference(segmentation.grid.to_mm(voxels.mean(axis=0)[None]))[0, POSTERIOR])
    words = f"the patella is {-position:.0f} mm in front of the middle of the femur"
    return Finding(value=position, words=words, place=(int(middle[0]), int(middle[1]), int(middle[2])))
