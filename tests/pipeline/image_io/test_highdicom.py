"""DICOM segmentations that highdicom writes are read with identical labels: one bit per segment, and label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from pipeline.anatomy import AUTO, Structure
from pipeline.image_io import read_label_map
from pipeline.label_grid import on_grid
from pipeline.labels import given_segmentation
from tests.support.image_io_writers import Phantom, write_dicom
from tests.support.knees import coarse_knee

KNEE = coarse_knee()
FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.8.498.1"


def series(folder: Path) -> list[pydicom.Dataset]:
    """The images that the segmentation refers to, oblique, in the order of the array."""
    grid = KNEE.grid
    images = np.zeros((1, *grid.shape), dtype=np.int16)

    def add(data: Any, _echo: int, _slice: int) -> None:
        data.FrameOfReferenceUID, data.StudyInstanceUID = FRAME_OF_REFERENCE, "1.2.826.0.1.3680043.8.498.2"
        data.PositionReferenceIndicator = ""
        data.StudyID, data.StudyDate, data.StudyTime, data.PatientSex = "1", "20260101", "0000", "O"
        data.AccessionNumber, data.ReferringPhysicianName, data.SliceThickness = "", "", str(grid.spacing_mm[0])

    scan = Phantom(images, np.array(grid.spacing_mm[::-1]), grid.direction, grid.origin_mm)
    write_dicom(scan, folder, change=add)
    files = [pydicom.dcmread(path) for path in folder.iterdir()]
    return sorted(files, key=lambda data: float(np.dot(data.ImagePositionPatient, grid.direction[:, 2])))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_segmentation_of_highdicom_has_identical_labels(tmp_path: Path, kind: str) -> None:
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=structure.title,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Bone,
            algorithm_type="MANUAL",
        )
        for number, structure in enumerate(Structure, 1)
    ]
    number_of = np.zeros(256, dtype=np.uint8)
    number_of[[int(structure) for structure in Structure]] = range(1, len(Structure) + 1)
    written = highdicom.seg.Segmentation(
        source_images=series(tmp_path / "series"),
        pixel_array=number_of[KNEE.labels],
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Test",
        manufacturer_model_name="Test",
        software_versions="1",
        device_serial_number="1",
    )
    written.save_as(tmp_path / "back.dcm")
    found = on_grid(read_label_map(tmp_path / "back.dcm"), KNEE.grid)
    assert np.array_equal(given_segmentation(found, AUTO, KNEE.grid).labels, KNEE.labels)
