"""NIfTI files that are one echo each, or that have their echo times in a sidecar."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from math import prod
from pathlib import Path
from typing import Final

from pipeline.errors import UnsupportedImage
from pipeline.image_io.echo_names import Names, sidecar_times
from pipeline.image_io.nifti import open_nifti
from pipeline.image_io.source import Source
from pipeline.image_io.voxels import Piece, check_echo_count, check_voxel_count

SAME_PLACE_MM: Final = 0.01


@contextlib.contextmanager
def open_volume(file: Path, names: Names) -> Iterator[Source]:
    """A NIfTI file with the echo times of its sidecar, where there is one. Raises what `open_nifti` raises."""
    with open_nifti(file) as source:
        times = sidecar_times(file, names)
        yield replace(source, echo_times_ms=times) if len(times) == source.shape[source.echo_axis] else source


@contextlib.contextmanager
def open_echoes(files: list[Path], names: Names) -> Iterator[Source]:
    """NIfTI files of one echo each as one scan. Raises UnsupportedImage for unequal grids, else as `open_nifti`."""
    check_echo_count(len(files))
    with contextlib.ExitStack() as opened:
        sources = [opened.enter_context(open_nifti(file)) for file in files]
        first = sources[0]
        shape = (len(files), *first.shape[1:])
        check_voxel_count(shape)
        for number, source in enumerate(sources, start=1):
            if source.shape[0] != 1 or not source.grid.matches(first.grid, tolerance_mm=SAME_PLACE_MM):
                raise UnsupportedImage(
                    f"File {number} of {len(files)} echoes has another matrix, spacing or position than the first; "
                    "expected one grid for all echoes.",
                    hint="Upload the echoes of one acquisition, one volume per file.",
                )
        times = tuple(time for file in files for time in sidecar_times(file, names))
        yield replace(
            first,
            shape=shape,
            pieces=chain.from_iterable(_moved(s.pieces, k * prod(shape[1:])) for k, s in enumerate(sources)),
            echo_times_ms=times if len(times) == len(files) and list(times) == sorted(times) else (),
            warnings=tuple(dict.fromkeys(text for source in sources for text in source.warnings)),
        )


def _moved(pieces: Iterator[Piece], offset: int) -> Iterator[Piece]:
    return ((start + offset, values) for start, values in pieces)
