"""Patches for training: part of a deformed knee, its image, and the fraction of every voxel that each class fills.

Targets are soft: the classes at four sub-voxel positions, mixed as in the image. A cartilage plate is two or three
voxels thick: at this resolution, hard labels limit cartilage Dice to 0.91, soft ones to 0.97.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.grid import FloatArray
from training.knee_unet.acquisition import acquire
from training.knee_unet.contrast import draw_contrast
from training.knee_unet.fields import Shape, smooth_noise
from training.knee_unet.patch_rendering import View, render_patch
from training.knee_unet.specimen import (
    CARTILAGE_CLASSES,
    CLASS_COUNT,
    DISTANCE_STEP_MM,
    RESOLUTION_MM,
    Specimen,
    lookup,
)
from training.limb import Field

SUB_VOXEL: Final = 0.25 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""Sub-voxel positions: a tetrahedron, in voxels relative to the centre."""
TURN_RAD: Final = 0.26
SCALE: Final = 0.15
"""Half-range of the log of the size factor."""
STRETCH: Final = 0.06
SHEAR: Final = 0.05
ON_CARTILAGE: Final = 0.8
ON_KNEE: Final = 0.12
"""Probability that a patch is centred near a cartilage voxel, or near any labelled voxel; otherwise anywhere."""
STRIDE_MM: Final = 2.8


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """Input and target of the network.

    image    (1, a, b, c) float32: the standardised image
    targets  (classes, a, b, c) float32, summing to 1 over the classes
    classes  the network's class of each target, the background first; empty: 0, 1, ... in order
    """

    image: Field
    targets: Field
    family: str
    classes: tuple[int, ...] = ()


def make_patch(
    specimen: Specimen,
    rng: np.random.Generator,
    shape: Shape = (96, 96, 96),
    family: str | None = None,
) -> Patch:
    """A patch in a random pose, contrast and acquisition; deterministic for a given generator state."""
    matrix = draw_matrix(rng)
    centre = draw_centre(specimen, rng, shape, RESOLUTION_MM)
    posed = pose(specimen, rng, matrix, centre, shape, RESOLUTION_MM, family)
    return Patch(
        image=acquire(posed.image, rng, RESOLUTION_MM, posed.family)[None], targets=posed.targets, family=posed.family
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """Part of a deformed knee before simulated acquisition; image (a, b, c), targets as in Patch."""

    image: Field
    targets: Field
    family: str


def pose(
    specimen: Specimen,
    rng: np.random.Generator,
    matrix: FloatArray,
    centre: FloatArray,
    shape: Shape,
    voxel_mm: float,
    family: str | None,
) -> Posed:
    """Deform, render with a contrast of the given family (None: random), and crop to the field of view."""
    places = _bent_places(rng, matrix, centre, shape, voxel_mm)
    index = [place * np.float32(1.0 / RESOLUTION_MM) - np.float32(0.5) for place in places]
    depth = ndimage.map_coordinates(specimen.bone_mm, index, np.float32, order=1, mode="nearest")
    view = view_at(specimen, places, depth, matrix, voxel_mm)
    contrast = draw_contrast(rng, family)
    image = render_patch(view, contrast, rng)
    seen = _inside(places, specimen.extent_mm)
    if rng.random() < 0.5:
        image *= seen
    return Posed(image=image, targets=soft_targets(view.samples, seen), family=contrast.family)


def view_at(specimen: Specimen, places: list[Field], depth: Field, matrix: FloatArray, voxel_mm: float) -> View:
    """The content of a specimen at positions (three arrays of mm that broadcast to (a, b, c)).

    depth   (a, b, c): the specimen's bone_mm there, in DISTANCE_STEP_MM
    matrix  one mm in the view -> mm in the specimen, for the sub-voxel positions
    """
    spacing = (RESOLUTION_MM,) * 3
    return View(
        samples=tuple(
            lookup(specimen.classes, specimen.spacing_mm, places, matrix @ offset * voxel_mm) for offset in SUB_VOXEL
        ),
        tissues=lookup(specimen.tissues, spacing, places),
        bone_mm=depth * np.float32(DISTANCE_STEP_MM),
        cartilage_mm=lookup(specimen.cartilage_mm, spacing, places).astype(np.float32) * np.float32(DISTANCE_STEP_MM),
        voxel_mm=voxel_mm,
    )


def soft_targets(samples: tuple[NDArray[np.uint8], ...], seen: NDArray[np.bool_]) -> Field:
    """(classes, a, b, c): the fraction of each class among the samples; background outside the map."""
    targets = np.empty((CLASS_COUNT, *seen.shape), np.float32)
    for k in range(1, CLASS_COUNT):
        count = np.zeros(seen.shape, np.uint8)
        for sample in samples:
            count += sample == k
        targets[k] = count * seen * np.float32(1.0 / len(samples))
    targets[0] = 1.0 - targets[1:].sum(0)
    return targets


def draw_matrix(rng: np.random.Generator, scale: float = SCALE) -> FloatArray:
    """(3, 3): one mm in the patch -> mm in the specimen, with rotation, scale, shear, and a mirror image half of the
    time.  scale: half-range of the log of the size factor. The first axis is left-right, so mirroring it gives the
    other knee.
    """
    angles = rng.uniform(-TURN_RAD, TURN_RAD, 3)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    size = np.exp(rng.uniform(-scale, scale) + rng.uniform(-STRETCH, STRETCH, 3))
    shear = rng.uniform(-SHEAR, SHEAR, (3, 3))
    np.fill_diagonal(shear, 0.0)
    matrix = about_z @ about_y @ about_x @ np.diag(size) + shear
    if rng.random() < 0.5:
        matrix[:, 0] *= -1.0
    return np.asarray(matrix)


def draw_centre(specimen: Specimen, rng: np.random.Generator, shape: Shape, voxel_mm: float) -> FloatArray:
    """(3,) mm in the specimen: near cartilage (each plate equally likely), near the knee, or anywhere."""
    landmarks = _landmarks(specimen)
    half = 0.5 * np.array(shape) * voxel_mm
    chance = rng.random()
    if chance < ON_CARTILAGE + ON_KNEE and landmarks:
        wanted = [k for k in CARTILAGE_CLASSES if k in landmarks] if chance < ON_CARTILAGE else []
        points = landmarks[int(rng.choice(wanted or list(landmarks)))]
        centre = points[rng.integers(len(points))]
    else:
        centre = rng.uniform(0.15, 0.85, 3) * specimen.extent_mm
    centre = centre + rng.uniform(-0.5, 0.5, 3) * half
    if rng.random() < 0.85:  # mostly inside the field of view
        middle = 0.5 * specimen.extent_mm
        centre = np.clip(centre, np.minimum(half - 8.0, middle), np.maximum(specimen.extent_mm - half + 8.0, middle))
    return np.asarray(centre)


def _landmarks(specimen: Specimen) -> dict[int, FloatArray]:
    """Class -> (n, 3) mm, about every STRIDE_MM."""
    known: dict[int, FloatArray] = specimen.__dict__.setdefault("landmarks", {})
    if not known:
        steps = [max(1, round(STRIDE_MM / s)) for s in specimen.spacing_mm]
        thin = np.asarray(specimen.classes[:: steps[0], :: steps[1], :: steps[2]])
        for k in range(1, CLASS_COUNT):
            index = np.argwhere(thin == k)
            if len(index):
                known[k] = (index * np.array(steps) + 0.5) * np.array(specimen.spacing_mm)
    return known


def _bent_places(
    rng: np.random.Generator, matrix: FloatArray, centre: FloatArray, shape: Shape, voxel_mm: float
) -> list[Field]:
    """Three arrays (a, b, c) of mm in the specimen, deformed by two elastic fields with probability 0.9."""
    axes = np.ix_(*(((np.arange(n) - 0.5 * (n - 1)) * voxel_mm).astype(np.float32) for n in shape))
    m = matrix.astype(np.float32)
    places = [m[i, 0] * axes[0] + m[i, 1] * axes[1] + m[i, 2] * axes[2] + np.float32(centre[i]) for i in range(3)]
    if rng.random() < 0.9:
        for cells, strength in (((20, 35), rng.uniform(0.0, 2.5)), ((8.4, 14), rng.uniform(0.0, 0.7))):
            cell = rng.uniform(*cells) / voxel_mm
            places = [place + np.float32(strength) * smooth_noise(rng, shape, cell) for place in places]
    return places


def _inside(places: list[Field], extent_mm: FloatArray) -> NDArray[np.bool_]:
    """(a, b, c): whether a position is in the field of view of the specimen's map."""
    a, b, c = ((place >= 0) & (place < extent) for place, extent in zip(places, extent_mm, strict=True))
    return np.asarray(a & b & c)
