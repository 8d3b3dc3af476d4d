"""Synthetic scans of whole knees for evaluation: rendered by training/render.py, with parameters outside the training
ranges. This renderer and training share the soft tissues (training/soft_tissues.py): the figures are optimistic and
are not accuracy on real scans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.acquisition import PulseSequence
from pipeline.grid import Grid
from pipeline.types import Scan, Segmentation
from training.render import Scanner, render_dess, render_multi_echo, thick_slices
from training.signal import SignalModel, dess_model


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A DESS protocol and the scanner it runs on. Times in ms, angle in degrees."""

    name: str
    repetition_ms: float
    echo_ms: float
    flip_deg: float
    fat_left: float
    scanner: Scanner

    def signal_model(self) -> SignalModel:
        """Signal model with one echo: the sum of the two DESS echoes."""
        return dess_model(
            repetition_ms=self.repetition_ms,
            echo_ms=self.echo_ms,
            flip_deg=self.flip_deg,
            fat_left=self.fat_left,
        )


UNSEEN: Final = (
    Protocol(
        name="short",
        repetition_ms=13.0,
        echo_ms=3.8,
        flip_deg=17.0,
        fat_left=0.18,
        scanner=Scanner(psf_voxels=(0.5, 0.7, 0.7), bias=0.2, noise=5.0),
    ),
    Protocol(
        name="long",
        repetition_ms=21.0,
        echo_ms=6.0,
        flip_deg=35.0,
        fat_left=0.18,
        scanner=Scanner(psf_voxels=(0.3, 0.4, 0.4), bias=0.25, noise=6.0),
    ),
)
"""Every parameter is outside contrast.DESS_RANGES; a test checks this."""
THICK_ECHO_MS: Final = 30.0
THICK_FACTOR: Final = 6
"""Number of 0.7 mm slices averaged to one of 4.2 mm."""


def dess_scan(knee: Segmentation, protocol: Protocol, seed: int) -> Scan:
    """A DESS scan of a knee on its grid."""
    image = render_dess(knee.labels, knee.grid, seed, scanner=protocol.scanner, model=protocol.signal_model())
    return Scan(echoes=image[None], grid=knee.grid, sequence=PulseSequence.DESS)


def thick_scan(knee: Segmentation, seed: int, *, factor: int = THICK_FACTOR) -> tuple[Scan, Segmentation]:
    """A spin-echo scan with bright fat and slices `factor` times as thick, and the labels at their centres.

    Slices are averaged along the largest voxel side of the map, whichever axis it is; it becomes the scan's first axis.
    """
    knee = slices_first(knee)
    echoes = render_multi_echo(knee.labels, knee.grid, (THICK_ECHO_MS,), {}, seed)
    image, grid = thick_slices(echoes, knee.grid, factor)
    middle = knee.labels[factor // 2 :: factor][: grid.shape[0]]
    truth = replace(knee, labels=np.ascontiguousarray(middle), grid=grid)
    return Scan(echoes=np.ascontiguousarray(image, np.float32), grid=grid, sequence=PulseSequence.SPIN_ECHO), truth


def slices_first(knee: Segmentation) -> Segmentation:
    """The same knee with its largest voxel side along the first axis, as thick_slices expects."""
    slices = int(np.argmax(knee.grid.spacing_mm))
    first, second, third = order = (slices, *(axis for axis in range(3) if axis != slices))
    grid = knee.grid
    columns = grid.direction[:, ::-1][:, order]  # of the array axes
    stored = Grid(
        shape=(grid.shape[first], grid.shape[second], grid.shape[third]),
        spacing_mm=(grid.spacing_mm[first], grid.spacing_mm[second], grid.spacing_mm[third]),
        origin_mm=grid.origin_mm,
        direction=columns[:, ::-1],
    )
    return replace(knee, labels=np.ascontiguousarray(knee.labels.transpose(order)), grid=stored)
