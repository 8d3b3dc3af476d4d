"""DICOM segmentation objects, written as the standard describes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import SegmentationStorage, generate_uid

from pipeline.grid import Grid
from tests.support.image_io_writers import base_dataset, ds


def write_segmentation(
    labels: NDArray[np.integer], grid: Grid, names: Mapping[int, str], path: Path, *, kind: str = "BINARY"
) -> Path:
    """One file with a segment per name; frames without a voxel of their segment are left out, as most programs do."""
    data = base_dataset(generate_uid(), sop_class=SegmentationStorage)
    data.Modality, data.SegmentationType = "SEG", kind
    data.Rows, data.Columns = labels.shape[1:]
    data.SegmentSequence = DicomSequence([_segment(number, name) for number, name in names.items()])
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ds(grid.spacing_mm[1:]), ds([grid.spacing_mm[0]])[0]
    plane.ImageOrientationPatient = ds(grid.direction[:, :2].T.reshape(-1))
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = DicomSequence([measures]), DicomSequence([plane])
    data.SharedFunctionalGroupsSequence = DicomSequence([shared])
    segments = [0] if kind == "LABELMAP" else list(names)
    frames = [
        (z, number) for number in segments for z in range(len(labels)) if number == 0 or (labels[z] == number).any()
    ]
    data.NumberOfFrames = len(frames)
    data.PerFrameFunctionalGroupsSequence = DicomSequence([_frame(grid, z, number) for z, number in frames])
    if kind == "LABELMAP":
        pixels = labels.astype(np.uint8)
    else:
        pixels = np.stack([labels[z] == number for z, number in frames]).astype(np.uint8)
    if kind == "FRACTIONAL":
        data.MaximumFractionalValue, data.SegmentationFractionalType = 200, "PROBABILITY"
        pixels = np.where(pixels > 0, 100, 99).astype(np.uint8)
    bits = 1 if kind == "BINARY" else 8
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits, bits - 1, 0
    data.PixelData = pack_bits(pixels.reshape(-1)) if kind == "BINARY" else pixels.tobytes()
    data["PixelData"].VR = "OB"
    data.save_as(path, enforce_file_format=True)
    return path


def _segment(number: int, name: str) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, name, "MANUAL"
    return item


def _frame(grid: Grid, z: int, number: int) -> Dataset:
    frame, position = Dataset(), Dataset()
    position.ImagePositionPatient = ds(grid.to_mm([[z, 0, 0]])[0])
    frame.PlanePositionSequence = DicomSequence([position])
    if number:
        identified = Dataset()
        identified.ReferencedSegmentNumber = number
        frame.SegmentIdentificationSequence = DicomSequence([identified])
    return frame
