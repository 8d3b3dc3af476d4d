"""Anatomical post-processing: one component per bone, no holes, cartilage only on its bone, menisci on the tibia."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import BONE_OF, BONES, CARTILAGE_OF, Structure, Tissue
from pipeline.grid import Box
from pipeline.types import LabelArray, Segmentation

Mask = NDArray[np.bool_]

TOUCH_VOXELS: Final = 2
"""Maximum distance, in steps through voxel faces, of cartilage in contact with its bone."""
LEAST_PIECE_MM3: Final = 3.0
"""Smaller components of cartilage and menisci are noise: a disc of 1.4 mm radius and 0.5 mm thickness."""
LEAST_PIECE_SHARE: Final = 0.05
"""Components smaller than this fraction of the structure's largest component are noise too."""
MENISCI_REACH_MM: Final = 4.0
"""Menisci lie on the tibia or its cartilage: components further away than this are something else."""
THICK_SLICES: Final = 3.0
"""Ratio of spacings from which slices are also processed individually: a hole in a 4 mm slice may be open to the next
slice, and a thin spur in one slice may touch the bone in the next."""
HAIR_MM: Final = 2.0
"""Parts of a bone narrower than this in a thick slice are partial volume, and so are components smaller than the square
of the slice thickness."""
CORNER_MM: Final = 0.5
"""Narrow parts closer than this to a wider part are kept: corners of a bone are not spurs."""


def clean(segmentation: Segmentation) -> Segmentation:
    """Keep the largest component of each bone, fill its holes, and keep cartilage that touches its bone and is not
    tiny. Menisci keep components of some size near the tibia. In thick slices, holes are filled per slice, and thin
    spurs of bone are removed. The operation is idempotent.
    """
    return replace(segmentation, labels=clean_labels(segmentation.labels, segmentation.grid.spacing_mm))


def clean_labels(labels: LabelArray, spacing_mm: tuple[float, float, float]) -> LabelArray:
    """The same on canonical labels (z, y, x) with spacing (z, y, x); returns a new array."""
    cleaned = labels.copy()
    boxes = ndimage.find_objects(labels, max_label=max(Structure))
    found = [(bone, box) for bone in BONES if (box := boxes[bone - 1]) is not None]
    for bone, box in found:
        _keep_largest_piece(cleaned[box], bone)
    thick = max(spacing_mm) >= THICK_SLICES * min(spacing_mm)
    for bone, box in found:
        _fill_holes(cleaned[box], bone, spacing_mm if thick else None)
        if thick:
            around = _grown(box, 1, labels.shape)
            _remove_spurs(cleaned[around], bone, spacing_mm)
            _keep_largest_piece(cleaned[around], bone)
    for cartilage, bone in BONE_OF.items():
        if (box := boxes[cartilage - 1]) is not None:
            around = _grown(box, TOUCH_VOXELS, labels.shape)
            _clean_cartilage(cleaned[around], cartilage, bone, float(np.prod(spacing_mm)))
    menisci = [structure for structure in Structure if structure.tissue is Tissue.MENISCUS]
    for meniscus in menisci:
        if (box := boxes[meniscus - 1]) is not None:
            margin = round(MENISCI_REACH_MM / min(spacing_mm)) + 1
            _clean_meniscus(cleaned[_grown(box, margin, labels.shape)], meniscus, spacing_mm)
    return cleaned


def _keep_largest_piece(view: LabelArray, bone: Structure) -> None:
    """In place, on a view that contains the whole bone."""
    mask = view == bone
    pieces, count = ndimage.label(mask)
    if count > 1:
        view[mask & (pieces != np.argmax(_sizes(pieces, count)))] = 0


def _fill_holes(view: LabelArray, bone: Structure, slice_by_slice: tuple[float, float, float] | None) -> None:
    """In place, on a view that contains the whole bone; another bone in a hole is kept.

    slice_by_slice: spacing (z, y, x), if holes are also to be filled in every slice
    """
    filled: Mask = view == bone
    filled |= _holes(filled)
    if slice_by_slice is not None:
        planes = np.moveaxis(filled, int(np.argmax(slice_by_slice)), 0)
        for k in range(len(planes)):
            planes[k] |= _holes(planes[k])
    others = np.isin(view, [other for other in BONES if other is not bone])
    view[filled & ~others] = bone


def _remove_spurs(view: LabelArray, bone: Structure, spacing_mm: tuple[float, float, float]) -> None:
    """In place, on a view with a margin around the bone: remove thin spurs and small components per slice."""
    along = int(np.argmax(spacing_mm))
    in_plane = [mm for axis, mm in enumerate(spacing_mm) if axis != along]
    least = spacing_mm[along] ** 2 / float(np.prod(in_plane))
    for plane in np.moveaxis(view, along, 0):
        mask = plane == bone
        if not mask.any():
            continue
        kept = _without_spurs(mask, in_plane)
        pieces, count = ndimage.label(kept)
        large = np.bincount(pieces.reshape(-1), minlength=count + 1) >= least
        plane[mask & ~(kept & large[pieces])] = 0


def _without_spurs(mask: Mask, spacing_mm: list[float]) -> Mask:
    """Opening with a disc that keeps corners; the mask is extended beyond the array edge."""
    radius_mm = HAIR_MM / 2.0
    core: Mask = mask if mask.all() else ndimage.distance_transform_edt(mask, spacing_mm) > radius_mm
    if not core.any():
        return core
    to_core = ndimage.distance_transform_edt(~core, spacing_mm)
    kept: Mask = mask & (to_core <= radius_mm + CORNER_MM)
    return kept


def _holes(piece: Mask) -> Mask:
    """Background not connected to the outside through voxel faces."""
    outside, count = ndimage.label(np.pad(~piece, 1, constant_values=True))
    if count < 2:
        return np.zeros_like(piece)
    inner: Mask = outside[(slice(1, -1),) * piece.ndim] > 1  # component 1 contains the first corner of the padding
    return inner


def _clean_cartilage(view: LabelArray, cartilage: Structure, bone: Structure, voxel_volume_mm3: float) -> None:
    """In place, on a view that contains the whole plate and the adjacent bone."""
    pieces, count = ndimage.label(view == cartilage)
    if count == 0:
        return
    sizes = _sizes(pieces, count)
    touching = np.zeros(count + 1, dtype=bool)
    touching[pieces[_dilated(view == bone, TOUCH_VOXELS)]] = True
    largest = sizes[touching].max(initial=0)
    least = max(LEAST_PIECE_MM3 / voxel_volume_mm3, LEAST_PIECE_SHARE * largest)
    keep = touching & (sizes >= least)
    keep[0] = True  # background of this labelling: other structures
    view[~keep[pieces]] = 0


def _clean_meniscus(view: LabelArray, meniscus: Structure, spacing_mm: tuple[float, float, float]) -> None:
    """In place, on a view that contains the whole structure with MENISCI_REACH_MM around it."""
    pieces, count = ndimage.label(view == meniscus)
    if count == 0:
        return
    tibia = np.isin(view, [Structure.TIBIA, *CARTILAGE_OF[Structure.TIBIA]])
    near = np.zeros(count + 1, dtype=bool)
    if tibia.any():
        near[pieces[ndimage.distance_transform_edt(~tibia, spacing_mm) <= MENISCI_REACH_MM]] = True
    sizes = _sizes(pieces, count)
    least = max(LEAST_PIECE_MM3 / float(np.prod(spacing_mm)), LEAST_PIECE_SHARE * sizes[near].max(initial=0))
    keep = near & (sizes >= least)
    keep[0] = True  # background of this labelling: other structures
    view[~keep[pieces]] = 0


def _sizes(pieces: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """(count + 1,): voxels of each piece; 0 for background. Computed per plane, because bincount copies to 64 bits."""
    sizes = np.zeros(count + 1, dtype=np.intp)
    for plane in pieces:
        sizes += np.bincount(plane.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    return sizes


def _dilated(mask: Mask, steps: int) -> Mask:
    """Dilation through voxel faces."""
    grown = mask
    for _ in range(steps):
        wider = grown.copy()
        for axis in range(3):
            near, far = (np.moveaxis(array, axis, 0) for array in (grown, wider))
            far[1:] |= near[:-1]
            far[:-1] |= near[1:]
        grown = wider
    return grown


def _grown(box: Box, voxels: int, shape: tuple[int, ...]) -> Box:
    a, b, c = (slice(max(0, s.start - voxels), min(n, s.stop + voxels)) for s, n in zip(box, shape, strict=True))
    return a, b, c
