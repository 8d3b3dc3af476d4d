"""Comparison of two knees, per bone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.anatomy import BONES, Structure
from pipeline.blas import one_blas_thread
from pipeline.comparison.bones import moved, register_bone
from pipeline.comparison.carry import carry_thickness
from pipeline.comparison.changes import BoneChange, Change, matched_changes, matched_in_subregions, own_changes
from pipeline.comparison.knee import MIRROR, Knee
from pipeline.comparison.reproducibility import Reproducibility
from pipeline.errors import NotComparable
from pipeline.segmentation.identity import ModelIdentity
from pipeline.types import ThicknessMap

POOR_FIT_MM = 0.8
"""Surface distance (rms) of a registration above which there is a warning; see bones.IMPLAUSIBLE_MM for figures."""

OnProgress = Callable[[float, str], None]
"""Receives the progress, 0 to 1, and the current operation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """second - first.

    knees     both, as given
    bones     the common bones that could be registered, in the order of anatomy.BONES
    mirrored  the second knee was mirrored first
    """

    knees: tuple[Knee, Knee]
    bones: tuple[BoneChange, ...]
    changes: tuple[Change, ...]
    mirrored: bool
    reproducibility: Reproducibility
    warnings: tuple[str, ...]


@one_blas_thread
def compare(
    first: Knee, second: Knee, known: Reproducibility, on_progress: OnProgress = lambda _, __: None
) -> Comparison:
    """Register the second knee to the first and compute the differences.

    Raises NotComparable if no bone can be registered.
    """
    mirror = first.side is not second.side
    here, there = first, second.mirrored() if mirror else second
    warnings = list(differences(first, second))
    if mirror:
        warnings.append(f"The second knee ({second.side}) was mirrored to match the first ({first.side}).")
    bones: list[BoneChange] = []
    reasons: list[str] = []
    for index, structure in enumerate(BONES):
        on_progress(index / len(BONES), f"Registering {structure.title.lower()}")
        pair = map_of(here, structure), map_of(there, structure)
        if pair[0] is None or pair[1] is None:
            if pair != (None, None):
                reasons.append(f"{structure.title}: segmented in only one of the two analyses.")
            continue
        try:
            bones.append(bone_change(pair[0], pair[1], (here, there), mirror=mirror))
        except NotComparable as error:
            reasons.append(error.message)
    if not bones:
        raise NotComparable(
            " ".join(reasons) or "The two analyses have no bone in common.",
            hint="Compare two analyses of the same person's knees.",
        )
    warnings += reasons
    warnings += [
        f"{bone.structure.title}: the bones are {bone.residual.rms:.2f} mm apart (expected less than {POOR_FIT_MM}). "
        "Check that the scans are of the same person."
        for bone in bones
        if bone.residual.rms > POOR_FIT_MM
    ]
    known = known.in_knees(first.measurements, second.measurements)
    rows = [row for bone in bones for row in matched_changes(bone, known)]
    rows += own_changes(first.measurements, second.measurements, known)
    rows += [row for bone in bones for row in matched_in_subregions(bone, known)]
    flags = first.flags + second.flags
    return Comparison(
        knees=(first, second),
        bones=tuple(bones),
        changes=tuple(row.judged(flags) for row in rows),
        mirrored=mirror,
        reproducibility=known,
        warnings=tuple(warnings),
    )


def map_of(knee: Knee, structure: Structure) -> ThicknessMap | None:
    """Thickness on this bone; None if it is not in the analysis."""
    return next((item for item in knee.maps if item.surface.structure is structure), None)


def bone_change(first: ThicknessMap, second: ThicknessMap, knees: tuple[Knee, Knee], *, mirror: bool) -> BoneChange:
    """The second knee's bone registered to the first's. mirror: the second knee was mirrored. Raises NotComparable."""
    matrix, residual = register_bone(first, second, (knees[0].alignment, knees[1].alignment))
    plate = np.isfinite(first.thickness_mm) & (first.region > 0)
    thickness = np.full(len(plate), np.nan)
    surface = first.surface
    thickness[plate] = carry_thickness(surface.points_mm[plate], surface.normals[plate], moved(second, matrix))
    return BoneChange(first=first, second_mm=thickness, matrix=matrix @ MIRROR if mirror else matrix, residual=residual)


def _names(first: ModelIdentity, second: ModelIdentity) -> str:
    """Both ids, or the difference between two models with the same id."""
    if first.id != second.id:
        return f"{first.id}, {second.id}"
    return f"both {first.id}, with other weights"


def differences(first: Knee, second: Knee) -> list[str]:
    """Differences between the two analyses other than the knees, as text."""
    found = []
    if first.model != second.model:
        found.append(
            "The outlines were made by two different models "
            f"({_names(first.model, second.model)}): a difference may be due to the models."
        )
    names = sorted(
        name
        for name in {*first.options, *second.options}
        - {"segmentation_model", "numbering", "side", "series", "retain_results"}
        if first.options.get(name) != second.options.get(name)
    )
    if names:
        found.append(f"The options differ: {', '.join(name.replace('_', ' ') for name in names)}.")
    for name, knee in (("first", first), ("second", second)):
        if knee.edited:
            titles = ", ".join(structure.title.lower() for structure in sorted(knee.edited))
            found.append(
                f"A reader corrected outlines of the {name} analysis ({titles}): the model's repeatability does not "
                "hold for them, and a difference may be due to the correction."
            )
    sizes = [sorted(knee.grid.spacing_mm) for knee in (first, second)]
    if any(abs(a - b) > 0.05 * max(a, b) for a, b in zip(*sizes, strict=True)):
        one, two = (" x ".join(f"{value:.2f}" for value in size) for size in sizes)
        found.append(f"The voxel sizes differ ({one} mm, {two} mm).")
    return found
