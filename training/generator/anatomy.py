"""A knee ready to be scanned: materials and labels of every voxel of an isotropic grid, and what was drawn.

Everything is drawn once, in this order: flexion, wear, menisci, soft tissue, fluid, bone. Scans (scan.py) only look up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.grid import Box, Grid
from pipeline.types import LabelArray, Segmentation
from training.canvas import Lattice
from training.generator.flexion import flexed, hinge_of
from training.generator.fluid import with_fluid
from training.generator.marrow import PHYSIS_LEVEL_MM, Lesions, with_lesions
from training.generator.materials import BONES, MENISCI, OF_KIND, PLATES, Material
from training.generator.menisci import draw_meniscus, draw_shape
from training.generator.space import (
    Straightened,
    box_around,
    continued,
    is_any,
    limb_coordinates,
    noise_on,
    surface_depth,
)
from training.generator.wear import denuded, fibrillated, thinned, with_osteophytes
from training.knee_unet.specimen import in_network_axes
from training.limb import CRUCIATES, Field, LimbFrame, limb_frame
from training.signal import Kind
from training.soft_tissues import render_soft_tissues

VOXEL_MM: Final = 0.5
DEEP_MM: Final = 0.9
"""Depth of the radial layer of cartilage."""
CORTEX_MM: Final = (0.3, 0.8)
"""Subchondral plate and thin cortex near the joint; shafts are thicker."""
THICK_FILM_MM: Final = (1.0, 3.5)
OFTEN_THICK: Final = 0.3
"""Fluid on the plates where an effusion fills the recesses beside them, and its probability."""
SHAFT_MM: Final = 2.2
"""Below the largest depth that space.surface_depth knows."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is drawn into a knee; the default is a healthy extended knee.

    effusion_mm   thickness of the effusion in the pouch and around the cruciates; 0: only a film
    film_mm       thickness of the fluid on the cartilage
    absent, extruded: menisci
    denuded_cm2, thin_left, fibrillation: per plate: area, share of the thickness left, deepest fissure
    osteophytes   per bone: number
    room_mm       (above, below, on every other side): tissue added around the map's field of view
    """

    flexion_deg: float = 0.0
    effusion_mm: float = 0.0
    film_mm: float = 0.3
    absent: frozenset[Structure] = frozenset()
    extruded: frozenset[Structure] = frozenset()
    denuded_cm2: dict[Structure, float] = field(default_factory=dict)
    thin_left: dict[Structure, float] = field(default_factory=dict)
    fibrillation: dict[Structure, float] = field(default_factory=dict)
    osteophytes: dict[Structure, int] = field(default_factory=dict)
    lesions: Lesions = field(default_factory=Lesions)
    room_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a knee contains, and its amount as drawn."""

    name: str
    amount: float = 1.0
    unit: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """Materials and labels (a, b, c), uint8, on an isotropic grid in the network's axes; labels are canonical."""

    name: str
    materials: LabelArray
    labels: LabelArray
    grid: Grid
    contains: tuple[Finding, ...]


class _MaterialMap:
    """A canvas (training.canvas.TissueTarget) that stores materials."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.materials = np.full(shape, Material.AIR, np.uint8)

    def cover(self, box: Box, weight: Field, kind: Kind, *, texture: float = 0.0) -> None:  # noqa: ARG002 as in TissueTarget
        """Assign the material to every voxel with a weight of at least 0.5."""
        self.materials[box][weight > 0.5] = OF_KIND[kind]


def draw_condition(rng: np.random.Generator) -> Condition:
    """A random knee: about a third healthy, the others with one to several findings."""
    if rng.random() < 0.3:
        return Condition(film_mm=float(rng.uniform(0.0, 0.6)), flexion_deg=float(rng.choice([0.0, rng.uniform(0, 20)])))
    plates = [p for p in PLATES if rng.random() < 0.3]
    kinds = rng.integers(0, 3, len(plates))
    return Condition(
        flexion_deg=float(rng.uniform(0.0, 60.0)) if rng.random() < 0.35 else 0.0,
        effusion_mm=float(rng.uniform(1.0, 9.0)) if rng.random() < 0.6 else 0.0,
        film_mm=float(rng.uniform(*(THICK_FILM_MM if rng.random() < OFTEN_THICK else (0.0, 1.2)))),
        absent=frozenset(m for m in MENISCI if rng.random() < 0.1),
        extruded=frozenset(m for m in MENISCI if rng.random() < 0.15),
        denuded_cm2={p: float(rng.uniform(1.0, 4.0)) for p, k in zip(plates, kinds, strict=True) if k == 0},
        thin_left={p: float(rng.uniform(0.3, 0.8)) for p, k in zip(plates, kinds, strict=True) if k == 1},
        fibrillation={p: float(rng.uniform(0.3, 0.9)) for p, k in zip(plates, kinds, strict=True) if k == 2},
        osteophytes={b: int(rng.integers(2, 9)) for b in BONES if rng.random() < 0.3},
        lesions=Lesions(
            oedema=int(rng.integers(0, 4)),
            cysts=int(rng.integers(0, 4)) if rng.random() < 0.4 else 0,
            sclerosis=int(rng.integers(0, 3)) if rng.random() < 0.4 else 0,
            open_physis=bool(rng.random() < 0.12),
        ),
        room_mm=(float(rng.uniform(0, 50)), float(rng.uniform(0, 50)), float(rng.uniform(0, 25)))
        if rng.random() < 0.3
        else (0.0, 0.0, 0.0),
    )


def make_anatomy(
    knee: Segmentation, condition: Condition, seed: int, *, name: str = "", voxel_mm: float = VOXEL_MM
) -> Anatomy:
    """Draw everything around and into the labels of a knee; deterministic.

    knee: canonical labels with separate tibial plates and whole shafts (specimen.read_expert_map). Raises ValueError if
    femur, tibia or a tibial plate is missing.
    """
    streams = dict(zip(("soft", "wear", "menisci", "fluid", "bone"), np.random.default_rng(seed).spawn(5), strict=True))
    labels, grid = isotropic(*in_network_axes(knee.labels, knee.grid), voxel_mm, condition.room_mm)
    found: list[Finding] = []
    frame = limb_frame(labels, grid)
    straightened = continued(None)
    rigid = dict.fromkeys(PHYSIS_LEVEL_MM, straightened)
    if condition.flexion_deg:
        hinge = hinge_of(labels, grid, frame, condition.flexion_deg)
        labels, straightened = flexed(labels, grid, frame, hinge), continued(hinge.straightened)
        rigid[Structure.FEMUR] = partial(hinge.turned, share=-1.0)
        found.append(Finding(name="flexion", amount=condition.flexion_deg, unit="deg"))
    labels = _wear(labels, grid, condition, streams["wear"], found)
    for meniscus in MENISCI:
        if meniscus not in condition.absent:
            shape = draw_shape(streams["menisci"], meniscus, extruded=meniscus in condition.extruded)
            labels = draw_meniscus(labels, grid, frame, meniscus, shape, streams["menisci"])
        state = (
            "absent" if meniscus in condition.absent else "extruded" if meniscus in condition.extruded else "present"
        )
        volume = float(np.count_nonzero(labels == meniscus)) * voxel_mm**3 / 1000.0
        found.append(Finding(name=f"{meniscus.key}_{state}", amount=volume, unit="cm3"))
    canvas = _MaterialMap(grid.shape)
    render_soft_tissues(canvas, labels, grid, streams["soft"], straightened=straightened)
    materials = canvas.materials
    _without_drawn_menisci(materials, labels)
    _mark_cruciates(materials, grid, frame, straightened)
    fluid = with_fluid(
        materials, labels, grid, frame, condition.effusion_mm, condition.film_mm, streams["fluid"], straightened
    )
    found.append(Finding(name="effusion" if condition.effusion_mm else "fluid_film", amount=fluid, unit="cm3"))
    _draw_joint(materials, labels, grid, frame, straightened, streams["bone"])
    for lesion, amount in with_lesions(
        materials, labels, grid, frame, condition.lesions, streams["bone"], rigid
    ).items():
        found.append(Finding(name=lesion, amount=amount, unit="cm3"))
    return Anatomy(name=name, materials=materials, labels=labels, grid=grid, contains=tuple(found))


def isotropic(
    labels: LabelArray, grid: Grid, voxel_mm: float, room_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[LabelArray, Grid]:
    """Nearest labels on isotropic voxels in the network's axes (the last one upwards), with room around them.

    Above and below, shafts continue; elsewhere the room is background.
    """
    above, below, side = room_mm
    low, high = np.array([side, side, below]), np.array([side, side, above])
    extent = np.array(grid.extent_mm)
    a, b, c = (max(2, round(float(e) / voxel_mm)) for e in extent + low + high)
    spacing = np.array(grid.spacing_mm)
    start = (0.5 * voxel_mm - low) / spacing - 0.5
    fresh = Grid(
        shape=(a, b, c), spacing_mm=(voxel_mm,) * 3, origin_mm=grid.to_mm([start])[0], direction=grid.direction
    )
    index = [np.rint(start[k] + np.arange(n) * voxel_mm / spacing[k]).astype(np.intp) for k, n in enumerate((a, b, c))]
    outside = [(i < 0) | (i >= n) for i, n in zip(index, grid.shape, strict=True)]
    taken = labels[np.ix_(*(np.clip(i, 0, n - 1) for i, n in zip(index, grid.shape, strict=True)))]
    taken[outside[0]] = 0
    taken[:, outside[1]] = 0
    beyond = taken[:, :, outside[2]]
    taken[:, :, outside[2]] = np.where(is_any(beyond, BONES), beyond, 0)
    return np.ascontiguousarray(taken), fresh


def _wear(
    labels: LabelArray, grid: Grid, condition: Condition, rng: np.random.Generator, found: list[Finding]
) -> LabelArray:
    for bone, count in condition.osteophytes.items():
        labels, drawn = with_osteophytes(labels, grid, bone, count, rng)
        found.append(Finding(name=f"osteophytes_{bone.key}", amount=drawn))
    for plate, left in condition.thin_left.items():
        labels = thinned(labels, grid, plate, left, 14.0, rng)
        found.append(Finding(name=f"thin_{plate.key}", amount=left, unit="share left"))
    for plate, deepest in condition.fibrillation.items():
        labels = fibrillated(labels, grid, plate, deepest, rng)
        found.append(Finding(name=f"fibrillated_{plate.key}", amount=deepest, unit="deepest share lost"))
    for plate, area_cm2 in condition.denuded_cm2.items():
        labels, removed = denuded(labels, grid, plate, area_cm2, rng)
        found.append(Finding(name=f"denuded_{plate.key}", amount=removed, unit="cm2"))
    return labels


def _without_drawn_menisci(materials: LabelArray, labels: LabelArray) -> None:
    """Menisci come from the labels alone; those of the soft tissues become synovium."""
    materials[(materials == Material.MENISCUS) & (labels == 0)] = Material.SYNOVIUM
    materials[is_any(labels, MENISCI)] = Material.MENISCUS


def _mark_cruciates(materials: LabelArray, grid: Grid, frame: LimbFrame, straightened: Straightened) -> None:
    """The cruciate ligaments are brighter than tendons."""
    lattice = Lattice(grid)
    uvw = limb_coordinates(lattice, frame, straightened)
    distance = np.minimum(*(tube.distance(uvw) for tube in CRUCIATES))
    box = lattice.box_of(distance < 1.5)
    if box is not None:
        part = materials[box]
        part[(part == Material.TENDON) & (lattice.to_grid(distance, box) < 1.5)] = Material.LIGAMENT


def _draw_joint(
    materials: LabelArray,
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    straightened: Straightened,
    rng: np.random.Generator,
) -> None:
    """Bones with a cortex, and cartilage with two layers."""
    voxel_mm = grid.spacing_mm[0]
    bone, plates = is_any(labels, BONES), is_any(labels, PLATES)
    box = box_around(bone | plates, 1)
    if box is None:
        return
    here, plate_here, part = bone[box], plates[box], materials[box]
    depth = surface_depth(here, voxel_mm)
    thick = _cortex_mm(grid, box, frame, straightened, rng)
    part[here] = np.where(depth[here] > -thick[here], Material.CORTEX, Material.MARROW)
    part[plate_here] = np.where(depth[plate_here] < DEEP_MM, Material.CARTILAGE_DEEP, Material.CARTILAGE)


def _cortex_mm(grid: Grid, box: Box, frame: LimbFrame, straightened: Straightened, rng: np.random.Generator) -> Field:
    """Thickness of the cortex: thin near the joint, thick in the shafts."""
    lattice = Lattice(grid)
    level = limb_coordinates(lattice, frame, straightened)[..., 2]
    away = lattice.to_grid(np.clip((np.abs(level - 6.0) - 28.0) / 30.0, 0.0, 1.0).astype(np.float32), box)
    bumps = noise_on(away.shape, grid.spacing_mm[0], 10.0, rng)
    thin = float(rng.uniform(*CORTEX_MM))
    return np.asarray(np.minimum(thin * (1.0 + 0.25 * bumps) + (SHAFT_MM - thin) * away, SHAFT_MM), np.float32)
