"""The acquisition of a scan: where its voxels lie in an anatomy, and what a protocol makes of the materials there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from pipeline.grid import FloatArray
from pipeline.types import LabelArray
from training.generator.anatomy import Anatomy
from training.generator.families import FAMILIES, FAT_HZ_PER_TESLA, Plane, Protocol, levels, spin_echo
from training.generator.materials import Material
from training.generator.space import noise_on
from training.knee_unet.acquisition import rician
from training.knee_unet.fields import along, blurred
from training.limb import Field

SLICE_AXIS: Final = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}
"""In the network's axes (right, anterior, superior)."""
STATION_MM: Final = 0.8
"""Largest distance of samples across a slice."""
PSF_VOXELS: Final = (0.35, 0.6)
UNEVEN_SUPPRESSION: Final = 0.25
"""Probability that fat suppression fails in a part of the image."""
VESSEL_FLOW: Final = (0.1, 1.5)


class Artefact(StrEnum):
    """What disturbs an image without changing the anatomy."""

    METAL = "metal"
    WRAP = "wrap"
    MOTION = "motion"


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """Voxels (i, j, k) of a scan in an anatomy; axes as the anatomy's, turned by `matrix`.

    step_mm   distance of voxel centres along each axis; slice_axis, slice_mm: thickness along it
    matrix    (3, 3) one mm in the scan -> mm in the anatomy; centre_mm: (3,) from the anatomy's lower edges
    bend_mm   three arrays that are added to the positions, or none
    """

    shape: tuple[int, int, int]
    step_mm: tuple[float, float, float]
    slice_axis: int
    slice_mm: float
    matrix: FloatArray
    centre_mm: FloatArray
    bend_mm: tuple[Field, ...] = ()

    def index(self, voxel_mm: float, offset_mm: FloatArray) -> list[Field]:
        """Three arrays of voxel numbers in the anatomy; offset_mm: (3,) along the scan's axes."""
        axes = [
            ((np.arange(n) - 0.5 * (n - 1)) * step + offset).astype(np.float32)
            for n, step, offset in zip(self.shape, self.step_mm, offset_mm, strict=True)
        ]
        x, y, z = np.ix_(*axes)
        m = (self.matrix / voxel_mm).astype(np.float32)
        start = self.centre_mm / voxel_mm - 0.5
        index = [m[k, 0] * x + m[k, 1] * y + m[k, 2] * z + np.float32(start[k]) for k in range(3)]
        return (
            [i + b * np.float32(1.0 / voxel_mm) for i, b in zip(index, self.bend_mm, strict=True)]
            if self.bend_mm
            else index
        )


def look_up(volume: LabelArray, index: list[Field]) -> LabelArray:
    """The nearest voxel; 0 outside."""
    flat, inside = None, None
    for place, n in zip(index, volume.shape, strict=True):
        nearest = np.rint(place).astype(np.int32)
        within = (nearest >= 0) & (nearest < n)
        np.clip(nearest, 0, n - 1, out=nearest)
        flat = nearest if flat is None else flat * np.int32(n) + nearest
        inside = within if inside is None else inside & within
    found = volume.reshape(-1)[flat]
    found[~np.asarray(inside)] = 0
    return np.asarray(found)


def sub_samples(geometry: Geometry) -> FloatArray:
    """(n, 3) mm: positions within a voxel, spread over the slice thickness and, in turn, over the other axes."""
    count = max(4, int(np.ceil(geometry.slice_mm / STATION_MM)))
    offsets = np.zeros((count, 3))
    quarter = 0.25 * np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])
    others = [axis for axis in range(3) if axis != geometry.slice_axis]
    offsets[:, geometry.slice_axis] = ((np.arange(count) + 0.5) / count - 0.5) * geometry.slice_mm
    offsets[:, others] = quarter[np.arange(count) % 4] * np.array([geometry.step_mm[a] for a in others])
    return offsets


def acquire(
    anatomy: Anatomy,
    protocol: Protocol,
    geometry: Geometry,
    rng: np.random.Generator,
    artefacts: tuple[Artefact, ...] = (),
) -> Field:
    """The magnitude image of the geometry's shape. Signals in units of the magnetisation of water."""
    people, fields, receiver, disturbed = rng.spawn(4)
    water_level, fat_level = levels(protocol, people)
    water_level[Material.VESSEL] *= people.uniform(*VESSEL_FLOW)
    water, fat = (np.zeros(geometry.shape, np.float32) for _ in range(2))
    voxel_mm = anatomy.grid.spacing_mm[0]
    offsets = sub_samples(geometry)
    for offset in offsets:
        here = look_up(anatomy.materials, geometry.index(voxel_mm, offset))
        water += water_level[here]
        fat += fat_level[here]
    share = np.float32(1.0 / len(offsets))
    water *= share * (1.0 + 0.05 * _grain(geometry, fields, 2.0)) * (1.0 + 0.04 * _grain(geometry, fields, 7.0))
    fat *= share * (1.0 + 0.05 * _grain(geometry, fields, 1.6)) * (1.0 + 0.06 * _grain(geometry, fields, 9.0))
    image = _combined(water, fat, protocol, geometry, fields)
    for axis in range(3):
        if axis != geometry.slice_axis:
            image = blurred(image, axis, float(fields.uniform(*PSF_VOXELS)))
    image *= _coil(protocol, geometry, fields)
    bright = float(np.quantile(image.reshape(-1)[::23], 0.97)) + 1e-6
    for artefact in artefacts:
        image = _disturbed(image, artefact, geometry, bright, disturbed)
    return rician(image, receiver, bright / protocol.snr)


def _combined(water: Field, fat: Field, protocol: Protocol, geometry: Geometry, rng: np.random.Generator) -> Field:
    """Water plus the fat that remains, displaced along the frequency axis; out of phase in gradient echoes."""
    others = [axis for axis in range(3) if axis != geometry.slice_axis]
    axis = others[int(rng.integers(2))]
    n = geometry.shape[axis]
    shift = protocol.fat_shift_voxels * (1.0 if rng.random() < 0.5 else -1.0)
    where = np.clip(np.arange(n) - shift, 0, n - 1)
    matrix = np.zeros((n, n), np.float32)
    low = np.minimum(where.astype(int), n - 2)
    matrix[np.arange(n), low] = 1.0 - (where - low)
    matrix[np.arange(n), low + 1] = where - low
    fat = along(fat, axis, matrix)
    left: Field | float = protocol.fat_left
    if protocol.fat_left < 1.0 and rng.random() < UNEVEN_SUPPRESSION:
        failing = np.clip(_grain(geometry, rng, 60.0) - 0.6, 0.0, 1.0)
        left = np.asarray(np.minimum(protocol.fat_left + 0.7 * failing, 1.0), np.float32)
    fat = fat * left
    if FAMILIES[protocol.family].equation is spin_echo:
        return np.asarray(water + fat, np.float32)
    phase = 2.0 * np.pi * FAT_HZ_PER_TESLA * protocol.tesla * protocol.echo_ms * 1e-3
    return np.asarray(np.hypot(water + fat * np.float32(np.cos(phase)), fat * np.float32(np.sin(phase))), np.float32)


def _coil(protocol: Protocol, geometry: Geometry, rng: np.random.Generator) -> Field:
    """Sensitivity: decreases from a centre near the joint, with a smooth variation."""
    extent = np.array(geometry.shape) * np.array(geometry.step_mm)
    centre = rng.uniform(-0.2, 0.2, 3) * extent
    axes = [
        (np.arange(n) - 0.5 * (n - 1)) * s - c for n, s, c in zip(geometry.shape, geometry.step_mm, centre, strict=True)
    ]
    far = sum((axis.astype(np.float32) / np.float32(protocol.dropoff_mm)) ** 2 for axis in np.ix_(*axes))
    return np.asarray(np.exp(np.float32(protocol.coil) * _grain(geometry, rng, 70.0) - far), np.float32)


def _disturbed(image: Field, artefact: Artefact, geometry: Geometry, bright: float, rng: np.random.Generator) -> Field:
    """Metal: a void with a bright rim. Wrap: the far part folds over. Motion: faint copies along one axis."""
    others = [axis for axis in range(3) if axis != geometry.slice_axis]
    axis = others[int(rng.integers(2))]
    n = geometry.shape[axis]
    if artefact is Artefact.WRAP:
        folded = np.roll(image, n - round(n * rng.uniform(0.08, 0.25)), axis)
        edge = np.moveaxis(np.zeros_like(image), axis, 0)
        cut = round(n * rng.uniform(0.08, 0.25))
        edge[-cut:] = np.moveaxis(folded, axis, 0)[-cut:]
        return np.asarray(image + np.moveaxis(edge, 0, axis) * np.float32(rng.uniform(0.3, 0.9)), np.float32)
    if artefact is Artefact.MOTION:
        step = max(2, round(n * rng.uniform(0.05, 0.2)))
        ghost = np.roll(image, step, axis) + np.roll(image, -step, axis)
        return np.asarray(image + np.float32(rng.uniform(0.04, 0.15)) * ghost, np.float32)
    centre = rng.uniform(0.3, 0.7, 3) * np.array(geometry.shape)
    radii = rng.uniform(5.0, 14.0, 3)
    axes = np.ix_(*(np.arange(k, dtype=np.float32) for k in geometry.shape))
    far = np.sqrt(
        sum(
            ((a - c) * np.float32(s / r)) ** 2 for a, c, s, r in zip(axes, centre, geometry.step_mm, radii, strict=True)
        )
    ) + 0.15 * _grain(geometry, rng, 6.0)
    image = np.where(far < 1.0, np.float32(0.0), image)
    rim = np.exp(-(((far - 1.1) / 0.08) ** 2)) * np.clip(_grain(geometry, rng, 8.0), 0.0, 1.0)
    return np.asarray(image + np.float32(1.5 * bright) * rim, np.float32)


def _grain(geometry: Geometry, rng: np.random.Generator, cell_mm: float) -> Field:
    """Smooth noise at the voxel centres of the scan."""
    return noise_on(geometry.shape, geometry.step_mm, cell_mm, rng)
