"""Stored voxel values of DICOM frames: uncompressed and RLE by pydicom, JPEG by GDCM with a minimal header."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import iter_pixels
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.file_kinds import FileKind
from pipeline.image_io.dicom_files import DAMAGED, Frame, quiet
from pipeline.image_io.dicom_words import WORD_TAGS, Words
from pipeline.image_io.disk import disk_errors
from pipeline.image_io.voxels import Piece, check_voxel_count, convert

_DIRECT: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless)
_JPEG: Final = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)

_DESCRIPTION: Final = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_TAGS: Final = (
    *_DESCRIPTION,
    *WORD_TAGS,
    "SOPClassUID",
    "NumberOfFrames",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


def frame_pieces(echoes: list[list[Frame]], scratch_dir: Path | None) -> Iterator[Piece]:
    """Rescaled voxels of frames [echo][slice], with NaN for padding; each file is decoded once, frame by frame.

    Raises UnreadableImage (cut off, damaged), UnsupportedImage (unknown compression, too large).
    """
    first = echoes[0][0]
    check_voxel_count((len(echoes), len(echoes[0]), first.rows, first.columns))
    image = np.empty((first.rows, first.columns), dtype=np.float32)
    targets: dict[Path, dict[int, tuple[int, Frame]]] = {}
    for place, frame in enumerate(frame for frames in echoes for frame in frames):
        targets.setdefault(frame.path, {})[frame.number] = (place * image.size, frame)
    for path, wanted in targets.items():
        for number, (stored, padded) in enumerate(_stored_frames(path, scratch_dir)):
            if number not in wanted:
                continue
            start, frame = wanted.pop(number)
            if stored.shape != image.shape:
                raise _other_size()
            convert(stored, image, frame.slope, frame.intercept)
            if padded is not None:
                image[padded] = np.nan
            yield start, image.reshape(-1)
        if wanted:
            raise _other_size()


def _other_size() -> UnreadableImage:
    return UnreadableImage("A DICOM file's voxels do not have the size declared in its header.")


def _stored_frames(path: Path, scratch_dir: Path | None) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_] | None]]:
    """The frames (rows, columns) of one file, not rescaled, and masks of their padding (None: no padding)."""
    with _damage():
        data = pydicom.dcmread(path, force=True, specific_tags=[*_TAGS])
        count = int(data.get("NumberOfFrames") or 1)
        check_voxel_count((count, int(data.Rows), int(data.Columns)))
        words = Words.of(data)
        syntax = _transfer_syntax(data)
        if syntax in _JPEG:
            coded = generate_frames(data.PixelData, number_of_frames=count)
            frames = (_decode_jpeg(data, frame, syntax, scratch_dir) for frame in coded)
        elif syntax in _DIRECT:
            frames = (np.asarray(frame) for frame in iter_pixels(data, raw=True, correct_unused_bits=False))
        else:
            raise UnsupportedImage(
                f"DICOM voxels are compressed as {syntax.name}; expected uncompressed, RLE or JPEG.",
                hint="Export the series uncompressed.",
            )
    while True:
        with _damage():
            stored = next(frames, None)
        if stored is None:
            return
        values = words.values(stored)
        yield values, words.padded(values)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        with quiet():
            yield
    except DAMAGED as error:
        raise UnreadableImage(
            "A DICOM file's voxels are missing, damaged or cut off; expected the number declared in its header.",
            hint="Export or upload the series again.",
        ) from error


def _transfer_syntax(data: Dataset) -> UID:
    """The transfer syntax from the file meta information; without it, as the file could be parsed."""
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        implicit, little = data.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = syntax
    return UID(syntax)


def _decode_jpeg(data: Dataset, frame: bytes, syntax: UID, scratch_dir: Path | None) -> NDArray[Any]:
    """(rows, columns): GDCM receives a file with only the voxels and their description."""
    import SimpleITK  # imported only for JPEG: takes 0.3 s to load

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    single = Dataset()
    single.file_meta = meta
    single.SOPClassUID, single.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    for name in _DESCRIPTION:
        if name in data:
            single[name] = data[name]
    single.PhotometricInterpretation = "MONOCHROME2"  # GDCM would invert each frame by the maximum of that frame
    single.PixelData = encapsulate([frame])
    with (
        disk_errors(),
        tempfile.NamedTemporaryFile(prefix="frame-", suffix=FileKind.DICOM.extensions[0], dir=scratch_dir) as file,
    ):
        single.save_as(file, enforce_file_format=True)
        file.flush()
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(file.name)
        values: NDArray[Any] = np.squeeze(SimpleITK.GetArrayFromImage(reader.Execute()))
    return values
