"""Reads voxels from a byte stream: checks their number against the header, and converts them in pieces."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.image_io.geometry import describe_shape

MAX_VOXELS: Final = 2**28
"""1 GB as float32: eleven echoes of 160 x 384 x 384. Also limits the decompressed size of a small file."""

MAX_ECHOES: Final = 16
"""A longer fourth dimension is a time series."""

MAX_EXCESS_BYTES: Final = 1 << 20
"""Some programs pad their files; more than this after the voxels means that the header is wrong."""

LARGE_BYTES: Final = 256 << 20
MAX_INFLATION: Final = 100
"""MR images compress to a half or a third, those with much background to a tenth; see `check_inflation`."""

_CHUNK_VOXELS: Final = 1 << 19

Piece = tuple[int, NDArray[np.float32]]
"""Values that follow each other in a stored image, and the index of the first one in the flat image. The array is
reused for the next piece: copy it to keep it.
"""


def check_voxel_count(shape: Sequence[int]) -> None:
    """Raise UnsupportedImage if an image of this shape is larger than MAX_VOXELS."""
    if (count := prod(shape)) > MAX_VOXELS:
        raise UnsupportedImage(
            f"Image has {describe_shape(tuple(shape))} = {count:,} voxels; expected at most {MAX_VOXELS:,}.",
            hint="Export only the knee series.",
        )


def check_echo_count(count: int) -> None:
    """Raise UnsupportedImage if a fourth dimension is too long to be echoes."""
    if not 1 <= count <= MAX_ECHOES:
        raise UnsupportedImage(
            f"Fourth dimension has {count} entries; expected 1 to {MAX_ECHOES} echoes.",
            hint="Time series are not supported: export one volume, or the echoes of one acquisition.",
        )


def voxel_pieces(
    stream: BinaryIO, dtype: np.dtype[np.generic], shape: tuple[int, ...], *, slope: float = 1.0, intercept: float = 0.0
) -> Iterator[Piece]:
    """Voxels of `shape` (slowest axis first) in storage order: stored value * slope + intercept, computed in float64.

    The stream is read to its end, where the checksum of a gzip stream is verified.
    Raises UnreadableImage for too few bytes, a damaged stream, or far more bytes than declared.
    """
    check_voxel_count(shape)
    count = prod(shape)
    raw = np.empty(min(_CHUNK_VOXELS, count), dtype=dtype)
    values = np.empty(raw.shape, dtype=np.float32)
    wanted = count * dtype.itemsize
    read = 0
    for start in range(0, count, _CHUNK_VOXELS):
        piece = raw[: min(_CHUNK_VOXELS, count - start)]
        with _damage():
            got = _fill(stream, piece)
        read += got
        if got < piece.nbytes:
            break
        convert(piece, values[: piece.size], slope, intercept)
        yield start, values[: piece.size]
    with _damage():
        excess = _drain(stream)
    check_length(wanted, read)
    if excess > MAX_EXCESS_BYTES:
        raise UnreadableImage(
            f"File contains far more data than its header declares ({wanted:,} bytes of voxels).",
            hint="The header does not belong to these voxels.",
        )


def check_length(wanted: int, found: int) -> None:
    """Raise UnreadableImage if fewer bytes of voxels were found than the header declares."""
    if found < wanted:
        raise UnreadableImage(
            f"File is cut off: its header declares {wanted:,} bytes of voxels, found {found:,}.",
            hint="Upload the file again.",
            expected_bytes=wanted,
            found_bytes=found,
        )


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, zlib.error) as error:
        # bz2 has no error class: an OSError without errno is from the decoder, any other from the system
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableImage(
            "Compressed voxels are damaged or cut off (checksum or length is wrong); expected a complete file.",
            hint="Upload the file again.",
        ) from error


def check_inflation(dtype: np.dtype[np.generic], shape: Sequence[int], stored_bytes: int) -> None:
    """Raise UnreadableImage if the declared size is implausible for the compressed size.

    stored_bytes: size of the compressed file. Sizes below LARGE_BYTES are not checked: blank images compress well.
    """
    promised = prod(shape) * dtype.itemsize
    if promised > LARGE_BYTES and promised > MAX_INFLATION * stored_bytes:
        raise UnreadableImage(
            f"Compressed file of {stored_bytes:,} bytes declares {promised:,} bytes of voxels; "
            f"expected at most {MAX_INFLATION} times its size.",
            hint="The header does not belong to these voxels.",
        )


def convert(stored: NDArray[np.generic], out: NDArray[np.float32], slope: float, intercept: float) -> None:
    """Write stored * slope + intercept into `out`; a value beyond float32 becomes infinite (see background.py)."""
    with np.errstate(over="ignore", invalid="ignore"):
        if slope == 1.0 and intercept == 0.0:
            out[...] = stored
        else:
            out[...] = stored.astype(np.float64) * slope + intercept


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
    """Read to the end of the stream, but not far beyond MAX_EXCESS_BYTES; returns the number of bytes."""
    excess = 0
    while excess <= MAX_EXCESS_BYTES and (block := stream.read(1 << 16)):
        excess += len(block)
    return excess
