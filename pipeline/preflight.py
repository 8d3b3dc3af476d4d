"""What an upload holds, before its analysis: which file is the scan and which the label map, and how that is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import AmbiguousSeries, EmptyImage, UnsupportedImage
from pipeline.file_kinds import IMAGES, FileKind
from pipeline.grid import Grid
from pipeline.image_io.content import SEND_AS_LABELS
from pipeline.image_io.echo_names import Names
from pipeline.image_io.formats import peek
from pipeline.image_io.label_map import label_map_among
from pipeline.image_io.reader import choose, files_of, open_one, split_labels
from pipeline.image_io.source import Source
from pipeline.label_anatomy import label_facts
from pipeline.label_grid import on_grid, with_margin
from pipeline.labels import readings
from pipeline.planes import PLANES, axis_order, picture_axes
from pipeline.scan_facts import ScanFacts
from pipeline.types import LabelMap
from pipeline.upload_facts import HeaderFacts, LabelMapFacts, LabelSlice, UploadFacts

OpenScan = Callable[[], AbstractContextManager[Source]]
"""Opens the scan again, to read the slices that a picture shows."""

MOST_PIXELS: Final = 256
"""Longest side of a picture, in pixels of the label map; larger slices are thinned."""

WHITE_PERCENTILE: Final = 99.5
"""Of the values in a slice of the scan: shown as white."""


def inspect(
    file: Path | None, labels: Path | None, *, series: str = "", scratch_dir: Path | None = None, sort: bool = True
) -> UploadFacts:
    """The scan and the label map of an upload.

    file    a scan; with `sort` also a label map, or both in one zip or folder, which are distinguished by content
    labels  a label map in a separate file
    series  name of one of several DICOM series, as for `read_scan`

    Raises the errors of `check_scan` and `read_label_map`; UnsupportedImage if the label map is not that of the scan or
    in no known numbering, or if a label map is sent as the scan; EmptyImage.
    """
    with contextlib.ExitStack() as opened:
        found = {} if file is None else opened.enter_context(files_of(file, scratch_dir))
        scan_files, label_files = _sorted(found)
        if label_files and (labels is not None or not sort):
            raise _two_label_maps() if labels is not None else _sent_as_scan(both=bool(scan_files))
        if labels is not None:
            label_files = opened.enter_context(files_of(labels, scratch_dir))
        facts, grid = (None, None) if not scan_files else _check(scan_files, series, scratch_dir)
        if not label_files:
            return UploadFacts(scan=facts, labels=None)
        label_map = label_map_among(label_files, scratch_dir)
        image = None if not scan_files else (lambda: open_one(scan_files, scratch_dir, series))
        return UploadFacts(scan=facts, labels=_label_facts(label_map, grid, _name_of(label_files), image))


def inspect_header(
    file: Path | None, labels: Path | None, *, series: str = "", scratch_dir: Path | None = None
) -> HeaderFacts:
    """As `inspect`, from headers alone: voxels, and so the kind of content of a file, are not looked at.

    Raises the errors of reading that a header shows.
    """
    with contextlib.ExitStack() as opened:
        facts = None
        if file is not None:
            names = opened.enter_context(files_of(file, scratch_dir))
            facts = opened.enter_context(open_one(names, scratch_dir, series)).facts()
        if labels is not None:
            found = opened.enter_context(files_of(labels, scratch_dir))
            if choose(found)[0] is not FileKind.DICOM:  # a segmentation: its header is most of it
                opened.enter_context(open_one(found, scratch_dir))
    return HeaderFacts(scan=facts)


def _sorted(names: Names) -> tuple[Names, Names]:
    """Files of the scan and of the label map. Without a label map, every file is one of the scan."""
    scan, labels = split_labels(names) if names else ({}, {})
    return (scan, labels) if labels else (names, {})


def _sent_as_scan(*, both: bool) -> UnsupportedImage | AmbiguousSeries:
    if both:
        return AmbiguousSeries(
            "The file holds a scan and a label map; expected the scan alone.", hint=SEND_AS_LABELS, series=[]
        )
    return UnsupportedImage("This looks like a label map; expected an MR image of a knee.", hint=SEND_AS_LABELS)


def _two_label_maps() -> AmbiguousSeries:
    return AmbiguousSeries(
        "Two label maps were sent, one of them as the scan; expected one label map.",
        hint="Send one label map, alone or with its scan.",
        series=[],
    )


def _check(names: Names, series: str, scratch_dir: Path | None) -> tuple[ScanFacts, Grid]:
    with open_one(names, scratch_dir, series) as source:
        source.check()
        return source.facts(), source.grid


def _name_of(names: Names) -> str:
    """Name of the label map's file, without its folder."""
    image = next((name for file, name in names.items() if peek(file) in IMAGES), next(iter(names.values())))
    return PurePosixPath(image).name


def _label_facts(label_map: LabelMap, scan: Grid | None, filename: str, image: OpenScan | None) -> LabelMapFacts:
    placed, off_grid = _placed(label_map, scan)
    facts = label_facts(placed.labels, placed.grid)
    if not placed.labels.any():
        raise EmptyImage(
            "The label map contains only background; expected bones and cartilage.",
            hint="Check the export: the labels may have been lost.",
        )
    found = readings(facts, placed.names)
    if all(reading.refusal for reading in found):
        raise UnsupportedImage(found[0].refusal, hint=found[0].hint)
    return LabelMapFacts(
        filename=filename,
        shape=label_map.grid.shape,
        spacing_mm=label_map.grid.spacing_mm,
        volume_mm3=facts.volume_mm3,
        readings=found,
        warnings=() if off_grid else placed.warnings,
        off_grid=off_grid,
        slices=preview(placed.labels, placed.grid, image),
    )


def _placed(label_map: LabelMap, scan: Grid | None) -> tuple[LabelMap, str]:
    """On the grid of the scan, and why it was resampled for that, or ""."""
    if scan is None:
        return with_margin(label_map), ""
    try:
        return on_grid(label_map, scan), ""
    except UnsupportedImage as error:
        return on_grid(label_map, scan, resample=True), error.message


def preview(labels: NDArray[np.uint16], grid: Grid, scan: OpenScan | None) -> tuple[LabelSlice, ...]:
    """A sagittal and a coronal slice, each where the labels (z, y, x) show the largest parts of their areas.

    scan: on the same grid; None for pictures of the labels alone
    """
    order = axis_order(grid)
    found = []
    for plane in PLANES[:2]:
        normal = order[plane.normal]
        down, right = picture_axes(grid, order, plane)
        places = [_thinned(n) for n in labels.shape]
        places[normal] = np.array([_fullest(labels, normal)])
        for side in (down, right):
            places[side.axis] = places[side.axis][:: side.turn]
        turn = (normal, down.axis, right.axis)
        cut = np.ix_(*places)
        thinning = [n / len(place) for n, place in zip(labels.shape, places, strict=True)]
        found.append(
            LabelSlice(
                title=plane.title,
                spacing_mm=tuple(grid.spacing_mm[axis] * thinning[axis] for axis in turn[1:]),
                labels=np.ascontiguousarray(labels[cut].transpose(turn)[0]),
                image=None if scan is None else _grey(_voxels(scan, places).transpose(turn)[0]),
            )
        )
    return tuple(found)


def _thinned(n: int) -> NDArray[np.intp]:
    return np.arange(0, n, -(-n // MOST_PIXELS))


def _fullest(labels: NDArray[np.uint16], axis: int) -> int:
    """Index of the slice in which the areas of the labels, each relative to its largest, have the greatest sum."""
    codes = np.flatnonzero(np.bincount(labels.ravel()))[1 if not labels.all() else 0 :]
    table = np.zeros(int(labels.max()) + 1, dtype=np.uint8)
    table[codes] = np.arange(1, len(codes) + 1)
    areas = np.array(
        [np.bincount(table[plane].ravel(), minlength=len(codes) + 1)[1:] for plane in np.moveaxis(labels, axis, 0)]
    )
    return int((areas / np.maximum(areas.max(axis=0), 1)).sum(axis=1).argmax())


def _voxels(scan: OpenScan, places: list[NDArray[Any]]) -> NDArray[np.float32]:
    """The first echo at these indices (z, y, x), read in pieces."""
    with scan() as source:
        strides = [prod(source.shape[k + 1 :]) for k in range(4) if k != source.echo_axis]
        flat = sum(place * stride for place, stride in zip(np.ix_(*places), strides, strict=True))
        positions = np.asarray(flat)
        order = np.argsort(positions, axis=None)
        wanted = positions.ravel()[order]
        values = np.zeros(len(wanted), dtype=np.float32)
        for start, piece in source.pieces:
            low, high = np.searchsorted(wanted, (start, start + piece.size))
            values[low:high] = piece[wanted[low:high] - start]
        found = np.empty_like(values)
        found[order] = -values if source.inverted else values
        return found.reshape(positions.shape)


def _grey(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    usable = np.nan_to_num(values, nan=float(np.nanmin(values)) if np.isfinite(values).any() else 0.0)
    low, high = float(usable.min()), float(np.percentile(usable, WHITE_PERCENTILE))
    shades: NDArray[np.uint8] = np.rint(np.clip((usable - low) / max(high - low, 1e-6), 0.0, 1.0) * 255).astype(
        np.uint8
    )
    return shades
