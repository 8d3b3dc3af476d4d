"""Voxels from a byte stream: as many as the header promises, no fewer; converted piece by piece."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from math import prod
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.image_io.geometry import describe_shape

MAX_VOXELS: Final = 2**28
"""1 GB as float32: eleven echoes of 160 x 384 x 384. Also the bound on what a small file may inflate to."""

MAX_ECHOES: Final = 16
"""A longer fourth dimension is a time series."""

MAX_EXCESS_BYTES: Final = 1 << 20
"""Some programs pad their files; more than this behind the voxels means that the header is wrong."""

MAX_BAD_FRACTION: Final = 1e-3
"""Share of voxels that may be NaN or infinite and is then set to 0."""

_CHUNK_VOXELS: Final = 1 << 19


def check_voxel_count(shape: Sequence[int]) -> None:
    """Raise UnsupportedImage where an image of this shape is larger than MAX_VOXELS."""
    if (count := prod(shape)) > MAX_VOXELS:
        raise UnsupportedImage(
            f"Image has {describe_shape(tuple(shape))} = {count:,} voxels; expected at most {MAX_VOXELS:,}.",
            hint="Export the knee series alone.",
        )


def check_echo_count(count: int) -> None:
    """Raise UnsupportedImage where a fourth dimension is too long to be echoes."""
    if not 1 <= count <= MAX_ECHOES:
        raise UnsupportedImage(
            f"Fourth dimension has {count} entries; expected 1 to {MAX_ECHOES} echoes.",
            hint="Time series are not supported: export one volume, or the echoes of one acquisition.",
        )


def read_voxels(
    stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...], *, slope: float = 1.0, intercept: float = 0.0
) -> NDArray[np.float32]:
    """Voxels of `shape` (slowest axis first) as float32: stored value * slope + intercept, worked out in float64.

    The stream is read to its end, which is where a gzip stream's checksum is compared.
    Raises UnreadableImage for too few bytes, a damaged stream, or far more bytes than promised.
    """
    check_voxel_count(shape)
    out = np.empty(prod(shape), dtype=np.float32)
    raw = np.empty(min(_CHUNK_VOXELS, out.size), dtype=dtype)
    wanted = out.size * dtype.itemsize
    read = 0
    try:
        for start in range(0, out.size, _CHUNK_VOXELS):
            piece = raw[: min(_CHUNK_VOXELS, out.size - start)]
            got = _fill(stream, piece)
            read += got
            if got < piece.nbytes:
                break
            convert(piece, out[start : start + piece.size], slope, intercept)
        excess = _drain(stream)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise UnreadableImage(
            "Compressed voxels are damaged or cut off (checksum or length is wrong); expected a complete file.",
            hint="Upload the file again.",
        ) from error
    if read < wanted:
        raise UnreadableImage(
            f"File is cut off: its header promises {wanted:,} bytes of voxels, found {read:,}.",
            hint="Upload the file again.",
            expected_bytes=wanted,
            found_bytes=read,
        )
    if excess > MAX_EXCESS_BYTES:
        raise UnreadableImage(
            f"File holds far more data than its header promises ({wanted:,} bytes of voxels).",
            hint="The header does not belong to these voxels.",
        )
    return out.reshape(shape)


def convert(
    stored: NDArray[Any], out: NDArray[np.float32], slope: float | NDArray[Any], intercept: float | NDArray[Any]
) -> None:
    """Write stored * slope + intercept into `out`; a value beyond float32 becomes infinite (see `replace_bad`)."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.all(np.equal(slope, 1.0)) and np.all(np.equal(intercept, 0.0)):
            out[...] = stored
        else:
            out[...] = stored.astype(np.float64) * slope + intercept


def replace_bad(echoes: NDArray[np.float32]) -> tuple[str, ...]:
    """Set NaN and infinite voxels of `echoes` (e, z, y, x) to 0, in place; returns a warning where there were any.

    Raises UnreadableImage where they are 0.1 % of the image or more.
    """
    bad = 0
    for image in echoes.reshape(-1, *echoes.shape[2:]):
        # one bad voxel makes the slice's sum bad: ten times faster than isfinite where all is well
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(image.sum(dtype=np.float64)):
                continue
        wrong = ~np.isfinite(image)
        bad += int(wrong.sum())
        image[wrong] = 0.0
    if not bad:
        return ()
    found = f"{bad:,} of {echoes.size:,} voxels are not a number or infinite"
    if bad >= MAX_BAD_FRACTION * echoes.size:
        raise UnreadableImage(f"{found}; expected fewer than {MAX_BAD_FRACTION:.1%}.", bad_voxels=bad)
    return (f"{found}; they were set to 0.",)


def _fill(stream: BinaryIO, piece: NDArray[Any]) -> int:
    """Read until `piece` is full or the stream ends; returns the bytes read."""
    target = piece.view(np.uint8).data.cast("B")
    filled = 0
    while filled < len(target):
        got = stream.readinto(target[filled:])  # type: ignore[attr-defined]  # BinaryIO's stub lacks readinto
        if not got:
            break
        filled += got
    return filled


def _drain(stream: BinaryIO) -> int:
    """Read to the end of the stream, but not much further than MAX_EXCESS_BYTES; returns the bytes found."""
    excess = 0
    while excess <= MAX_EXCESS_BYTES and (block := stream.read(1 << 16)):
        excess += len(block)
    return excess
