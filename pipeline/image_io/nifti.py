"""NIfTI-1 and NIfTI-2 in one file, plain or gzip; fourth dimension = echoes."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.image_io.formats import is_gzip
from pipeline.image_io.geometry import describe_shape, make_grid
from pipeline.image_io.nifti_geometry import read_geometry
from pipeline.image_io.source import Source
from pipeline.image_io.voxels import check_echo_count, check_inflation, check_length, check_voxel_count, voxel_pieces

_GREY_INTENTS: Final = (0, 1007)
"""Codes of a fifth dimension that may be echoes: none, and the vector that ITK writes for any multi-channel image."""

_MAX_HEADER_BYTES: Final = 16 << 20
"""Extensions lie between header and voxels; they are skipped, and longer ones are an error."""


@contextlib.contextmanager
def open_nifti(path: Path) -> Iterator[Source]:
    """A NIfTI file as a scan without echo times and side; open during the block.

    Geometry: see nifti_geometry.py; RAS becomes LPS. Raises UnreadableImage, UnsupportedImage.
    """
    with _opened(path) as stream:
        header, replaced = _read_header(stream)
        shape, assumed = _shape(header)
        dtype = _dtype(header)
        geometry = read_geometry(header)
        grid = make_grid(shape[1:], geometry.steps_mm, geometry.origin_mm)
        check_voxel_count(shape)
        if is_gzip(path):
            check_inflation(dtype, shape, path.stat().st_size)
        else:  # before the voxels are read, for those that read only headers
            check_length(prod(shape) * dtype.itemsize, path.stat().st_size - stream.tell())
        slope, intercept, unscaled = _scaling(header)
        yield Source(
            shape=shape,
            pieces=voxel_pieces(stream, dtype, shape, slope=slope, intercept=intercept),
            grid=grid,
            warnings=(*geometry.warnings, *assumed, *replaced, *unscaled),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        if not is_gzip(path):
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as inflated:
            yield inflated  # type: ignore[misc]  # a GzipFile behaves like a binary stream


def _read_header(stream: BinaryIO) -> tuple[Nifti1Header, tuple[str, ...]]:
    """The header, with the stream positioned at the first voxel; and a warning if the voxel offset is inside the
    header.
    """
    try:
        block = stream.read(348)
        kind: type[Nifti1Header] = Nifti1Header
        if block[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):
            block += stream.read(540 - 348)
            kind = Nifti2Header
        header: Nifti1Header = kind(block, check=False)
        stated = float(header["vox_offset"])
        offset = int(max(stated, len(block) + 4))
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
    if stated in (0.0, float(len(block))) or stated >= len(block) + 4:  # 0: not given; 348: without extension bytes
        return header, ()
    return header, (
        f"NIfTI header places the voxels at byte {stated:g}, inside itself; they were read from byte {offset}.",
    )


def _shape(header: Nifti1Header) -> tuple[tuple[int, int, int, int], tuple[str, ...]]:
    """(e, z, y, x), and a warning if the axes do not follow the standard."""
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise UnreadableImage(f"NIfTI header is damaged: its dimensions are {dim}.")
    sizes = dim[1 : dim[0] + 1]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    # a vector image of ITK and 3D Slicer: x, y, z, time, component
    if len(sizes) == 5 and sizes[3] == 1 and int(header["intent_code"]) in _GREY_INTENTS:
        sizes.pop(3)
    warnings: tuple[str, ...] = ()
    if len(sizes) == 4 and sizes[0] == 1:  # saved with its channel axis, but with the affine of its spatial axes
        sizes.pop(0)
        steps = " x ".join(f"{size:.4g}" for size in np.linalg.norm(header.get_best_affine()[:3, :3], axis=0))
        warnings = (
            f"Image was saved with a leading axis of length 1, which was removed; voxels of {steps} were taken for "
            f"the axes {describe_shape(tuple(sizes))}. Check the voxel size.",
        )
    if not 3 <= len(sizes) <= 4:
        raise UnsupportedImage(
            f"Image has {len(sizes)} dimensions ({describe_shape(tuple(sizes))}); expected 3, or 4 with echoes.",
            hint="Colour, vector and tensor images are not supported.",
        )
    echoes = sizes[3] if len(sizes) == 4 else 1
    check_echo_count(echoes)
    return (echoes, sizes[2], sizes[1], sizes[0]), warnings


def _dtype(header: Nifti1Header) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        raise UnreadableImage(f"NIfTI header is damaged: unknown voxel type {int(header['datatype'])}.") from error
    if dtype.fields is not None or dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UnsupportedImage(
            "Voxels are colours, complex or extended numbers; expected one integer or floating-point value per voxel.",
            hint="Export the magnitude image in grey values.",
        )
    return dtype


def _scaling(header: Nifti1Header) -> tuple[float, float, tuple[str, ...]]:
    """Slope and intercept of the stored values, and a warning if the header's are not numbers (0: not given)."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0:
        return 1.0, 0.0, ()
    if np.isfinite(slope):
        if not np.isfinite(intercept):
            raise UnreadableImage("NIfTI header is damaged: its value scaling is not a number.")
        return slope, intercept, ()
    if np.isnan(slope) and (np.isnan(intercept) or intercept == 0):  # nibabel's value for "not given"
        return 1.0, 0.0, ()
    return (
        1.0,
        0.0,
        (
            f"NIfTI header's value scaling is not a number (slope {slope:g}, intercept {intercept:g}); "
            "the stored values were used.",
        ),
    )
