"""DICOM segmentation objects as label maps.

Segments are BINARY (one bit per voxel), FRACTIONAL, or the values of a LABELMAP. An object without segments is read as
an image whose values are the labels. pydicom decodes all of them; highdicom would add a second description of the same
file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from pipeline.anatomy import structure_of
from pipeline.errors import IncompleteSeries, UnreadableImage, UnsupportedImage
from pipeline.file_kinds import VOLUMES, FileKind, either
from pipeline.grid import FloatArray, Grid
from pipeline.image_io.dicom_files import DAMAGED, Frame, quiet, read_frames
from pipeline.image_io.dicom_pixels import frame_pieces
from pipeline.image_io.dicom_series import SEGMENTATION, Stack
from pipeline.image_io.dicom_stack import arrange, stack_grid
from pipeline.image_io.geometry import make_grid
from pipeline.image_io.voxels import check_voxel_count
from pipeline.types import LabelMap

FRACTION: Final = 0.5
"""Smallest fraction of a FRACTIONAL segment that belongs to it."""

PLACE_TOLERANCE: Final = 0.1
"""Maximum distance of a frame from a slice of the grid, as a fraction of the slice distance."""

_READ: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless)

_TAGS: Final = (
    "SegmentationType",
    "SegmentSequence",
    "MaximumFractionalValue",
    "PerFrameFunctionalGroupsSequence",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)

_NO_SEGMENTS: Final = "The DICOM segmentation declares no segments; its values were read as labels."


def read_segmentation(paths: list[Path], scratch_dir: Path | None) -> LabelMap:
    """The label map in one DICOM segmentation.

    Raises UnsupportedImage (no segmentation, several, compression), UnreadableImage (damaged), IncompleteSeries (frames
    that are on no common grid).
    """
    found = {path: read_frames(path) for path in paths}
    paths = [path for path, own in found.items() if own and own[0].modality == SEGMENTATION]
    frames = [frame for path in paths for frame in found[path]]
    if not frames:
        raise UnsupportedImage(
            f"Label map is a {FileKind.DICOM} image; expected a {FileKind.DICOM} segmentation, {either(VOLUMES)}.",
            hint=f"Save the labels as {FileKind.NIFTI} or as a {FileKind.DICOM} segmentation.",
        )
    if len(paths) == 1:
        with _damage():
            data = pydicom.dcmread(paths[0], force=True, specific_tags=[*_TAGS])
        if data.get("SegmentSequence"):
            return _from_segments(data, frames)
    elif any(_has_segments(path) for path in paths):
        raise UnsupportedImage(
            f"{len(paths)} DICOM segmentations were found; expected one.", hint="Send the one to measure."
        )
    return _from_values(frames, scratch_dir)


def _has_segments(path: Path) -> bool:
    with _damage():
        return bool(pydicom.dcmread(path, force=True, specific_tags=["SegmentSequence"]).get("SegmentSequence"))


def _from_values(frames: list[Frame], scratch_dir: Path | None) -> LabelMap:
    if not all(frame.has_geometry for frame in frames):
        raise _no_geometry()
    echoes, _ = arrange(Stack([replace(frame, echo=(0.0, 0)) for frame in frames]))
    grid = stack_grid(echoes[0])
    labels = np.zeros(grid.shape, dtype=np.uint16)
    for start, values in frame_pieces(echoes, scratch_dir):
        _check_whole(values)
        labels.reshape(-1)[start : start + values.size] = values
    return LabelMap(labels=labels, grid=grid, warnings=(_NO_SEGMENTS,))


def _check_whole(values: NDArray[np.float32]) -> None:
    whole = np.isfinite(values).all() and (values == np.rint(values)).all()
    if not (whole and values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max):
        raise UnsupportedImage("DICOM segmentation has values that are no labels; expected whole numbers from 0.")


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Slice of the grid and segment of every frame; segment 0: the values of the frame are the labels."""

    grid: Grid
    slices: list[int]
    segments: list[int]


def _from_segments(data: Dataset, frames: list[Frame]) -> LabelMap:
    with _damage():
        kind = str(data.get("SegmentationType", "BINARY")).upper()
        names = {int(item.SegmentNumber): _name(item) for item in data.SegmentSequence}
        placed = _placed(data, frames, labels=kind == "LABELMAP")
        whole = float(data.get("MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1.0
    labels = np.zeros(placed.grid.shape, dtype=np.uint16)
    overlap = 0
    for pixels, z, segment in zip(_pixels(data), placed.slices, placed.segments, strict=True):
        inside = pixels > 0 if segment == 0 or kind != "FRACTIONAL" else pixels >= FRACTION * whole
        overlap += int((inside & (labels[z] > 0)).sum())
        labels[z][inside] = segment or pixels[inside]
    doubled = f"{overlap:,} voxels belong to several segments; the last segment was used."
    return LabelMap(labels=labels, grid=placed.grid, names=names, warnings=(doubled,) if overlap else ())


def _placed(data: Dataset, frames: list[Frame], *, labels: bool) -> _Placed:
    """Raises IncompleteSeries if the frames are on no common grid. Slices without a segment may be missing."""
    first = frames[0]
    orientation, spacing = first.orientation, first.spacing_mm
    if orientation is None or spacing is None or not all(frame.has_geometry for frame in frames):
        raise _no_geometry()
    normal = np.cross(orientation[:3], orientation[3:])
    places = np.array([frame.position for frame in frames], dtype=np.float64)
    heights: FloatArray = places @ normal
    distinct = np.unique(np.round(heights, 3))
    gaps = np.diff(distinct)
    if not len(gaps):
        raise IncompleteSeries(
            "DICOM segmentation has one slice; expected a volume.", hint="Save all slices of the segmentation."
        )
    step = float(gaps.min())
    index = (heights - heights.min()) / step
    lowest = places[int(heights.argmin())]
    aside = places - lowest - np.outer(heights - heights.min(), normal)
    tilted = [f for f in frames if f.orientation is None or float(np.abs(f.orientation - orientation).max()) > 1e-3]
    if np.abs(index - np.rint(index)).max() > PLACE_TOLERANCE or np.abs(aside).max() > PLACE_TOLERANCE or tilted:
        raise IncompleteSeries(
            "Frames of the DICOM segmentation are not slices of one volume; expected even distances along one normal.",
            hint="Save the segmentation on the grid of its scan.",
        )
    slices = [int(z) for z in np.rint(index)]
    step = float(np.ptp(heights)) / max(slices)
    steps = np.stack([orientation[:3] * spacing[1], orientation[3:] * spacing[0], normal * step], axis=1)
    grid = make_grid((max(slices) + 1, first.rows, first.columns), steps, lowest)
    check_voxel_count(grid.shape)
    groups = data.get("PerFrameFunctionalGroupsSequence") or []
    segments = [0] * len(frames) if labels else [_segment(group) for group in groups]
    if len(segments) != len(frames) or len(set(zip(slices, segments, strict=True))) < len(frames):
        raise UnreadableImage(
            "DICOM segmentation is damaged: its frames do not name their segments, or name one twice.",
            hint="Save the segmentation again.",
        )
    return _Placed(grid=grid, slices=slices, segments=segments)


def _segment(group: Dataset) -> int:
    return int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _name(item: Dataset) -> str:
    """The label of a segment, or its coded type and region if only these are a known structure."""
    label = str(item.get("SegmentLabel", ""))
    if structure_of(label) is not None:
        return label
    coded = [
        *(item.get("SegmentedPropertyTypeCodeSequence") or [])[:1],
        *(item.get("AnatomicRegionSequence") or [])[:1],
    ]
    words = " ".join(str(code.get("CodeMeaning", "")) for code in coded)
    return words if structure_of(words) is not None else label


def _pixels(data: Dataset) -> Iterator[NDArray[Any]]:
    """The frames (rows, columns). Raises UnreadableImage, UnsupportedImage (compression)."""
    with _damage():
        count = int(data.get("NumberOfFrames") or 1)
        syntax = data.file_meta.TransferSyntaxUID
        if syntax not in _READ:
            raise UnsupportedImage(
                f"DICOM segmentation is compressed as {syntax.name}; expected uncompressed or RLE.",
                hint="Save the segmentation uncompressed.",
            )
        check_voxel_count((count, int(data.Rows), int(data.Columns)))
        single_bits = int(data.BitsAllocated) == 1
        frames = _bit_frames(data, count) if single_bits else iter_pixels(data, raw=True)
    while True:
        with _damage():
            frame = next(frames, None)
        if frame is None:
            return
        yield np.asarray(frame)


def _bit_frames(data: Dataset, count: int) -> Iterator[NDArray[np.uint8]]:
    """Frames of one bit per voxel, without padding between frames; pydicom reads them wrongly where a frame does not
    fill whole bytes.
    """
    rows, columns = int(data.Rows), int(data.Columns)
    packed = np.frombuffer(data.PixelData, dtype=np.uint8)
    if 8 * packed.size < count * rows * columns:
        raise EOFError("fewer bits than voxels")
    for k in range(count):
        first, last = k * rows * columns, (k + 1) * rows * columns
        bits = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")
        yield bits[first % 8 : first % 8 + rows * columns].reshape(rows, columns)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Any error of pydicom becomes UnreadableImage."""
    try:
        with quiet():
            yield
    except DAMAGED as error:
        raise UnreadableImage(
            "DICOM segmentation is damaged or cut off; expected a complete file.", hint="Save it again."
        ) from error


def _no_geometry() -> UnsupportedImage:
    return UnsupportedImage(
        "DICOM segmentation has no position, orientation or spacing; expected those of its scan.",
        hint="Save the segmentation again, or save the labels as NIfTI.",
    )
