"""A DICOM series, from any number of files, as a scan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.image_io.dicom_files import read_frames
from pipeline.image_io.dicom_meaning import acquisition, guess_sequence, header_side
from pipeline.image_io.dicom_pixels import read_echoes
from pipeline.image_io.dicom_series import choose_stack
from pipeline.image_io.dicom_stack import arrange, stack_grid
from pipeline.image_io.geometry import extent_warnings
from pipeline.image_io.voxels import replace_bad
from pipeline.types import Scan


def read_dicom(paths: Iterable[Path], scratch_dir: Path | None = None) -> Scan:
    """The one MR series of at least 10 slices among the files; order and names of the files do not matter.

    Raises NoImageSeries, AmbiguousSeries, IncompleteSeries, UnsupportedImage, UnreadableImage.
    """
    stack, warnings = choose_stack([frame for path in paths for frame in read_frames(path)])
    echoes, times = arrange(stack)
    grid = stack_grid(echoes[0])
    voxels = read_echoes(echoes, scratch_dir)
    meanings = [frame.meaning for frame in stack.frames]
    sequence = guess_sequence(meanings[0], len(echoes))
    return Scan(
        echoes=voxels,
        grid=grid,
        sequence=sequence,
        echo_times_ms=times,
        side=header_side(meanings),
        acquisition=acquisition(meanings[0], sequence),
        warnings=(*warnings, *replace_bad(voxels), *extent_warnings(grid)),
    )
