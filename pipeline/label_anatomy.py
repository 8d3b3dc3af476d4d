"""The anatomy that a label map shows: sizes, depths and contacts of its labels, and the numberings that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import BONE_OF, BONES, CARTILAGE_OF, NUMBERINGS, Numbering, Structure, Tissue
from pipeline.grid import Grid
from pipeline.types import LabelMap

BONE_DEPTH_MM: Final = 3.0
"""Minimum depth (twice the volume divided by the area of voxel faces) of a bone, maximum depth of cartilage and
meniscus. In expert maps, patellae are above 4.7 and cartilage plates below 1.9."""

_PLATES: Final = CARTILAGE_OF[Structure.TIBIA]

PIECE_SHARE: Final = 0.2
"""Smallest share of a label that counts as a separate piece: the smaller tibial plate is above 0.4 of both."""

ON_BONE_SHARE: Final = 0.2
"""Smallest share of a plate's faces that are shared with the bone it lies on: about 0.45 in expert maps."""

MOST_LABELS: Final = 64
"""A map with more labels is no map of a knee."""


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """Of each label: volume, area of its voxel faces, area of the faces that two labels share (0: background), and
    number of large pieces (1 for bones).
    """

    volume_mm3: Mapping[int, float]
    area_mm2: Mapping[int, float]
    contact_mm2: Mapping[tuple[int, int], float]
    pieces: Mapping[int, int]

    def depth_mm(self, label: int) -> float:
        """Twice the volume divided by the area: about the thickness of a plate."""
        return 2 * self.volume_mm3[label] / max(self.area_mm2[label], 1e-9)


def label_facts(labels: NDArray[np.integer], grid: Grid) -> LabelFacts:
    """The facts of every label in (z, y, x). Empty for a map with more than MOST_LABELS labels."""
    counts = np.bincount(labels.ravel())
    values = [int(v) for v in np.flatnonzero(counts)]
    if not 1 < len(values) <= MOST_LABELS:
        return LabelFacts(volume_mm3={}, area_mm2={}, contact_mm2={}, pieces={})
    table = np.zeros(len(counts), dtype=np.uint16)
    table[values] = np.arange(len(values))
    codes = table[labels]
    n = len(values)
    contact = np.zeros((n, n))
    for axis in range(3):
        here, there = np.delete(codes, -1, axis), np.delete(codes, 0, axis)
        edge = here != there
        pairs = np.bincount(here[edge] * np.uint16(n) + there[edge], minlength=n * n).reshape(n, n)
        contact += pairs * grid.voxel_volume_mm3 / grid.spacing_mm[axis]
    contact += contact.T
    facts = LabelFacts(
        volume_mm3={v: float(counts[v]) * grid.voxel_volume_mm3 for v in values if v},
        area_mm2={v: float(contact[k].sum()) for k, v in enumerate(values) if v},
        contact_mm2={(a, b): float(contact[i, j]) for i, a in enumerate(values) for j, b in enumerate(values)},
        pieces={},
    )
    thin = {k: v for k, v in enumerate(values) if v and facts.depth_mm(v) < BONE_DEPTH_MM}
    return replace(facts, pieces={v: _large_pieces(codes, k) for k, v in thin.items()})


def _large_pieces(codes: NDArray[np.integer], code: int) -> int:
    """Number of connected parts with at least PIECE_SHARE of the voxels."""
    from scipy import ndimage  # imported here because web processes use this module but not scipy

    box = ndimage.find_objects((codes == code).view(np.uint8))[0]
    parts, _ = ndimage.label(codes[box] == code)
    sizes = np.bincount(parts.ravel())[1:]
    return int((sizes >= PIECE_SHARE * sizes.sum()).sum())


def guess_numbering(label_map: LabelMap) -> tuple[str, ...]:
    """Ids of the numberings that declare every label of the map and do not contradict its anatomy."""
    return fitting(label_facts(label_map.labels, label_map.grid))


def fitting(facts: LabelFacts) -> tuple[str, ...]:
    """As `guess_numbering`, from facts.

    If a numbering with one label for both tibial plates fits, those that would leave one plate without a label do not.
    If one in which the map holds a bone fits, those in which it holds none do not.
    """
    values = facts.volume_mm3.keys()
    fit = [
        n for n in NUMBERINGS.values() if values and values <= n.to_canonical.keys() and not contradictions(facts, n)
    ]
    with_bone = [n for n in fit if any(s in BONES for s in _structures(facts, n))]
    fit = with_bone or fit
    plates = {n.id: sum(s in _PLATES for s in _structures(facts, n)) for n in fit}
    if any(plates[n.id] and not n.compartments_apart for n in fit):
        fit = [n for n in fit if not n.compartments_apart or plates[n.id] != 1]
    return tuple(n.id for n in fit)


def contradictions(facts: LabelFacts, numbering: Numbering) -> tuple[str, ...]:
    """What the anatomy of the map says against a numbering, as sentences without a full stop."""
    found = _structures(facts, numbering)
    words = []
    for structure, own in found.items():
        label = f"label {own[0]} ({structure.title.lower()})"
        if structure.tissue is Tissue.BONE and facts.depth_mm(own[0]) < BONE_DEPTH_MM:
            words.append(f"{label} is a thin plate")
        if structure.tissue is not Tissue.BONE and max(facts.depth_mm(value) for value in own) > BONE_DEPTH_MM:
            words.append(f"{label} is as thick as a bone")
        if structure in BONE_OF:
            words += _misplaced(facts, found, structure, label)
    plates = [found[plate][0] for plate in _PLATES if plate in found]
    if numbering.compartments_apart and len(plates) == 1 and facts.pieces.get(plates[0], 1) > 1:
        words.append(f"label {plates[0]} holds both tibial plates")
    words += _sizes(facts, found)
    return tuple(words)


def _misplaced(facts: LabelFacts, found: Mapping[Structure, list[int]], structure: Structure, label: str) -> list[str]:
    touched = {bone: _touching(facts, found[structure], found[bone]) for bone in BONES if bone in found}
    own = BONE_OF[structure]
    most = max(touched, key=lambda bone: touched[bone], default=own)
    if own in touched and not touched[own]:
        return [f"{label} does not touch the {own.title.lower()}"]
    area = sum(facts.area_mm2[value] for value in found[structure])
    lies = own in touched or touched.get(most, 0.0) > ON_BONE_SHARE * area
    return [f"{label} lies on the {most.title.lower()}"] if most is not own and lies else []


def _sizes(facts: LabelFacts, found: Mapping[Structure, list[int]]) -> list[str]:
    volume = {s: sum(facts.volume_mm3[v] for v in own) for s, own in found.items()}
    patella = volume.get(Structure.PATELLA)
    larger = [s for s in (Structure.FEMUR, Structure.TIBIA) if patella is not None and volume.get(s, patella) < patella]
    return [f"the patella is larger than the {s.title.lower()}" for s in larger]


def _structures(facts: LabelFacts, numbering: Numbering) -> dict[Structure, list[int]]:
    found: dict[Structure, list[int]] = {}
    for value in sorted(facts.volume_mm3):
        structure = numbering.to_canonical.get(value)
        if structure is not None:
            found.setdefault(structure, []).append(value)
    return found


def _touching(facts: LabelFacts, own: list[int], other: list[int]) -> float:
    return sum(facts.contact_mm2[a, b] for a in own for b in other)
