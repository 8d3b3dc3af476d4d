"""DICOM headers as frames: one record per slice, from single-frame or multi-frame files.

pydicom reads the headers by tag, so attributes that describe the patient are never parsed. It was preferred to GDCM
(through SimpleITK) because it gives positions as float64, reads every echo, functional group and private tag, supports
explicit big endian and RLE, and reports truncated files. GDCM is used only for the JPEG codecs.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.grid import FloatArray
from pipeline.image_io.dicom_meaning import MEANING_TAGS, Meaning, read_meaning
from pipeline.image_io.dicom_values import count_of, number, vector, words

# Values with invalid formatting are common and harmless; the warnings would quote them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

DAMAGED: Final = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
)
"""Exceptions that pydicom raises for a damaged file."""

_MODALITIES: Final = frozenset(
    ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "RF", "SC", "SEG", "SR", "US", "XA")
)
"""Modality codes that messages may quote; any other value could contain patient data."""

_TAGS: Final = [
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocationVector",
    "EchoTime",
    "EchoNumbers",
    "InstanceNumber",
    "ImagesInAcquisition",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "RescaleSlope",
    "RescaleIntercept",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    *(tag for block in range(0x10, 0x18) for tag in ((0x2005, block), (0x2005, (block << 8) + 0x0E))),
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *MEANING_TAGS,
]


_MR_IMAGES: Final = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)

_UNIT_TOLERANCE: Final = 0.01
"""Tolerance that accepts direction cosines with two decimals."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One slice.

    path, number          the file, and the index of the frame
    position, orientation LPS mm; (6,) row then column cosines; None if missing
    spacing_mm            (2,) between rows, between columns; None if missing
    echo                  (echo time in ms, echo number); 0 if missing
    image_number          of its file within the series; -1 if missing
    promised              number of images in the acquisition according to the header; 0 if missing
    part                  (number, of how many) of an object split over files; otherwise (0, 0)
    slice_gap_mm          between slice centres, according to the header
    thickness_mm          of the slice, according to the header
    direction_assumed     only the first frame of the file has a position; those of the others follow from a convention
    image_type            values of ImageType in upper case; with acquisition, time point and trigger time they
                          distinguish images at the same position
    private_scale         Philips' scale slope; None if missing
    inverted              low values are bright (MONOCHROME1)
    """

    path: Path
    number: int
    instance: str
    series: str
    series_number: str
    modality: str
    localizer: bool
    grey: bool
    rows: int
    columns: int
    position: FloatArray | None
    orientation: FloatArray | None
    spacing_mm: FloatArray | None
    echo: tuple[float, int]
    image_number: int
    promised: int
    part: tuple[int, int]
    slice_gap_mm: float | None
    thickness_mm: float | None
    direction_assumed: bool
    image_type: tuple[str, ...]
    acquisition_number: int
    temporal_position: int
    trigger_time_ms: float
    private_scale: float | None
    inverted: bool
    slope: float
    intercept: float
    meaning: Meaning

    @property
    def has_geometry(self) -> bool:
        return self.position is not None and self.orientation is not None and self.spacing_mm is not None


def read_frames(path: Path) -> list[Frame]:
    """The frames of one DICOM file; empty for an object without an image (report, presentation state).

    Raises UnreadableImage for a damaged file, UnsupportedImage for a deflated one.
    """
    try:
        with quiet():
            _refuse_deflated(path)
            data = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=[*_TAGS])
            if "Rows" not in data or "Columns" not in data:
                _refuse_lost_image(data)
                return []
            return _frames(data, path)
    except DAMAGED as error:
        raise UnreadableImage(
            "A DICOM file's header is damaged or cut off.", hint="Export or upload the series again."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings: they quote values of the header, which must not reach a log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_deflated(path: Path) -> None:
    """Raise UnsupportedImage for a deflated data set, which decompresses in one piece without a limit."""
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise UnsupportedImage(
            "DICOM file is deflated as a whole (rare); expected uncompressed, RLE or JPEG voxels.",
            hint="Export the series uncompressed.",
        )


def _refuse_lost_image(data: Dataset) -> None:
    """Raise UnreadableImage if an MR image object has no matrix: the file is truncated."""
    if data.file_meta.get("MediaStorageSOPClassUID", data.get("SOPClassUID")) in _MR_IMAGES:
        raise UnreadableImage(
            "A DICOM file is cut off within its header; expected a complete MR image.",
            hint="Export or upload the series again.",
        )


def _frames(data: Dataset, path: Path) -> list[Frame]:
    count = int(number(data, "NumberOfFrames") or 1)
    groups = data.get("PerFrameFunctionalGroupsSequence")
    shared = _first(data, "SharedFunctionalGroupsSequence")
    if groups is not None:
        if len(groups) != count:
            raise UnreadableImage(
                f"DICOM file declares {count} frame{'s' * (count != 1)}, but describes {len(groups)}.",
                hint="Export the image again.",
            )
        return [_frame(data, path, k, (group, shared), None) for k, group in enumerate(groups)]
    if count == 1:
        return [_frame(data, path, 0, (), None)]
    offsets = _slice_offsets(data, count)
    return [_frame(data, path, k, (), float(offsets[k])) for k in range(count)]


def _frame(data: Dataset, path: Path, k: int, groups: tuple[Dataset, ...], offset_mm: float | None) -> Frame:
    """Frame k; `groups` are its per-frame and the shared functional groups; `offset_mm` shifts it along the normal."""
    plane = _lookup(data, groups, "PlanePositionSequence")
    measures = _lookup(data, groups, "PixelMeasuresSequence")
    values = _lookup(data, groups, "PixelValueTransformationSequence")
    position = vector(plane, "ImagePositionPatient", 3)
    orientation = _orientation(_lookup(data, groups, "PlaneOrientationSequence"))
    if offset_mm is not None and position is not None and orientation is not None:
        position = position + offset_mm * np.cross(orientation[:3], orientation[3:])
    echo = _lookup(data, groups, "MREchoSequence")
    slope = number(values, "RescaleSlope")
    if slope is None and str(values.get("RescaleSlope") or "").strip():
        raise UnreadableImage("DICOM header is damaged: its value scaling is not a number.")
    return Frame(
        path=path,
        number=k,
        instance=str(data.get("SOPInstanceUID", "")),
        series=str(data.get("SeriesInstanceUID", "")),
        series_number=str(count_of(data, "SeriesNumber")),
        modality=_modality(data),
        localizer="LOCALIZER" in [str(word).upper() for word in words(data, "ImageType")],
        grey=int(data.get("SamplesPerPixel") or 1) == 1
        and str(data.get("PhotometricInterpretation", "MONOCHROME2")) in ("MONOCHROME1", "MONOCHROME2"),
        rows=int(data.Rows),
        columns=int(data.Columns),
        position=position,
        orientation=orientation,
        spacing_mm=_spacing(measures),
        echo=(
            round(number(echo, "EffectiveEchoTime") or number(echo, "EchoTime") or 0.0, 4),
            count_of(data, "EchoNumbers"),
        ),
        image_number=count_of(data, "InstanceNumber", missing=-1),
        promised=count_of(data, "ImagesInAcquisition"),
        part=(count_of(data, "InConcatenationNumber"), count_of(data, "InConcatenationTotalNumber")),
        slice_gap_mm=number(measures, "SpacingBetweenSlices"),
        thickness_mm=number(measures, "SliceThickness"),
        direction_assumed=offset_mm is not None and "SliceLocationVector" not in data,
        image_type=_image_type(data, groups),
        acquisition_number=count_of(data, "AcquisitionNumber"),
        temporal_position=count_of(data, "TemporalPositionIdentifier"),
        trigger_time_ms=number(data, "TriggerTime") or 0.0,
        private_scale=_private_scale(data, groups),
        inverted=data.get("PhotometricInterpretation") == "MONOCHROME1",
        slope=1.0 if slope is None else slope,
        intercept=number(values, "RescaleIntercept") or 0.0,
        meaning=read_meaning(data, groups),
    )


def _orientation(plane: Dataset) -> FloatArray | None:
    """(6,) row and column direction, normalised to unit vectors; None if missing or invalid."""
    cosines = vector(plane, "ImageOrientationPatient", 6)
    if cosines is None:
        return None
    lengths = np.linalg.norm(cosines.reshape(2, 3), axis=1)
    if not np.allclose(lengths, 1.0, atol=_UNIT_TOLERANCE):
        return None
    return np.asarray((cosines.reshape(2, 3) / lengths[:, np.newaxis]).reshape(6), dtype=np.float64)


def _spacing(measures: Dataset) -> FloatArray | None:
    """(2,) mm; None if missing or negative, which would mirror the image."""
    spacing = vector(measures, "PixelSpacing", 2)
    return spacing if spacing is not None and spacing.min() >= 0 else None


def _slice_offsets(data: Dataset, count: int) -> FloatArray:
    """Distance of each frame of a legacy multi-frame file from the first one, along the normal, mm."""
    vector_mm = vector(data, "SliceLocationVector", count)
    if vector_mm is not None:
        offsets: FloatArray = vector_mm - vector_mm[0]
        return offsets
    gap = number(data, "SpacingBetweenSlices") or number(data, "SliceThickness")
    if gap is None:
        raise UnsupportedImage(
            f"Multi-frame DICOM file has {count} frames, but no distance between them; "
            "expected SpacingBetweenSlices or functional groups.",
            hint="Export the series as one file per slice.",
        )
    return np.arange(count, dtype=np.float64) * gap


def _image_type(data: Dataset, groups: tuple[Dataset, ...]) -> tuple[str, ...]:
    """Values of ImageType, followed by those of the frame in an enhanced file."""
    frame_type = _lookup(Dataset(), groups, "MRImageFrameTypeSequence")
    found = [
        *words(data, "ImageType"),
        *words(frame_type, "FrameType")[2:],
        *words(frame_type, "ComplexImageComponent"),
    ]
    return tuple(str(word).strip().upper() for word in found)


def _private_scale(data: Dataset, groups: tuple[Dataset, ...]) -> float | None:
    """Philips' scale slope (2005,xx0E) of the frame or the file; None if missing."""
    nested = [item for group in groups for item in (group.get((0x2005, 0x140F)) or ())]
    for source in (*nested, data):
        try:
            value = source.private_block(0x2005, "Philips MR Imaging DD 001")[0x0E].value
        except KeyError:
            continue
        scale = float(value)
        return scale if np.isfinite(scale) and scale > 0 else None
    return None


def _modality(data: Dataset) -> str:
    """The modality code; `other` if unknown, empty if missing.

    If an anonymiser removed it, the SOP class identifies MR images.
    """
    code = str(data.get("Modality") or "").strip()
    if not code and data.get("SOPClassUID", data.file_meta.get("MediaStorageSOPClassUID")) in _MR_IMAGES:
        return "MR"
    return code if code in _MODALITIES or not code else "other"


def _lookup(data: Dataset, groups: tuple[Dataset, ...], name: str) -> Dataset:
    """The first item of a functional group: from the frame, else shared, else the data set itself."""
    for group in groups:
        item = _first(group, name)
        if item:
            return item
    return data


def _first(data: Dataset, name: str) -> Dataset:
    items = data.get(name)
    return items[0] if items else Dataset()
