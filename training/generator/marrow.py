"""Lesions inside bone drawn into a map of materials: oedema, cysts, sclerosis, open growth plates. Labels stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.canvas import Lattice
from training.generator.materials import BONES, PLATES, Material
from training.generator.space import Mask, Straightened, box_around, is_any, limb_coordinates, noise_on
from training.limb import LimbFrame

PHYSIS_LEVEL_MM = {Structure.FEMUR: 33.0, Structure.TIBIA: -17.0}
"""Height of the growth plates in the frame of the limb, as of the scars in training/joint.py."""
BALL_REACH = 1.7
"""Largest distance of a lesion's border from its centre, relative to its radius."""
DIFFUSE = 0.12
MILD = 0.6
"""Oedema: roughness of its border, and the radius from which it is mild; relative to its radius."""
PHYSIS_MM = 1.3
"""Half the thickness of an open growth plate."""


@dataclass(frozen=True, kw_only=True)
class Lesions:
    """Numbers of lesions, and whether the growth plates are open."""

    oedema: int = 0
    cysts: int = 0
    sclerosis: int = 0
    open_physis: bool = False


def with_lesions(
    materials: LabelArray,
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    lesions: Lesions,
    rng: np.random.Generator,
    rigid: Mapping[Structure, Straightened],
) -> dict[str, float]:
    """Draw lesions in place, only in bone; returns the volume of each kind in cm3.

    rigid: per bone, coordinates in the flexed limb -> those of the extended limb
    """
    amounts: dict[str, float] = {}
    under = _under_cartilage(labels)
    plan = (
        ("oedema", Material.OEDEMA, lesions.oedema, (7.0, 16.0)),
        ("sclerosis", Material.SCLEROSIS, lesions.sclerosis, (3.0, 6.0)),
        ("cysts", Material.CYST, lesions.cysts, (2.0, 5.0)),
    )
    for name, material, count, radii in plan:
        drawn = 0
        for _ in range(count if len(under) else 0):
            place = under[int(rng.integers(len(under)))]
            drawn += _ball(materials, labels, grid, place, float(rng.uniform(*radii)), material, rng)
        if count:
            amounts[name] = drawn * grid.voxel_volume_mm3 / 1000.0
    if lesions.open_physis:
        amounts["open_physis"] = _physes(materials, labels, grid, frame, rigid, rng) * grid.voxel_volume_mm3 / 1000.0
    return amounts


def _under_cartilage(labels: LabelArray) -> NDArray[np.intp]:
    """(n, 3) voxels of bone in contact with cartilage."""
    plates = is_any(labels, PLATES)
    box = box_around(plates, 2)
    if box is None:
        return np.zeros((0, 3), np.intp)
    touching = ndimage.binary_dilation(plates[box]) & is_any(labels[box], BONES)
    return np.asarray(np.argwhere(touching) + np.array([s.start for s in box]))


def _ball(
    materials: LabelArray,
    labels: LabelArray,
    grid: Grid,
    place: NDArray[np.intp],
    radius_mm: float,
    material: Material,
    rng: np.random.Generator,
) -> int:
    """An irregular ball of marrow around a voxel; returns the number of changed voxels. The cortex stays."""
    voxel_mm = grid.spacing_mm[0]
    reach = round(BALL_REACH * radius_mm / voxel_mm) + 1
    box = tuple(slice(max(0, p - reach), min(n, p + reach + 1)) for p, n in zip(place, labels.shape, strict=True))
    axes = np.ix_(*(np.arange(s.start, s.stop) - p for s, p in zip(box, place, strict=True)))
    far = np.sqrt(sum(a.astype(np.float32) ** 2 for a in axes)) * voxel_mm
    bone = labels[tuple(place)]
    far = far * np.clip(1.0 + 0.25 * noise_on(far.shape, voxel_mm, 6.0, rng), 0.75, 1.5)
    if material is Material.OEDEMA:  # without a sharp border
        far += DIFFUSE * radius_mm * np.clip(noise_on(far.shape, voxel_mm, 1.5, rng), -2.0, 2.0)
    inside: Mask = far < radius_mm
    marrow = (materials[box] != Material.CORTEX) | (material is Material.SCLEROSIS)
    inside &= (labels[box] == bone) & marrow
    materials[box][inside] = material
    if material is Material.OEDEMA:
        materials[box][inside & (far > MILD * radius_mm)] = Material.MILD_OEDEMA
    return int(np.count_nonzero(inside))


def _physes(
    materials: LabelArray,
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    rigid: Mapping[Structure, Straightened],
    rng: np.random.Generator,
) -> int:
    """Undulating plates of cartilage through femur and tibia with a dark line on both sides."""
    lattice = Lattice(grid)
    waves = 2.5 * lattice.noise(rng, 14.0)
    count = 0
    for bone, height in PHYSIS_LEVEL_MM.items():
        box = box_around(labels == bone, 1)
        if box is None:
            continue
        level = limb_coordinates(lattice, frame, rigid[bone])[..., 2] + waves
        away = np.abs(lattice.to_grid(level, box) - height)
        inside = labels[box] == bone
        part = materials[box]
        part[inside & (away < PHYSIS_MM + 0.8)] = Material.SCLEROSIS
        part[inside & (away < PHYSIS_MM)] = Material.PHYSIS
        count += int(np.count_nonzero(inside & (away < PHYSIS_MM)))
    return count
