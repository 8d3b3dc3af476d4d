"""MetaImage (.mha, or .mhd with its .raw beside it; https://itk.org/Wiki/ITK/MetaIO/Documentation).

Read here for the same reason as NRRD: a library follows `ElementDataFile` to any path on the machine. The voxels are
taken from the same file, or from a file of the same upload with exactly that plain name.
"""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.file_kinds import FileKind
from pipeline.grid import FloatArray
from pipeline.image_io.geometry import describe_shape, make_grid
from pipeline.image_io.source import Source
from pipeline.image_io.voxels import check_echo_count, check_inflation, check_voxel_count, voxel_pieces

_MAX_HEADER_BYTES: Final = 1 << 16
_LOCAL: Final = "LOCAL"

_TYPES: Final = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}

Fields = dict[str, str]


@contextlib.contextmanager
def open_meta_image(path: Path, siblings: Mapping[str, Path]) -> Iterator[Source]:
    """A MetaImage as a scan without echo times and side; a fourth axis or several channels are read as echoes.

    siblings  plain name -> file, for the files of the same upload: where the voxels of an .mhd may lie

    It is open for the length of the block. Raises UnreadableImage, UnsupportedImage.
    """
    with path.open("rb") as header:
        fields = _read_fields(header)
        sizes, channels = _sizes(fields)
        steps, origin = _geometry(fields, len(sizes))
        dtype = _dtype(fields)
        grid = make_grid(tuple(reversed(sizes[:3])), steps, origin)
        echoes = sizes[3] if len(sizes) == 4 else channels
        check_echo_count(echoes)
        check_voxel_count((*sizes[:3], echoes))
        with _voxels(fields, header, siblings) as (stream, stored_bytes):
            compressed = _flag(fields, "CompressedData")
            if compressed:
                check_inflation(dtype, (*sizes[:3], echoes), stored_bytes)
            _skip(fields, stream, dtype, sizes, channels, stored_bytes)
            stored = (*reversed(sizes), channels) if channels > 1 else (1, *reversed(sizes))
            shape = stored[-4:]
            yield Source(
                shape=(shape[0], shape[1], shape[2], shape[3]),
                pieces=voxel_pieces(_inflated(stream) if compressed else stream, dtype, shape),
                grid=grid,
                echo_axis=3 if channels > 1 else 0,
            )


def _read_fields(stream: BinaryIO) -> Fields:
    """The header's fields up to ElementDataFile, which is the last one; the stream is left at the voxels."""
    fields: Fields = {}
    while "ElementDataFile" not in fields:
        line = stream.readline(_MAX_HEADER_BYTES)
        name, equals, value = line.decode("latin-1").partition("=")
        if not line.endswith(b"\n") or not equals or stream.tell() > _MAX_HEADER_BYTES:
            if "ElementDataFile" in line.decode("latin-1") and equals:  # an .mhd may end without a line break
                fields["ElementDataFile"] = value.strip()
                break
            raise _damaged("ElementDataFile is missing")
        fields[name.strip()] = value.strip()
    return fields


def _sizes(fields: Fields) -> tuple[tuple[int, ...], int]:
    """Axis lengths, fastest first, and channels per voxel."""
    try:
        sizes = tuple(int(text) for text in _required(fields, "DimSize").split())
        dimensions = int(_required(fields, "NDims"))
        channels = int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError as error:
        raise _damaged("NDims, DimSize or the number of channels is not an integer") from error
    if len(sizes) != dimensions or min(sizes, default=0) < 1 or channels < 1:
        raise _damaged(f"{dimensions} dimensions, sizes {describe_shape(sizes)}, {channels} channels")
    if len(sizes) > 3 and sizes[3:] == (1,) * (len(sizes) - 3):
        sizes = sizes[:3]
    if not 3 <= len(sizes) <= 4 or (len(sizes) == 4 and channels > 1):
        raise UnsupportedImage(
            f"Image has {dimensions} dimensions ({describe_shape(sizes)}) and {channels} channels; "
            "expected 3 dimensions, or one more for echoes."
        )
    if channels in (3, 4) and fields.get("ElementType") == "MET_UCHAR":
        raise UnsupportedImage("Voxels are colours; expected one grey value per voxel.", hint="Export grey values.")
    return sizes, channels


def _required(fields: Fields, name: str) -> str:
    if name not in fields:
        raise _damaged(f"it has no field '{name}'")
    return fields[name]


def _geometry(fields: Fields, dimensions: int) -> tuple[FloatArray, FloatArray]:
    """Voxel steps (3, 3) as columns, and origin (3,): LPS mm, as ITK reads and writes them."""
    try:
        spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), dimensions)
        offset = _numbers(fields, ("Offset", "Position", "Origin"), dimensions)
        matrix = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), dimensions**2)
    except ValueError as error:
        raise _damaged("its geometry is not a list of numbers for its dimensions") from error
    if spacing is None:
        raise _damaged("it has no ElementSpacing, the size of a voxel")
    if not (np.isfinite(spacing).all() and spacing.min() > 0):
        raise _damaged(f"ElementSpacing is {' '.join(f'{size:g}' for size in spacing)}; expected sizes above 0 mm")
    direction = np.eye(3) if matrix is None else matrix.reshape(dimensions, dimensions)[:3, :3].T
    return direction * spacing[:3], np.zeros(3) if offset is None else offset[:3]


def _numbers(fields: Fields, names: tuple[str, ...], count: int) -> FloatArray | None:
    text = next((fields[name] for name in names if name in fields), None)
    if text is None:
        return None
    values = np.array([float(part) for part in text.split()], dtype=np.float64)
    if len(values) != count:
        raise ValueError(f"{names[0]} has {len(values)} values, expected {count}")
    return values


def _dtype(fields: Fields) -> np.dtype[Any]:
    name = _required(fields, "ElementType")
    if name not in _TYPES:
        raise UnsupportedImage(
            "MetaImage voxel type is not a plain number; expected an integer or floating-point type."
        )
    if not _flag(fields, "BinaryData", missing=True):
        raise UnsupportedImage("MetaImage holds its voxels as text; expected binary voxels.", hint="Save it as binary.")
    big = _flag(fields, "BinaryDataByteOrderMSB") or _flag(fields, "ElementByteOrderMSB")
    return np.dtype((">" if big else "<") + _TYPES[name])


def _damaged(found: str) -> UnreadableImage:
    return UnreadableImage(
        f"MetaImage header is damaged or cut off: {found}.", hint="Save the image again, or upload the file again."
    )


def _flag(fields: Fields, name: str, *, missing: bool = False) -> bool:
    return fields[name].lower() in ("true", "1", "t") if name in fields else missing


@contextlib.contextmanager
def _voxels(fields: Fields, header: BinaryIO, siblings: Mapping[str, Path]) -> Iterator[tuple[BinaryIO, int]]:
    """The stream of the voxels and how many bytes it holds."""
    name = fields["ElementDataFile"]
    if name == _LOCAL:
        start = header.tell()
        size = header.seek(0, io.SEEK_END) - start
        header.seek(start)
        yield header, size
        return
    if name not in siblings:
        raise UnsupportedImage(
            "Header and voxels are in two files, and the second is not in the upload; expected both.",
            hint=f"Pack both into one folder of a {FileKind.ZIP}, or save the image as one file "
            f"({FileKind.META_IMAGE.extensions[0]}).",
        )
    with siblings[name].open("rb") as stream:
        yield stream, siblings[name].stat().st_size


def _skip(
    fields: Fields, stream: BinaryIO, dtype: np.dtype[Any], sizes: tuple[int, ...], channels: int, stored_bytes: int
) -> None:
    """Pass over a header inside the voxel file: HeaderSize bytes, or with -1 all but the voxels, which are last."""
    try:
        header_size = int(fields.get("HeaderSize", "0"))
    except ValueError as error:
        raise _damaged("HeaderSize is not an integer") from error
    if header_size == -1:
        header_size = max(0, stored_bytes - prod(sizes) * channels * dtype.itemsize)
    if not 0 <= header_size <= stored_bytes:
        raise _damaged(f"it places the voxels at byte {header_size:,}, outside the file")
    stream.seek(header_size, io.SEEK_CUR)


def _inflated(stream: BinaryIO) -> BinaryIO:
    return _ZlibStream(stream)  # type: ignore[return-value]  # a binary stream in all but name


class _ZlibStream(io.RawIOBase):
    """A zlib stream as a readable file; its checksum is compared at the end, as zlib does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj()
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # Any: the buffer protocol has no type before Python 3.12
        target = memoryview(buffer).cast("B")
        while not self._inflater.eof:
            fed = self._waiting or self._stream.read(1 << 16)
            if not fed:
                raise EOFError("the zlib stream is cut off")
            piece = self._inflater.decompress(fed, len(target))
            self._waiting = self._inflater.unconsumed_tail
            if piece:
                target[: len(piece)] = piece
                return len(piece)
        return 0
