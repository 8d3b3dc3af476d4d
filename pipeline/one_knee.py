"""Bones that belong to one knee: the connected parts of femur, tibia and patella are chosen together.

All candidates are compared on every n-th voxel (COARSE_MM), in the frame of the reference knee fitted to each femur:
the tibia lies below its femur and close to it, the patella in front of it. Labels are removed, never added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.alignment import rough_alignment
from pipeline.anatomy import BONE_OF, BONES, Structure
from pipeline.errors import ImplausibleAnatomy, OptionsError, TwoKnees
from pipeline.grid import Box, FloatArray, Grid
from pipeline.registration import scale_of
from pipeline.types import Alignment, LabelArray, Segmentation

COARSE_MM: Final = 2.0
"""Maximum distance of the voxels used to compare candidates, where the image's own voxels are smaller."""

LEAST_MM3: Final = 500.0
"""Smaller parts are no candidates; they follow the nearest candidate of the same bone. A patella without a larger part
has its largest one as the candidate: the border may cut it, and what is labelled patella elsewhere must not be kept."""

JOIN_MM: Final = 6.0
"""Parts closer than this are one candidate: a growth plate or dark marrow may divide a bone (2 to 5 mm)."""

FEMUR_MM: Final = 2.6
"""Maximum mean distance of a femur to the reference in the coarse fit."""

WELL_MM: Final = 2.0
"""Above this distance in the coarse fit, other orientations are tried: expert maps have 1.1 or less, right bones in a
wrong orientation 2.2 and more."""

SCALES: Final = (0.7, 1.5)
"""Limits of the scale patient -> reference: femora of expert maps are between 0.9 and 1.1."""

TIBIA_GAP_MM: Final = 12.0
"""Maximum gap between femur and tibia: 3 to 5 mm in expert maps, more with a torn or thick meniscus."""

TIBIA_BELOW_MM: Final = -5.0
"""Maximum height of the tibia's centre in the reference frame: -52 to -42 in expert maps, higher in a flexed knee."""

PATELLA_GAP_MM: Final = 25.0
"""Maximum gap between femur and patella: cartilage, effusion, or a dislocated patella."""

PATELLA_FRONT_MM: Final = -20.0
"""Maximum position towards posterior of the patella's centre in the reference frame: -52 to -50 in expert maps, -35 in
a flexed knee; behind the thigh it is positive."""

PATELLA_MM3: Final = 50_000.0
"""Maximum volume of a patella, scaled to the reference knee: 13,000 to 21,000 in expert maps."""

LEAST_SHARE: Final = 0.25
"""Fitting candidates smaller than this fraction of the largest fitting one are fragments."""


MOST_KNEES: Final = 2
"""A person has no more: of several femora, those that fit best."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A part of a bone. number: in its bone's groups; points_mm (n, 3): centres of its boundary voxels."""

    number: int
    volume_mm3: float
    centre_mm: FloatArray
    points_mm: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Bone:
    """The candidates of one bone. groups (z, y, x) on the coarse grid: number of the candidate, 0 elsewhere."""

    groups: NDArray[np.int32]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Knee:
    """Bones that fit together; a missing tibia or patella is None."""

    parts: dict[Structure, Candidate | None]
    pose: Alignment

    @property
    def points_mm(self) -> FloatArray:
        """Of all its bones."""
        return np.concatenate([part.points_mm for part in self.parts.values() if part is not None])

    @property
    def has_tibia(self) -> bool:
        return self.parts.get(Structure.TIBIA) is not None

    @property
    def whole(self) -> bool:
        """Whether femur and tibia belong to the knee, and every other bone in the image has a part that does."""
        return self.has_tibia and None not in self.parts.values()

    @property
    def femur(self) -> Candidate:
        femur = self.parts[Structure.FEMUR]
        assert femur is not None  # noqa: S101  a knee is made from its femur
        return femur


OnNoKnee = Callable[[Mapping[Structure, Bone]], None]
"""What to do if the bones of an image do not fit together as a knee."""


def one_knee(segmentation: Segmentation, knee: str = "", on_no_knee: OnNoKnee | None = None) -> Segmentation:
    """Remove every bone that does not belong to the knee, with its cartilage; the same object if all belong to it.

    What was removed is stated in the segmentation's warnings, except for the other knee if one is chosen.

    knee: number of one of several knees, from the patient's right to the left; empty for the only one
    on_no_knee: is called with the bones if none of them fit together as a knee, and may raise
    Raises TwoKnees if there are several and none is chosen, OptionsError if there is no knee with this number.
    """
    bones = bones_of(segmentation)
    knees = knees_of(bones)
    if on_no_knee is not None and not any(
        knee.pose.residual_mm <= WELL_MM and (knee.has_tibia or Structure.TIBIA not in bones) for knee in knees
    ):
        on_no_knee(bones)
    if not knees:  # no femur that fits: the alignment decides whether it is a knee
        return segmentation
    chosen = _chosen(knees, knee)
    kept = {bone: {part.number} if (part := chosen.parts[bone]) is not None else set() for bone in bones}
    if all(len(kept[bone]) == len(bones[bone].candidates) for bone in bones):
        return segmentation
    others = [other for other in knees if other is not chosen]
    return replace(
        segmentation,
        labels=_only(segmentation, bones, kept),
        warnings=(*segmentation.warnings, *_removed(bones, chosen, others)),
    )


def _removed(bones: dict[Structure, Bone], chosen: Knee, others: list[Knee]) -> tuple[str, ...]:
    """For people: the parts that were left out, except those of other knees or closer to one of them."""
    tree, trees = cKDTree(chosen.points_mm), [cKDTree(other.points_mm) for other in others]
    volumes = {
        bone: sum(
            part.volume_mm3
            for part in found.candidates
            if part is not chosen.parts[bone] and all(_gap_mm(part, tree) < _gap_mm(part, other) for other in trees)
        )
        for bone, found in bones.items()
    }
    parts = ", ".join(f"{bone.title.lower()} {volume / 1000:.1f} cm³" for bone, volume in volumes.items() if volume)
    return (f"Parts that do not belong to the measured knee were left out: {parts}. Check the outlines.",) * bool(parts)


def part_of_knee(segmentation: Segmentation, knee: str) -> Box | None:
    """The part of the grid that shows one of several knees: up to half way to the others' bones.

    None if the segmentation shows one knee, or boxes around the knees overlap. Raises as `one_knee`.
    """
    grid = segmentation.grid
    knees = knees_of(bones_of(segmentation))
    if len(knees) < 2:
        return None
    own = _chosen(knees, knee)
    low, high = _index_box(own, grid)
    start, stop = [0, 0, 0], list(grid.shape)
    for other in knees:
        if other is own:
            continue
        below, above = _index_box(other, grid)
        gap = np.maximum(below - high, low - above) * grid.spacing_mm
        axis = int(np.argmax(gap))
        if gap[axis] <= 0:
            return None
        if below[axis] > high[axis]:
            stop[axis] = min(stop[axis], int(below[axis] + high[axis]) // 2 + 1)
        else:
            start[axis] = max(start[axis], int(low[axis] + above[axis]) // 2 + 1)
    z, y, x = (slice(a, b) for a, b in zip(start, stop, strict=True))
    return z, y, x


def _index_box(knee: Knee, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest voxel index (3,) of its bones."""
    index = grid.to_index(knee.points_mm)
    return index.min(axis=0), index.max(axis=0)


def _steps(grid: Grid) -> tuple[int, ...]:
    return tuple(max(1, int(COARSE_MM / spacing)) for spacing in grid.spacing_mm)


def bones_of(segmentation: Segmentation) -> dict[Structure, Bone]:
    """The bones that have candidates."""
    steps = _steps(segmentation.grid)
    coarse = segmentation.labels[tuple(slice(None, None, step) for step in steps)]
    spacing = np.array(segmentation.grid.spacing_mm) * steps
    found = {}
    for bone in BONES:
        mask = coarse == bone
        groups, numbers, sizes = _groups(mask, spacing, small=bone is Structure.PATELLA)
        if not numbers:
            continue
        rim = mask & ~ndimage.binary_erosion(mask)
        candidates = tuple(
            Candidate(
                number=number,
                volume_mm3=float(sizes[number] * np.prod(spacing)),
                centre_mm=segmentation.grid.to_mm(np.argwhere(groups == number) * steps).mean(axis=0),
                points_mm=segmentation.grid.to_mm(np.argwhere(rim & (groups == number)) * steps),
            )
            for number in numbers
        )
        found[bone] = Bone(groups=groups, candidates=candidates)
    return found


def _groups(
    mask: NDArray[np.bool_], spacing_mm: FloatArray, *, small: bool
) -> tuple[NDArray[np.int32], list[int], NDArray[np.intp]]:
    """Candidates of a bone: array of their numbers, the numbers, and the voxels of every number.

    small: without a part of LEAST_MM3, the largest one is a candidate
    """
    least = LEAST_MM3 / float(np.prod(spacing_mm))
    pieces, count = ndimage.label(mask)
    sizes = np.bincount(pieces.reshape(-1), minlength=count + 1)
    if (sizes[1:] >= least).sum() > 1:
        near = ndimage.distance_transform_edt(~mask, spacing_mm) <= JOIN_MM / 2
        pieces, count = ndimage.label(near)
        pieces[~mask] = 0
        sizes = np.bincount(pieces.reshape(-1), minlength=count + 1)
    numbers = [number for number in range(1, count + 1) if sizes[number] >= least]
    if small and not numbers and count:
        numbers = [int(np.argmax(sizes[1:])) + 1]
    pieces[~np.isin(pieces, numbers)] = 0
    return pieces, numbers, sizes


def knees_of(bones: Mapping[Structure, Bone]) -> list[Knee]:
    """The knees, from the patient's right to the left. Femora with a tibia are preferred to those without."""
    if Structure.FEMUR not in bones:
        return []
    found = []
    for femur in bones[Structure.FEMUR].candidates:
        try:
            pose = rough_alignment(femur.points_mm)
        except ImplausibleAnatomy:
            continue
        if pose.residual_mm <= FEMUR_MM and SCALES[0] < scale_of(pose.matrix) < SCALES[1]:
            found.append(_knee(femur, pose, bones))
    complete = [knee for knee in found if knee.has_tibia]
    knees = _without_shared(complete or found)[:MOST_KNEES]
    return sorted(knees, key=lambda knee: knee.femur.centre_mm[0])


def _knee(femur: Candidate, pose: Alignment, bones: Mapping[Structure, Bone]) -> Knee:
    tree = cKDTree(femur.points_mm)
    parts: dict[Structure, Candidate | None] = dict.fromkeys(bones)
    parts[Structure.FEMUR] = femur
    for bone, fits in ((Structure.TIBIA, _is_tibia), (Structure.PATELLA, _is_patella)):
        if bone in bones:
            fitting = [c for c in bones[bone].candidates if fits(c, pose, _gap_mm(c, tree))]
            least = LEAST_SHARE * max((c.volume_mm3 for c in fitting), default=0.0)
            large = [c for c in fitting if c.volume_mm3 >= least]
            parts[bone] = min(large, key=lambda c: _gap_mm(c, tree), default=None)
    return Knee(parts=parts, pose=pose)


def _is_tibia(tibia: Candidate, pose: Alignment, gap_mm: float) -> bool:
    """Below the femur and close to it."""
    return gap_mm <= TIBIA_GAP_MM and bool(pose.to_reference(tibia.centre_mm[None])[0, 2] < TIBIA_BELOW_MM)


def _is_patella(patella: Candidate, pose: Alignment, gap_mm: float) -> bool:
    """In front of the femur, and not larger than a patella."""
    small = patella.volume_mm3 * scale_of(pose.matrix) ** 3 <= PATELLA_MM3
    front = bool(pose.to_reference(patella.centre_mm[None])[0, 1] < PATELLA_FRONT_MM)
    return gap_mm <= PATELLA_GAP_MM and small and front


def _gap_mm(candidate: Candidate, bone: cKDTree) -> float:
    return float(bone.query(candidate.points_mm)[0].min())


def _without_shared(knees: list[Knee]) -> list[Knee]:
    """Of knees that share a bone, the one with the better femur: the other femur is a fragment or an object."""
    kept: list[Knee] = []
    for knee in sorted(knees, key=lambda knee: knee.pose.residual_mm):
        shared = any(
            part is not None and part is other.parts[bone] for other in kept for bone, part in knee.parts.items()
        )
        if not shared:
            kept.append(knee)
    return kept


def _chosen(knees: list[Knee], knee: str) -> Knee:
    if knee:
        if int(knee) > len(knees):
            raise OptionsError(
                f"knee is {knee}; the image shows {len(knees)}.", hint="Leave the option knee empty.", option="knee"
            )
        return knees[int(knee) - 1]
    if len(knees) > 1:
        raise TwoKnees(
            f"The image shows {len(knees)} knees, from the patient's right to the left: "
            f"{'; '.join(_described(number, knee) for number, knee in enumerate(knees, 1))}. Expected one.",
            hint="Choose one with the option knee (1 or 2), also when you run the job again: its scan is kept.",
            knees=[_facts(number, knee) for number, knee in enumerate(knees, 1)],
        )
    return knees[0]


def _described(number: int, knee: Knee) -> str:
    centre = ", ".join(f"{mm:.0f}" for mm in knee.femur.centre_mm)
    return f"knee {number} looks like a {knee.pose.side} knee (femur at {centre} mm LPS)"


def _facts(number: int, knee: Knee) -> dict[str, object]:
    low, high = knee.points_mm.min(axis=0), knee.points_mm.max(axis=0)
    return {
        "knee": str(number),
        "side": str(knee.pose.side),
        "centre_mm": knee.femur.centre_mm.round(1).tolist(),
        "box_mm": [low.round(1).tolist(), high.round(1).tolist()],
    }


def _only(
    segmentation: Segmentation,
    bones: dict[Structure, Bone],
    kept: dict[Structure, set[int]],
) -> LabelArray:
    """A copy of the labels without the voxels whose nearest candidate is not kept."""
    steps = _steps(segmentation.grid)
    spacing = np.array(segmentation.grid.spacing_mm) * steps
    near = {bone: _near_kept(found.groups, kept[bone], spacing) for bone, found in bones.items()}
    labels = segmentation.labels.copy()
    for structure, box in segmentation.boxes.items():
        # menisci, and cartilage of a bone without candidates, follow the femur
        bone = structure if structure in BONES else BONE_OF.get(structure, Structure.FEMUR)
        keep = near[bone if bone in near else Structure.FEMUR]
        index = [
            np.minimum((np.arange(part.start, part.stop) + step // 2) // step, n - 1)
            for part, step, n in zip(box, steps, keep.shape, strict=True)
        ]
        view = labels[box]
        view[(view == structure) & ~keep[np.ix_(*index)]] = 0
    return labels


def _near_kept(groups: NDArray[np.int32], kept: set[int], spacing_mm: FloatArray) -> NDArray[np.bool_]:
    """(z, y, x) on the coarse grid: where the nearest candidate is kept."""
    nearest = ndimage.distance_transform_edt(groups == 0, spacing_mm, return_distances=False, return_indices=True)
    found: NDArray[np.bool_] = np.isin(groups, list(kept))[tuple(nearest)]
    return found
