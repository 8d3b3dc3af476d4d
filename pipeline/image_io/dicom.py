"""A DICOM series, from any number of files, as a scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipeline.image_io.dicom_complete import completeness_warnings
from pipeline.image_io.dicom_echoes import unknown_scale, with_true_scale
from pipeline.image_io.dicom_files import read_frames
from pipeline.image_io.dicom_meaning import acquisition, guess_sequence, header_side
from pipeline.image_io.dicom_pixels import frame_pieces
from pipeline.image_io.dicom_series import Stack, choose_stack
from pipeline.image_io.dicom_stack import arrange, stack_grid
from pipeline.image_io.source import Source


def open_dicom(paths: Iterable[Path], scratch_dir: Path | None = None, series: str = "") -> Source:
    """The one MR series of at least 10 slices among the files; order and names of the files are irrelevant.

    series: name of the series as listed by AmbiguousSeries; empty: the only one

    Raises NoImageSeries, AmbiguousSeries, IncompleteSeries, UnsupportedImage, UnreadableImage.
    """
    frames = [frame for path in paths for frame in read_frames(path)]
    stack, warnings = choose_stack(frames, series)
    unknown = unknown_scale(stack.frames)
    stack = Stack(with_true_scale(stack.frames), stack.kind)
    echoes, times = arrange(stack)
    grid = stack_grid(echoes[0])
    meanings = [frame.meaning for frame in stack.frames]
    sequence = guess_sequence(meanings[0], len(echoes))
    return Source(
        shape=(len(echoes), *grid.shape),
        pieces=frame_pieces(echoes, scratch_dir),
        grid=grid,
        inverted=stack.first.inverted,
        sequence=sequence,
        echo_times_ms=times,
        side=header_side(meanings),
        acquisition=replace(acquisition(meanings[0], sequence), comparable_values=not unknown),
        warnings=(
            *warnings,
            *((unknown,) if unknown else ()),
            *_direction_warnings(stack),
            *completeness_warnings(stack, [frame for frame in frames if frame.series == stack.first.series]),
        ),
    )


def _direction_warnings(stack: Stack) -> tuple[str, ...]:
    if not any(frame.direction_assumed for frame in stack.frames):
        return ()
    return (
        "Only the first slice of the multi-frame file has a position; the others were placed along the slice normal by "
        "their distance. The stack may be mirrored, and the side cannot be trusted.",
    )
