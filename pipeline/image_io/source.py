"""A scan with a validated header whose voxels have not been read yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side
from pipeline.grid import Grid
from pipeline.image_io.background import count_bad, fill_missing, fill_padding, judge_missing, outside_of
from pipeline.image_io.geometry import extent_warnings
from pipeline.image_io.voxels import Piece
from pipeline.planes import slice_plane
from pipeline.scan_facts import ScanFacts
from pipeline.t2.availability import t2_unavailable
from pipeline.types import Scan


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """All data of a scan except its voxels, and their source: `read` loads them, `check` only validates them.

    shape      as stored, slowest axis first; 4 axes, of which `echo_axis` counts the echoes
    pieces     the voxels; can be iterated once, and raises read errors
    inverted   whether low values are bright (MONOCHROME1): the values are inverted, the highest becomes 0
    """

    shape: tuple[int, int, int, int]
    pieces: Iterator[Piece]
    grid: Grid
    echo_axis: int = 0
    inverted: bool = False
    sequence: PulseSequence = PulseSequence.UNKNOWN
    echo_times_ms: tuple[float, ...] = ()
    side: Side | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    warnings: tuple[str, ...] = ()

    def read(self) -> Scan:
        """The scan. Raises UnreadableImage and what the format's reader raises."""
        stored = np.empty(self.shape, dtype=np.float32)
        flat = stored.reshape(-1)
        for start, values in self.pieces:
            flat[start : start + values.size] = values
        echoes = np.ascontiguousarray(np.moveaxis(stored, self.echo_axis, 0))
        if self.inverted:
            np.subtract(np.nanmax(echoes), echoes, out=echoes)
        filled = (*fill_missing(echoes), *fill_padding(echoes))
        return Scan(
            echoes=echoes,
            grid=self.grid,
            sequence=self.sequence,
            echo_times_ms=self.echo_times_ms,
            side=self.side,
            acquisition=self.acquisition,
            warnings=(*self.warnings, *filled, *extent_warnings(self.grid)),
        )

    def facts(self) -> ScanFacts:
        """The facts from the header."""
        echoes = self.shape[self.echo_axis]
        return ScanFacts(
            shape=self.grid.shape,
            spacing_mm=self.grid.spacing_mm,
            echoes=echoes,
            echo_times_ms=self.echo_times_ms,
            sequence=self.sequence,
            side=self.side,
            plane=slice_plane(self.grid),
            acquisition=self.acquisition,
            t2_unavailable=t2_unavailable(self.sequence, echoes, self.echo_times_ms, self.acquisition) or "",
            warnings=(*self.warnings, *extent_warnings(self.grid)),
        )

    def check(self) -> None:
        """Raise what `read` would raise, with a few megabytes of memory (two bytes per voxel if values are missing)."""
        bad: NDArray[np.bool_] | None = None
        missing: NDArray[np.bool_] | None = None
        for start, values in self.pieces:
            if not count_bad(values):
                continue
            if bad is None or missing is None:
                bad, missing = np.zeros(prod(self.shape), dtype=bool), np.zeros(prod(self.shape), dtype=bool)
            bad[start : start + values.size] = ~np.isfinite(values)
            missing[start : start + values.size] = np.isnan(values)
        if bad is not None and missing is not None:
            echoes = np.moveaxis(missing.reshape(self.shape), self.echo_axis, 0)
            judge_missing(bad, outside_of(echoes))
