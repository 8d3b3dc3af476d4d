"""Label maps: NIfTI, NRRD (also segmentations of 3D Slicer), MetaImage and DICOM segmentations, with their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnsupportedImage
from pipeline.file_kinds import FileKind
from pipeline.grid import NO_PLANES
from pipeline.image_io.content import ROUNDING
from pipeline.image_io.echo_names import Names
from pipeline.image_io.label_names import names_beside
from pipeline.image_io.nrrd_segments import left_out, merged, nrrd_segments
from pipeline.image_io.reader import choose, files_of, open_one, split_labels
from pipeline.types import LabelMap

MAX_LABEL: Final = 65_535


def read_label_map(path: Path, *, scratch_dir: Path | None = None) -> LabelMap:
    """The label map in a file, a folder or a zip.

    Values within ROUNDING of a whole number are rounded. The layers of a 3D Slicer segmentation are merged.
    Raises UnsupportedImage if the values are not whole numbers from 0 to 65,535 or the image is not 3D; otherwise as
    `read_scan`.
    """
    with files_of(path, scratch_dir) as names:
        return label_map_among(names, scratch_dir)


def label_map_among(names: Names, scratch_dir: Path | None = None) -> LabelMap:
    """The one label map among the files of an upload, of which one may be a scan. Raises as `read_label_map`."""
    names = (split_labels(names)[1] if len(names) > 1 else {}) or names
    kind, chosen = choose(names)
    if kind is FileKind.DICOM:
        from pipeline.image_io.dicom_segmentation import read_segmentation

        return read_segmentation(chosen, scratch_dir)
    segments = nrrd_segments(chosen[0]) if kind is FileKind.NRRD else ()
    beside = {} if segments else names_beside(names)
    with open_one(names, scratch_dir) as source:
        scan = source.read()
    cut = left_out(chosen[0], scan.grid.shape) if segments else NO_PLANES
    layers = scan.echoes
    if len(layers) == 1 and not segments:
        return LabelMap(labels=whole_labels(layers[0]), grid=scan.grid, names=beside, warnings=scan.warnings)
    if not segments:
        raise UnsupportedImage(
            f"Label map has {len(layers)} layers; expected one 3D label map.",
            hint="Save each layer as a file, or the whole as a segmentation of 3D Slicer.",
        )
    labels, found, warnings = merged([whole_labels(layer) for layer in layers], segments)
    return LabelMap(labels=labels, grid=scan.grid, names=found, left_out=cut, warnings=(*scan.warnings, *warnings))


def whole_labels(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Labels from values. Raises UnsupportedImage if they are not whole numbers from 0 to 65,535."""
    low, high = float(values.min()), float(values.max())
    if low < -ROUNDING or high > MAX_LABEL:
        raise UnsupportedImage(
            f"Label map has values from {low:g} to {high:g}; expected 0 to {MAX_LABEL:,}.",
            hint="This may be an image. Save the labels as whole numbers.",
        )
    rounded = np.rint(values)
    if float(np.abs(values - rounded).max()) > ROUNDING:
        raise UnsupportedImage(
            "Label map has non-integer values; expected one integer label per voxel.",
            hint="This may be an image or a probability map.",
        )
    labels: NDArray[np.uint16] = rounded.astype(np.uint16)
    return labels
