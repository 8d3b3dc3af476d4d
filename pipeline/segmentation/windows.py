"""Overlapping windows over a volume, and the weighted average of the network output, per slab."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from pipeline.segmentation.sampling import FloatVolume

Predict = Callable[[FloatVolume], FloatVolume]
"""A window (channels, d, h, w) -> class probabilities (classes, d, h, w)."""

MULTIPLE: Final = 16
"""A window's sides are multiples of this: the network halves them four times."""
RAMP: Final = 0.3
"""Fraction of a window's side over which its weight increases from the edge."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Windows along one axis: starts, size, and weights per voxel.

    weights (windows, size): at every voxel of the axis the weights of all windows sum to 1.
    """

    starts: tuple[int, ...]
    size: int
    weights: FloatVolume


def plan_axis(count: int, size: int, overlap: float) -> Axis:
    """Windows that cover `count` voxels; `overlap` is the minimum fraction shared with the neighbour.

    A shorter axis gets one window, as short as MULTIPLE allows.
    """
    size = min(size, -(-count // MULTIPLE) * MULTIPLE)
    starts = [0]
    if count > size:
        steps = int(np.ceil((count - size) / (size * (1 - overlap))))
        starts = [round(k * (count - size) / steps) for k in range(steps + 1)]
    ramp = np.minimum(np.arange(size) + 1.0, size - np.arange(size))
    ramp = np.minimum(ramp / (RAMP * size), 1.0)
    total = np.zeros(max(count, size))
    for start in starts:
        total[start : start + size] += ramp
    weights = np.stack([ramp / total[start : start + size] for start in starts])
    return Axis(starts=tuple(starts), size=size, weights=weights.astype(np.float32))


def plan(shape: tuple[int, int, int], size: int, overlap: float) -> tuple[Axis, Axis, Axis]:
    """Windows over a volume, given by the windows along each axis."""
    a, b, c = (plan_axis(n, size, overlap) for n in shape)
    return a, b, c


def window_count(axes: tuple[Axis, Axis, Axis]) -> int:
    """Number of network evaluations."""
    return int(np.prod([len(axis.starts) for axis in axes]))


def averaged(
    volume: FloatVolume,
    axes: tuple[Axis, Axis, Axis],
    classes: int,
    predict: Predict,
    on_window: Callable[[], None],
    at_once: int = 1,
) -> Iterator[tuple[int, FloatVolume]]:
    """Evaluate the network in every window and yield (first row, probabilities (c, rows, h, w)) from row 0 to the last.

    volume (channels, d, h, w). Memory holds only the rows of one window length at a time. A volume shorter than a
    window is padded with the minimum of each channel. A yielded array is valid until the next iteration.
    at_once: windows that are evaluated at the same time; it changes no value
    """
    first, second, third = axes
    shape = volume.shape[1:]
    padded = _pad(volume, (first.size, second.size, third.size))
    held = np.zeros((classes, first.size, *padded.shape[2:]), dtype=np.float32)
    with closing(_in_order(_cut(padded, axes), predict, at_once)) as answers:
        for k, start in enumerate(first.starts):
            for (i, row), (j, column) in product(enumerate(second.starts), enumerate(third.starts)):
                place = (slice(None), slice(None), slice(row, row + second.size), slice(column, column + third.size))
                _add(held[place], next(answers), (first.weights[k], second.weights[i], third.weights[j]))
                on_window()
            last = k + 1 == len(first.starts)
            done = shape[0] - start if last else first.starts[k + 1] - start
            yield start, held[:, :done, : shape[1], : shape[2]]
            if not last:
                for row in range(first.size - done):  # a copy of all rows at once would need as much memory again
                    held[:, row] = held[:, row + done]
                held[:, first.size - done :] = 0


def _cut(padded: FloatVolume, axes: tuple[Axis, Axis, Axis]) -> Iterator[FloatVolume]:
    """The windows, the last axis first."""
    for starts in product(*(axis.starts for axis in axes)):
        place = tuple(slice(start, start + axis.size) for start, axis in zip(starts, axes, strict=True))
        yield np.ascontiguousarray(padded[(slice(None), *place)])


def _in_order(windows: Iterable[FloatVolume], predict: Predict, at_once: int) -> Generator[FloatVolume]:
    """The answers in the order of the windows. While one is used, the network evaluates the next ones."""
    waiting: deque[Future[FloatVolume]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for window in windows:
                waiting.append(pool.submit(predict, window))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for answer in waiting:  # the caller has stopped, or a window has failed
                answer.cancel()


def _add(held: FloatVolume, answer: FloatVolume, weights: tuple[FloatVolume, FloatVolume, FloatVolume]) -> None:
    """Add the weighted answer, which is overwritten."""
    a, b, c = weights
    answer *= a[:, None, None] * (b[:, None] * c[None, :])
    held += answer


def _pad(volume: FloatVolume, least: tuple[int, int, int]) -> FloatVolume:
    missing = [(0, max(0, size - n)) for n, size in zip(volume.shape[1:], least, strict=True)]
    if not any(after for _, after in missing):
        return volume
    return np.stack([np.pad(channel, missing, constant_values=channel.min()) for channel in volume])
