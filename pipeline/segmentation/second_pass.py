"""The second pass of the cascade: the joint again, on finer voxels, with what the first pass said of it.

Cartilage is two or three voxels of the first pass thick. Only windows that may hold some are looked at; elsewhere the
first pass stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.frame import Box, Frame
from pipeline.segmentation.sampling import FloatVolume, interpolated, linear_matrix, standardise, to_isotropic
from pipeline.segmentation.upsampling import Slabs, write_labels
from pipeline.segmentation.windows import Predict, averaged, plan, window_count
from pipeline.types import LabelArray

OVERLAP: Final = 0.25
"""Least share of a window that its neighbour sees too."""
STRAY_SHARE: Final = 0.005
"""Share of the cartilage voxels at either end of an axis that may be strays of the first pass."""
JOINT_MARGIN_MM: Final = 6.0
"""How far beyond the first pass's cartilage the second pass answers, less and less over this length."""
CONTEXT_MM: Final = 6.0
"""How far beyond that it sees."""
STEPS: Final = 255
"""The first pass's probabilities are kept in so many steps."""
POSSIBLE: Final = 0.05
"""A window is looked at where the first pass gives cartilage at least this probability somewhere."""


def recorded(slabs: Slabs, kept: NDArray[np.uint8]) -> Iterator[tuple[int, FloatVolume]]:
    """The same slabs; what they say of every class but the background is written to kept (classes - 1, d, h, w)."""
    for start, slab in slabs:
        kept[:, start : start + slab.shape[1]] = np.rint(slab[1:] * STEPS)
        yield start, slab


def joint_box(labels: LabelArray, cartilage: tuple[int, ...]) -> Box | None:
    """Where the cartilage lies, a few strays at the ends left out; None where there is none."""
    table = np.zeros(256, dtype=bool)
    table[list(cartilage)] = True
    mask = table[labels]
    sides = []
    for axis in range(3):
        counts = np.cumsum(mask.sum(axis=tuple(k for k in range(3) if k != axis)))
        if counts[-1] == 0:
            return None
        first, last = np.searchsorted(counts, (STRAY_SHARE * counts[-1], (1 - STRAY_SHARE) * counts[-1]))
        sides.append(slice(int(first), int(last) + 1))
    a, b, c = sides
    return a, b, c


def where_cartilage_may_be(predict: Predict, cartilage: tuple[int, ...]) -> Predict:
    """Ask the network only there; elsewhere the first pass's answer, which the window holds, is given back."""

    def answer(window: FloatVolume) -> FloatVolume:
        if max(window[k].max() for k in cartilage) >= POSSIBLE:
            return predict(window)
        same = window.copy()
        same[0] = 1.0 - window[1:].sum(axis=0)
        return same

    return answer


def blended(slabs: Slabs, said: FloatVolume, ramps: list[FloatVolume]) -> Iterator[tuple[int, FloatVolume]]:
    """The same slabs, towards what the first pass said (classes - 1, d, h, w) where the product of the ramps is low."""
    first, second, third = ramps
    for start, slab in slabs:
        rows = slice(start, start + slab.shape[1])
        weight = first[rows, None, None] * (second[:, None] * third[None, :])
        rest = (1.0 - weight) * said[:, rows]
        mixed = slab * weight
        mixed[1:] += rest
        mixed[0] += 1.0 - weight - rest.sum(axis=0)
        yield start, mixed


def look_again(
    network: Predict,
    image: FloatVolume,
    first: Frame,
    kept: NDArray[np.uint8],
    *,
    cartilage: tuple[int, ...],
    resolution_mm: float,
    window_voxels: int,
    labels: LabelArray,
    certainty: LabelArray,
    on_share: Callable[[float], None],
) -> None:
    """Overwrite labels and certainty (the scan's voxels in the network's axes) around the cartilage found in labels.

    image      (a, b, c) of the scan, in the network's axes
    first      the first pass's frame; kept: what `recorded` kept of it
    cartilage  classes
    """
    box = joint_box(labels, cartilage)
    if box is None:
        return
    answered = first.around(box, JOINT_MARGIN_MM)
    seen = first.around(answered, CONTEXT_MM)
    fine = Frame(shape=first.shape, spacing_mm=first.spacing_mm, box=seen, resolution_mm=resolution_mm)
    volume = np.empty((len(kept) + 1, *fine.isotropic), dtype=np.float32)
    volume[0] = standardise(to_isotropic(image[seen], fine.spacing_mm, resolution_mm))
    matrices = [linear_matrix(at, n) for at, n in zip(first.of_frame(fine), kept.shape[1:], strict=True)]
    for k, said in enumerate(kept):
        volume[k + 1] = _interpolated(said, *matrices)
    axes = plan(fine.isotropic, window_voxels, OVERLAP)
    total, done = window_count(axes), 0

    def on_window() -> None:
        nonlocal done
        done += 1
        on_share(done / total)

    slabs = averaged(volume, axes, len(volume), where_cartilage_may_be(network, cartilage), on_window)
    slabs = blended(slabs, volume[1:], [_ramp(fine, answered, axis) for axis in range(3)])
    write_labels(slabs, fine.isotropic, fine.of_scan(answered), labels[answered], certainty[answered])


def _ramp(fine: Frame, answered: Box, axis: int) -> FloatVolume:
    """(n,) along an axis of the fine grid: 0 at the ends of the box, 1 from JOINT_MARGIN_MM inside it.

    No ramp at an end that is the scan's own.
    """
    side, count = answered[axis], fine.shape[axis]
    mm = (np.arange(fine.isotropic[axis]) + 0.5) * fine.resolution_mm
    low, high = ((edge - fine.box[axis].start) * fine.spacing_mm[axis] for edge in (side.start, side.stop))
    ramp = np.ones(len(mm), dtype=np.float32)
    if side.start > 0:
        ramp = np.minimum(ramp, (mm - low) / JOINT_MARGIN_MM)
    if side.stop < count:
        ramp = np.minimum(ramp, (high - mm) / JOINT_MARGIN_MM)
    return np.maximum(ramp, 0.0).astype(np.float32)


def _interpolated(said: NDArray[np.uint8], first: FloatVolume, second: FloatVolume, third: FloatVolume) -> FloatVolume:
    """One class's kept probabilities at the places that three matrices of linear interpolation stand for, 0 to 1."""
    used = [np.flatnonzero(matrix.any(axis=0)) for matrix in (first, second, third)]
    a, b, c = (slice(int(places[0]), int(places[-1]) + 1) for places in used)
    near: FloatVolume = said[a, b, c].astype(np.float32) * np.float32(1 / STEPS)
    return interpolated(near, first[:, a], second[:, b], third[:, c])
