"""NIfTI-1 and NIfTI-2 in one file, plain or gzip; fourth dimension = echoes."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.grid import FloatArray
from pipeline.image_io.formats import is_gzip
from pipeline.image_io.geometry import describe_shape, lps_from_ras, make_grid
from pipeline.image_io.source import Source
from pipeline.image_io.voxels import check_echo_count, check_inflation, check_voxel_count, voxel_pieces

_UNIT_MM: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""NIfTI's codes for unknown, metre, millimetre, micrometre."""

_MAX_HEADER_BYTES: Final = 16 << 20
"""Extensions lie between header and voxels; they are skipped, and longer ones are not believed."""


@contextlib.contextmanager
def open_nifti(path: Path) -> Iterator[Source]:
    """A NIfTI file as a scan without echo times and side; it is open for the length of the block.

    Geometry: sform where its code is set, else qform, else spacing alone (nibabel's rule, with a warning);
    RAS becomes LPS. Raises UnreadableImage, UnsupportedImage.
    """
    with _opened(path) as stream:
        header = _read_header(stream)
        shape = _shape(header)
        dtype = _dtype(header)
        grid = make_grid(shape[1:], *_geometry(header))
        check_voxel_count(shape)
        if is_gzip(path):
            check_inflation(dtype, shape, path.stat().st_size)
        slope, intercept = _scaling(header)
        yield Source(
            shape=shape,
            pieces=voxel_pieces(stream, dtype, shape, slope=slope, intercept=intercept),
            grid=grid,
            warnings=_orientation_warnings(header),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        if not is_gzip(path):
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as inflated:
            yield inflated  # type: ignore[misc]  # a GzipFile is a binary stream in all but name


def _read_header(stream: BinaryIO) -> Nifti1Header:
    """The header, with the stream left at the first voxel."""
    try:
        block = stream.read(348)
        kind: type[Nifti1Header] = Nifti1Header
        if block[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):
            block += stream.read(540 - 348)
            kind = Nifti2Header
        header: Nifti1Header = kind(block, check=False)
        offset = int(max(float(header["vox_offset"]), len(block) + 4))
        if offset > _MAX_HEADER_BYTES:
            raise UnreadableImage(f"NIfTI header places the voxels at byte {offset:,}; expected a few hundred.")
        skipped = len(stream.read(offset - len(block)))
    except (HeaderDataError, ValueError, OverflowError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableImage("NIfTI header is damaged or cut off.", hint="Upload the file again.") from error
    if skipped < offset - len(block):
        raise UnreadableImage(
            f"File is cut off: its header places the voxels at byte {offset:,}, the file ends before.",
            hint="Upload the file again.",
        )
    return header


def _shape(header: Nifti1Header) -> tuple[int, int, int, int]:
    """(e, z, y, x)."""
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise UnreadableImage(f"NIfTI header is damaged: its dimensions are {dim}.")
    sizes = dim[1 : dim[0] + 1]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if not 3 <= len(sizes) <= 4:
        raise UnsupportedImage(
            f"Image has {len(sizes)} dimensions ({describe_shape(tuple(sizes))}); expected 3, or 4 with echoes.",
            hint="Colour, vector and tensor images are not supported.",
        )
    echoes = sizes[3] if len(sizes) == 4 else 1
    check_echo_count(echoes)
    return echoes, sizes[2], sizes[1], sizes[0]


def _dtype(header: Nifti1Header) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        raise UnreadableImage(f"NIfTI header is damaged: unknown voxel type {int(header['datatype'])}.") from error
    if dtype.fields is not None or dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UnsupportedImage(
            "Voxels are colours, complex or extended numbers; expected one integer or floating-point value a voxel.",
            hint="Export the magnitude image in grey values.",
        )
    return dtype


def _scaling(header: Nifti1Header) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise UnreadableImage("NIfTI header is damaged: its value scaling is not a number.") from error
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))


def _geometry(header: Nifti1Header) -> tuple[FloatArray, FloatArray]:
    """Voxel steps (3, 3) and origin (3,), LPS mm."""
    try:
        affine = lps_from_ras(header.get_best_affine())
    except (HeaderDataError, ValueError) as error:
        raise UnreadableImage("NIfTI header is damaged: its orientation (qform) is no rotation.") from error
    unit = int(header["xyzt_units"]) & 0x07
    if unit not in _UNIT_MM:
        raise UnreadableImage(f"NIfTI header is damaged: unknown unit of length {unit}; expected m, mm or um.")
    return affine[:3, :3] * _UNIT_MM[unit], affine[:3, 3] * _UNIT_MM[unit]


def _orientation_warnings(header: Nifti1Header) -> tuple[str, ...]:
    if int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0:
        return ()
    return (
        "NIfTI header gives no orientation (sform and qform codes are 0); spacing alone was used, "
        "and the side cannot be trusted.",
    )
