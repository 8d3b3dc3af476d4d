"""The two doors: a scan, a label map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Side
from pipeline.errors import AmbiguousSeries, NoImageSeries, UnreadableImage, UnsafeArchive, UnsupportedImage
from pipeline.grid import Grid
from pipeline.image_io.archive import is_ignored, unpacked
from pipeline.image_io.dicom import read_dicom
from pipeline.image_io.formats import Format, detached_header, identify, peek
from pipeline.image_io.nifti import read_nifti
from pipeline.image_io.nrrd import read_nrrd
from pipeline.types import Scan

_VOLUMES: Final = {Format.NIFTI: read_nifti, Format.NRRD: read_nrrd}
MAX_LABEL: Final = 65_535


def read_scan(path: Path, *, side: Side | None = None, scratch_dir: Path | None = None) -> Scan:
    """The scan in a file (NIfTI, NRRD, DICOM, zip) or folder, in LPS, every echo float32.

    side         the user's word; it wins over the header, with a warning where they contradict
    scratch_dir  where an archive is unpacked for the time of reading (default: the system's folder for that)

    Raises UnreadableImage, NoImageSeries, AmbiguousSeries, UnsupportedImage, IncompleteSeries, UnsafeArchive.
    An image without content is read all the same: see `require_content`.
    """
    scan = _read(path, scratch_dir)
    if side is None or side is scan.side:
        return scan
    if scan.side is None:
        return replace(scan, side=side)
    warning = f"Side was given as {side}, but the header says {scan.side}; {side} was used."
    return replace(scan, side=side, warnings=(*scan.warnings, warning))


def read_label_map(path: Path, *, scratch_dir: Path | None = None) -> tuple[NDArray[np.uint16], Grid]:
    """Labels (z, y, x) and their grid, from a NIfTI or NRRD file or a zip with one.

    Raises UnsupportedImage where the values are no whole numbers from 0 to 65,535 or the image is not 3D; else as
    `read_scan`.
    """
    if path.is_file() and identify(path) is Format.DICOM:
        raise UnsupportedImage("Label map is a DICOM file; expected NIfTI or NRRD.", hint="Save the labels as NIfTI.")
    scan = _read(path, scratch_dir)
    if len(scan.echoes) != 1:
        raise UnsupportedImage(f"Label map has {len(scan.echoes)} layers; expected one 3D label map.")
    values = scan.echoes[0]
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > MAX_LABEL:
        raise UnsupportedImage(f"Label map has values from {low:g} to {high:g}; expected 0 to {MAX_LABEL:,}.")
    labels = values.astype(np.uint16)
    if not np.array_equal(labels, values):
        raise UnsupportedImage(
            "Label map has values that are no whole numbers; expected one label a voxel.",
            hint="This may be an image or a probability map.",
        )
    return labels, scan.grid


def _read(path: Path, scratch_dir: Path | None) -> Scan:
    if path.is_dir():
        return _read_files(_files(path), scratch_dir)
    if not path.is_file():
        raise UnreadableImage("No such file or folder; expected a scan.")
    if identify(path) is not Format.ZIP:
        return _read_files([path], scratch_dir)
    with unpacked(path, scratch_dir) as folder:
        files = _files(folder)
        if all(peek(file) is Format.ZIP for file in files):
            raise UnsafeArchive(
                "Archive holds nothing but another archive; expected the scan itself.", hint="Pack the scan once."
            )
        return _read_files(files, scratch_dir)


def _files(folder: Path) -> list[Path]:
    """Every file below the folder that may belong to a scan, sorted; links are not followed."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not is_ignored(path.relative_to(folder).as_posix())
    )


def _read_files(files: list[Path], scratch_dir: Path | None) -> Scan:
    """The one scan among the files; what is no image is passed over."""
    if len(files) == 1:
        identify(files[0])  # for its precise error
    found: dict[Format | None, list[Path]] = {}
    for file in files:
        found.setdefault(peek(file), []).append(file)
    volumes = [(kind, file) for kind in _VOLUMES for file in found.get(kind, [])]
    series = found.get(Format.DICOM, [])
    if len(volumes) + bool(series) > 1:
        names = [f"{kind} file {number}" for number, (kind, _) in enumerate(volumes, start=1)]
        names += [f"{len(series)} DICOM files"] if series else []
        raise AmbiguousSeries(
            f"{len(names)} scans could be meant ({'; '.join(names)}); expected one.",
            hint="Upload the scan to analyse alone.",
            series=names,
        )
    if series:
        return read_dicom(series, scratch_dir)
    if volumes:
        kind, file = volumes[0]
        return _VOLUMES[kind](file)
    if Format.DETACHED in found:
        raise detached_header()
    raise NoImageSeries(
        f"None of the {len(files)} files is an image; expected NIfTI, NRRD or DICOM.", hint="Upload the scan itself."
    )
