"""One expert label map prepared for rendering: classes, surrounding soft tissues, and distances.

A specimen is stored in the network's axes. Its classes keep the resolution of the map, because cartilage is only two
network voxels thick. The other arrays have the network's resolution over the same field of view.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from pipeline.alignment import align_knee
from pipeline.anatomy import NUMBERINGS, Structure, Tissue
from pipeline.grid import Box, FloatArray, Grid
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.regions import split_compartments
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.sampling import isotropic_shape, linear_matrix, positions
from pipeline.surface import bone_surface
from pipeline.types import LabelArray, Segmentation
from training.joint import with_whole_shafts
from training.knee_unet.fields import along
from training.limb import Field
from training.signal import Kind
from training.soft_tissues import render_soft_tissues

AXES: Final = "RAS"
"""The network's array axes; equals `axes` of its card."""
RESOLUTION_MM: Final = 0.7
KINDS: Final = tuple(Kind)
"""A tissue map contains indices into this tuple."""
DISTANCE_STEP_MM: Final = 0.1
FAR_MM: Final = 12.0
"""Distances are clipped here."""
SHARP_MM: Final = 0.8
"""SD of the smoothing from which distances near a bone surface are computed."""
_NUMBERING: Final = NUMBERINGS["oai"]


def class_of_structure() -> LabelArray:
    """(256,): canonical label -> class of the network: numbering `oai` without lesions, tibial plates as one."""
    table = np.zeros(256, np.uint8)
    for native, structure in sorted(_NUMBERING.to_canonical.items(), reverse=True):
        if structure is not None:
            table[structure] = native
    table[Structure.LATERAL_TIBIAL_CARTILAGE] = table[Structure.MEDIAL_TIBIAL_CARTILAGE]
    return table


CLASS_OF: Final = class_of_structure()
CLASS_COUNT: Final = int(CLASS_OF.max()) + 1
MENISCUS_CLASS: Final = CLASS_COUNT
"""Both menisci, in the network only: expert maps have none. They are divided by anatomy, as the tibial plates are."""
NETWORK_CLASS_COUNT: Final = CLASS_COUNT + 1
BONE_CLASSES: Final = tuple(sorted({int(CLASS_OF[s]) for s in Structure if s.tissue is Tissue.BONE}))
CARTILAGE_CLASSES: Final = tuple(sorted({int(CLASS_OF[s]) for s in Structure if s.tissue is Tissue.CARTILAGE}))


@dataclass(frozen=True, kw_only=True, eq=False)
class Specimen:
    """A knee in the network's axes (AXES); all arrays start at the same lower edges.

    classes      (a, b, c) uint8 class of the network, at spacing_mm
    tissues      (i, j, k) uint8 index into KINDS, at RESOLUTION_MM; the tissue without bones and cartilage
    bone_mm      (i, j, k) int8 signed distance to the nearest bone's surface in DISTANCE_STEP_MM, negative inside
    cartilage_mm (i, j, k) uint8 distance to the nearest cartilage in DISTANCE_STEP_MM
    """

    name: str
    spacing_mm: tuple[float, float, float]
    classes: LabelArray
    tissues: LabelArray
    bone_mm: NDArray[np.int8]
    cartilage_mm: LabelArray

    @property
    def extent_mm(self) -> NDArray[np.float64]:
        """(3,) size of the field of view."""
        return np.array(self.classes.shape) * np.array(self.spacing_mm)


class TissueMap:
    """A canvas that stores only the tissue class of every voxel."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.kinds = np.full(shape, KINDS.index(Kind.AIR), np.uint8)

    def cover(self, box: Box, weight: Field, kind: Kind, *, texture: float = 0.0) -> None:  # noqa: ARG002 as in TissueTarget
        """Assign the tissue to every voxel with a weight of at least 0.5."""
        self.kinds[box][weight > 0.5] = KINDS.index(kind)


def read_expert_map(path: Path, numbering: str) -> Segmentation:
    """Canonical labels with separate medial and lateral tibial cartilage; shafts are extended to the image edge.

    Raises the errors of pipeline.image_io.read_label_map and pipeline.labels.canonical_labels.
    """
    raw = canonical_labels(read_label_map(path), NUMBERINGS[numbering])
    knee = raw
    if not raw.compartments_apart:
        knee = split_compartments(raw, align_knee(bone_surface(raw, Structure.FEMUR)))
    labels = with_whole_shafts(knee.labels, knee.grid)
    return Segmentation(labels=labels, grid=knee.grid, model_id=knee.model_id)


def make_specimen(knee: Segmentation, name: str, seed: int) -> Specimen:
    """Generate the soft tissues around a knee; deterministic for a given knee and seed."""
    labels, grid = in_network_axes(knee.labels, knee.grid)
    shape = isotropic_shape(grid.shape, grid.spacing_mm, RESOLUTION_MM)
    coarse = Grid(
        shape=shape,
        spacing_mm=(RESOLUTION_MM,) * 3,
        origin_mm=grid.to_mm([[0.5 * RESOLUTION_MM / s - 0.5 for s in grid.spacing_mm]])[0],
        direction=grid.direction,
    )
    nearest = [
        np.clip(np.rint(positions(n, RESOLUTION_MM, s)).astype(np.intp), 0, m - 1)
        for n, s, m in zip(shape, grid.spacing_mm, grid.shape, strict=True)
    ]
    small = np.ascontiguousarray(labels[np.ix_(*nearest)])
    tissues = TissueMap(shape)
    render_soft_tissues(tissues, small, coarse, np.random.default_rng(seed))
    classes = CLASS_OF[small]
    bone = np.isin(classes, BONE_CLASSES)
    depth = _distance(~bone) - _distance(bone)
    _sharpen(depth, np.isin(CLASS_OF[labels], BONE_CLASSES), grid.spacing_mm)
    return Specimen(
        name=name,
        spacing_mm=grid.spacing_mm,
        classes=np.ascontiguousarray(CLASS_OF[labels]),
        tissues=tissues.kinds,
        bone_mm=np.rint(depth / DISTANCE_STEP_MM).astype(np.int8),
        cartilage_mm=np.rint(_distance(~np.isin(classes, CARTILAGE_CLASSES)) / DISTANCE_STEP_MM).astype(np.uint8),
    )


def _sharpen(depth: Field, bone: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> None:
    """Replace, in place, distances near the surface by those from the map's voxels, which avoids coarse-grid steps.

    A label smoothed by a Gaussian of SD s is Phi(-d / s) at distance d from a plane.
    """
    share = ndimage.gaussian_filter(bone.astype(np.float32), [SHARP_MM / mm for mm in spacing_mm], truncate=3.0)
    for axis, (n, mm) in enumerate(zip(depth.shape, spacing_mm, strict=True)):
        share = along(share, axis, linear_matrix(positions(n, RESOLUTION_MM, mm), share.shape[axis]))
    near = np.abs(depth) < SHARP_MM
    depth[near] = -SHARP_MM * ndtri(np.clip(share[near], 0.02, 0.98))


def in_network_axes(labels: LabelArray, grid: Grid) -> tuple[LabelArray, Grid]:
    """The same voxels with array axes in the order and direction of AXES."""
    order = nearest_order(grid, AXES)
    columns = grid.direction[:, ::-1][:, list(order.order)] * np.where(order.flipped, -1.0, 1.0)
    first = np.zeros(3)
    for axis, flipped in zip(order.order, order.flipped, strict=True):
        first[axis] = grid.shape[axis] - 1 if flipped else 0
    turned = order.to_network(labels)
    a, b, c = turned.shape
    return turned, Grid(
        shape=(a, b, c),
        spacing_mm=order.spacing_mm(grid),
        origin_mm=grid.to_mm([first])[0],
        direction=columns[:, ::-1],
    )


def write_specimen(specimen: Specimen, folder: Path) -> None:
    """Write a folder of plain arrays, of which patches read only what they need (memory map).

    The folder appears complete. If another run prepares the same map at the same time, the first folder is kept.
    """
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    partial.mkdir(parents=True, exist_ok=True)
    for field in ("classes", "tissues", "bone_mm", "cartilage_mm"):
        np.save(partial / f"{field}.npy", getattr(specimen, field), allow_pickle=False)
    np.save(partial / "spacing_mm.npy", np.array(specimen.spacing_mm), allow_pickle=False)
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)


def read_specimen(folder: Path) -> Specimen:
    """Read a folder written by write_specimen, memory-mapped."""
    arrays = {
        field: np.load(folder / f"{field}.npy", mmap_mode="r", allow_pickle=False)
        for field in ("classes", "tissues", "bone_mm", "cartilage_mm")
    }
    a, b, c = (float(s) for s in np.load(folder / "spacing_mm.npy", allow_pickle=False))
    return Specimen(name=folder.name, spacing_mm=(a, b, c), **arrays)


def lookup(
    volume: NDArray[np.uint8], spacing_mm: tuple[float, ...], places: list[Field], shift_mm: FloatArray | None = None
) -> NDArray[np.uint8]:
    """The nearest voxel at positions (three arrays of mm from the lower edges); outside, the closest edge voxel."""
    flat = None
    for axis, (place, spacing, n) in enumerate(zip(places, spacing_mm, volume.shape, strict=True)):
        shift = 0.0 if shift_mm is None else float(shift_mm[axis])
        index = (place * np.float32(1.0 / spacing) + np.float32(shift / spacing)).astype(np.int32)
        np.clip(index, 0, n - 1, out=index)
        flat = index if flat is None else flat * np.int32(n) + index
    return np.asarray(volume.reshape(-1)[flat])


def _distance(mask: NDArray[np.bool_]) -> Field:
    """Distance (mm, at most FAR_MM) of True voxels to the nearest False one, minus half a voxel, so that it starts at
    0. Computed only in the bounding box of the False voxels plus FAR_MM.
    """
    result = np.where(mask, np.float32(FAR_MM), np.float32(0.0))
    found = ndimage.find_objects((~mask).view(np.uint8))
    if found:
        reach = int(FAR_MM / RESOLUTION_MM) + 1
        box = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in found[0])
        exact = ndimage.distance_transform_edt(mask[box]) * RESOLUTION_MM - 0.5 * RESOLUTION_MM
        result[box] = np.clip(exact, 0.0, FAR_MM)
    return result
