"""A scan whose header has been read and found good, with its voxels still to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side
from pipeline.grid import Grid
from pipeline.image_io.geometry import extent_warnings, slice_plane
from pipeline.image_io.voxels import Piece, count_bad, judge_bad, replace_bad
from pipeline.t2.availability import t2_unavailable
from pipeline.types import Scan, ScanFacts


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Everything of a scan but its voxels, and where those come from: `read` keeps them, `check` looks at each once.

    shape      as stored, slowest axis first; 4 axes, of which `echo_axis` counts the echoes
    pieces     the voxels; may be gone through once, and raises the errors of reading
    """

    shape: tuple[int, int, int, int]
    pieces: Iterator[Piece]
    grid: Grid
    echo_axis: int = 0
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
        return Scan(
            echoes=echoes,
            grid=self.grid,
            sequence=self.sequence,
            echo_times_ms=self.echo_times_ms,
            side=self.side,
            acquisition=self.acquisition,
            warnings=(*self.warnings, *replace_bad(echoes), *extent_warnings(self.grid)),
        )

    def facts(self) -> ScanFacts:
        """What the header says."""
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
        """Raise what `read` would raise, in a few megabytes of memory."""
        judge_bad(sum(count_bad(values) for _, values in self.pieces), prod(self.shape))
