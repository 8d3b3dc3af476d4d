"""Files of the IWOAI 2019 challenge: HDF5 with one array `data`, without geometry. Converted to NIfTI.

Scan: (rows, columns, slices), rows from superior to inferior, columns from anterior to posterior. Label map: the same
with a last axis of six masks: femoral cartilage, two tibial cartilages, patellar cartilage, two menisci. Published
descriptions differ in which of two is medial, so the two become one label, which is divided by anatomy later. The files
do not state the side of the knee: the slices are taken to run from right to left. If that is wrong, the knee is a
mirror image: its side is wrong, its measures are not.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Plate, Tissue
from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.file_kinds import FileKind
from pipeline.validation.layouts import NAMES_FILE

SPACING_MM: Final = (0.365, 0.365, 0.7)
"""Of rows, columns and slices: double echo steady state of the Osteoarthritis Initiative (Peterfy, Osteoarthritis and
Cartilage 2008; 16: 1433-1441)."""

NAMES: Final = (Plate.FEMORAL.display_name, Plate.TIBIAL.display_name, Plate.PATELLAR.display_name, Tissue.MENISCUS)
"""Of the labels 1, 2, ... of the converted label map."""

MASKS: Final = (1, 2, 2, 3, 4, 4)
"""The label of each mask."""
ARRAY: Final = "data"

MOST_VOXELS: Final = 1 << 28

_AFFINE: Final = np.array(
    [
        [0.0, 0.0, -SPACING_MM[2], 0.0],
        [0.0, -SPACING_MM[1], 0.0, 0.0],
        [-SPACING_MM[0], 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Voxel to mm in NIfTI's axes (right, anterior, superior)."""


def convert(scan: Path, labels: Path, folder: Path) -> tuple[Path, Path]:
    """The scan as a NIfTI file, and a folder with the label map and its names; both are made in `folder`.

    Raises UnsupportedImage without the package h5py or for arrays of another shape, UnreadableImage.
    """
    image, masks = _array(scan), _array(labels)
    if image.ndim != 3:
        raise UnsupportedImage(f"The scan has {image.ndim} axes; expected rows, columns and slices.")
    if masks.shape != (*image.shape, len(MASKS)):
        raise UnsupportedImage(
            f"The label map has the shape {_words(masks.shape)}; expected that of the scan and {len(MASKS)} masks, "
            f"{_words((*image.shape, len(MASKS)))}."
        )
    found = np.zeros(image.shape, dtype=np.uint8)
    for number, label in enumerate(MASKS):
        found[masks[..., number] > 0] = label
    extension = FileKind.NIFTI.extensions[-1]
    named = folder / "labels"
    named.mkdir(exist_ok=True)
    image_path = folder / f"scan{extension}"
    nibabel.save(nibabel.Nifti1Image(image.astype(np.float32), _AFFINE), image_path)
    nibabel.save(nibabel.Nifti1Image(found, _AFFINE), named / f"labels{extension}")
    names = {name: label for label, name in enumerate(NAMES, start=1)}
    (named / NAMES_FILE).write_text(json.dumps({"labels": names}), encoding="utf-8")
    return image_path, named


def _array(path: Path) -> NDArray[np.floating]:
    if find_spec("h5py") is None:
        raise UnsupportedImage(
            f"{path.name} is an HDF5 file, and the package h5py is not installed.",
            hint="Install it: .venv/bin/python -m pip install h5py",
        )
    import h5py

    try:
        with h5py.File(path, "r") as file:
            stored = file[ARRAY]
            if not isinstance(stored, h5py.Dataset) or stored.size > MOST_VOXELS * len(MASKS):
                raise UnreadableImage(f"{path.name}: {ARRAY} is no array of a knee.")
            values: NDArray[np.floating] = stored[()]
    except (OSError, KeyError) as error:
        raise UnreadableImage(f"{path.name} is not an HDF5 file with an array named {ARRAY}.") from error
    return values


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
