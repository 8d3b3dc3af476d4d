"""DICOM series in memory: a name and the bytes of each file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from bench.service.corpus.case import PATIENT, PATIENT_ID, Make
from bench.service.corpus.packing import zipped

Files = dict[str, bytes]
Change = Callable[[Dataset, int, int], object]
"""Alters the slice of an echo before it is written; False leaves it out."""

ROWS: Final = 16
COLUMNS: Final = 18
_UID: Final = "1.2.826.0.1.3680043.8.498"


def uid(*numbers: int) -> str:
    """A deterministic UID for the given numbers."""
    return ".".join([_UID, *(str(number + 1) for number in numbers)])


def base(series: int, instance: int, syntax: UID, sop_class: UID = MRImageStorage) -> Dataset:
    """A data set with the attributes of every image, and a patient."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid(series, instance, 7)
    data.PatientName, data.PatientID, data.PatientBirthDate = PATIENT, PATIENT_ID, "19500101"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SeriesNumber = uid(9), uid(series), str(series)
    data.Modality, data.ImageType, data.Manufacturer = "MR", ["ORIGINAL", "PRIMARY", "M"], "MAKER"
    data.SeriesDescription = f"SAG PD {PATIENT}"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.Rows, data.Columns = ROWS, COLUMNS
    return data


def slices(
    count: int = 12,
    *,
    echoes: int = 1,
    series: int = 5,
    syntax: UID = ExplicitVRLittleEndian,
    name: str = "IM{:04d}.dcm",
    change: Change = lambda *_: None,
) -> Files:
    """Sagittal slices 3 mm apart, one file per slice and echo."""
    random = np.random.default_rng(series)
    files: Files = {}
    for k in range(count * echoes):
        echo, z = divmod(k, count)
        data = base(series, k, syntax)
        data.InstanceNumber, data.EchoTime, data.EchoNumbers = k + 1, str(10 * (echo + 1)), echo + 1
        data.ScanningSequence, data.RepetitionTime, data.FlipAngle = "SE", "2500", "90"
        data.PixelSpacing, data.SliceThickness = ["5", "5"], "3"
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        data.ImagePositionPatient = [3.0 * z, -45, 40]
        image = random.integers(0, 1000, (ROWS, COLUMNS), dtype=np.int16)
        data.PixelData = image.astype(">i2" if syntax == ExplicitVRBigEndian else "<i2").tobytes()
        data["PixelData"].VR = "OW"
        if syntax == RLELossless:
            encoded = RLELosslessEncoder.encode(image, rows=ROWS, columns=COLUMNS, samples_per_pixel=1,
                bits_allocated=16, bits_stored=16, pixel_representation=1, photometric_interpretation="MONOCHROME2",
                number_of_frames=1, encoding_plugin="pydicom")  # fmt: skip
            data.PixelData = encapsulate([encoded])
            data["PixelData"].VR = "OB"
        if change(data, echo, z) is not False:
            files[name.format(k)] = saved(data)
    return files


def saved(data: Dataset) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def enhanced(count: int = 12, *, change: Callable[[Dataset], object] = lambda _: None) -> bytes:
    """One enhanced multi-frame file."""
    data = base(6, 0, ExplicitVRLittleEndian, EnhancedMRImageStorage)
    data.NumberOfFrames = count
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["5", "5"], "3"
    plane.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for z in range(count):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [3.0 * z, -45, 40]
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = np.random.default_rng(1).integers(0, 1000, (count, ROWS, COLUMNS), dtype=np.int16).tobytes()
    data["PixelData"].VR = "OW"
    change(data)
    return saved(data)


def multiframe(count: int = 12, *, gap: str | None = "3") -> bytes:
    """A legacy multi-frame file: the first position and the frame distance."""
    data = base(6, 0, ExplicitVRLittleEndian)
    data.NumberOfFrames = count
    data.PixelSpacing, data.ImageOrientationPatient = ["5", "5"], [0, 1, 0, 0, 0, -1]
    data.ImagePositionPatient = [0, -45, 40]
    if gap is not None:
        data.SpacingBetweenSlices = gap
    data.PixelData = np.random.default_rng(1).integers(0, 1000, (count, ROWS, COLUMNS), dtype=np.int16).tobytes()
    data["PixelData"].VR = "OW"
    return saved(data)


def report() -> bytes:
    """A structured report, without an image."""
    data = base(8, 0, ExplicitVRLittleEndian, UID("1.2.840.10008.5.1.4.1.1.88.11"))
    data.Modality = "SR"
    for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated"):
        delattr(data, name)
    return saved(data)


def localizer(count: int = 3, series: int = 1) -> Files:
    """A few images in another plane."""

    def change(data: Dataset, _: int, z: int) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-45, -45, 20.0 * z]

    return slices(count, series=series, name="LOC{:04d}.dcm", change=change)


def set_to(**attributes: object) -> Callable[[Dataset], None]:
    """A change that sets these attributes."""

    def change(data: Dataset) -> None:
        for name, value in attributes.items():
            setattr(data, name, value)

    return change


def every(change: Callable[[Dataset], Any], *, echoes: int = 1) -> Make:
    """A zip of a series with every slice changed."""
    return lambda _: zipped(slices(echoes=echoes, change=lambda data, *_: change(data)))
