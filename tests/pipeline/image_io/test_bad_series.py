"""Each fault of a DICOM series has a specific error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from pipeline.errors import (
    IncompleteSeries,
    UnreadableImage,
    UnsupportedImage,
)
from tests.support.image_io_refusals import Build, Case, assert_refused, truncated
from tests.support.image_io_writers import (
    ds,
    make_phantom,
    write_dicom,
    write_enhanced,
    write_old_multiframe,
)


def dicom(**attributes: object) -> Build:
    """A series with these attributes in every slice; None removes one."""

    def change(data: Dataset, *_: int) -> None:
        for name, value in attributes.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)

    return lambda folder: write_dicom(make_phantom(1), folder / "s", change=change)


def slice_of(z: int, echo: int = 0, *, echoes: int = 1, **attributes: object) -> Build:
    """A series with these attributes in one slice."""

    def change(data: Dataset, e: int, k: int) -> None:
        if (e, k) == (echo, z):
            for name, value in attributes.items():
                setattr(data, name, value)

    return lambda folder: write_dicom(make_phantom(1, echoes=echoes), folder / "s", change=change)


def without(*names: str, echoes: int = 1) -> Build:
    """A series with missing files (written in order, 12 per echo)."""

    def build(folder: Path) -> Path:
        path = folder / "s"

        def numbered(data: Dataset, e: int, z: int) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.{e}.{z + 1}"

        write_dicom(make_phantom(1, echoes=echoes), path, change=numbered)

        for file in path.iterdir():
            if pydicom.dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID in names:
                file.unlink()
        return path

    return build


def shifted_slice(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z == 5:
            data.ImagePositionPatient = [float(v) + 1.0 for v in data.ImagePositionPatient]

    return write_dicom(make_phantom(1), folder / "s", change=change)


def tilted_slice(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z == 5:
            row, column = np.array(data.ImageOrientationPatient, dtype=float).reshape(2, 3)
            angle = np.radians(2)
            tilted = np.cos(angle) * column + np.sin(angle) * np.cross(row, column)
            data.ImageOrientationPatient = ds([*row, *tilted])

    return write_dicom(make_phantom(1), folder / "s", change=change)


def doubled(folder: Path) -> Path:
    uid = generate_uid()
    write_dicom(make_phantom(1), folder / "s", uid=uid)
    write_dicom(make_phantom(1), folder / "s" / "again", uid=uid)
    return folder / "s"


def half_other_spacing(folder: Path) -> Path:
    def change(data: Dataset, _: int, z: int) -> None:
        if z >= 12:
            data.PixelSpacing = [0.31, 0.31]

    phantom = make_phantom(1, shape=(24, 13, 16))
    phantom.spacing_xyz[:2] = 0.3
    return write_dicom(phantom, folder / "s", change=change)


def deflated(folder: Path) -> Path:
    def change(data: Dataset, *_: int) -> None:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    return write_dicom(make_phantom(1), folder / "s", change=change)


CASES: dict[str, Case] = {
    "ct": (UnsupportedImage, "modality found: CT", dicom(Modality="CT")),
    "dicom colour": (UnsupportedImage, "colour", dicom(SamplesPerPixel=3, PhotometricInterpretation="RGB")),
    "no position": (UnsupportedImage, "no position", dicom(ImagePositionPatient=None)),
    "one slice without position": (IncompleteSeries, "without position", slice_of(3, ImageOrientationPatient=[])),
    "no voxels": (UnreadableImage, "missing", dicom(PixelData=None)),
    "few slices": (UnsupportedImage, "9 found", lambda f: write_dicom(make_phantom(1, shape=(9, 8, 8)), f / "s")),
    "single slice": (
        UnsupportedImage,
        "1 found",
        lambda f: next(iter(write_dicom(make_phantom(1), f / "s").iterdir())),
    ),
    "slice missing": (IncompleteSeries, "found 11, expected 12", without("1.2.0.5")),
    "slice missing in one echo": (IncompleteSeries, "11 at 13 ms", without("1.2.1.5", echoes=2)),
    "slice missing in all echoes": (IncompleteSeries, "found 11, expected 12", without("1.2.0.5", "1.2.1.5", echoes=2)),
    "slice shifted": (IncompleteSeries, "gap|aside", shifted_slice),
    "positions doubled": (IncompleteSeries, "24 images have 12", doubled),
    "one orientation differs": (IncompleteSeries, "missing", slice_of(4, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])),
    "one slice tilted by 2 degrees": (IncompleteSeries, "disagree", tilted_slice),
    "one matrix differs": (
        IncompleteSeries,
        "disagree|missing",
        slice_of(4, Rows=26, Columns=32, PixelData=b"\0\0" * 26 * 32),
    ),
    "half with other spacing": (IncompleteSeries, "disagree", half_other_spacing),
    "dicom cut in the voxels": (UnreadableImage, "cut off", truncated(dicom(), 0.95)),
    "dicom cut in the header": (UnreadableImage, "cut off within its header", truncated(dicom(), 0.4)),
    "enhanced cut off": (
        UnreadableImage,
        "cut off",
        truncated(lambda f: write_enhanced(make_phantom(1), f / "a"), 0.9),
    ),
    "multi-frame without gap": (
        UnsupportedImage,
        "distance",
        lambda f: write_old_multiframe(make_phantom(1), f / "a", gap=False),
    ),
    "deflated": (UnsupportedImage, "deflated", deflated),
}


@pytest.mark.parametrize("name", CASES)
def test_each_series_fault_has_a_specific_error_and_leaves_no_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(CASES[name], tmp_path, monkeypatch)
