"""NRRD with attached data (http://teem.sourceforge.net/nrrd/format.html), with our own reader.

The library follows `data file:` to any path on the machine and does not verify the gzip checksum.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.grid import FloatArray
from pipeline.image_io.formats import detached_header
from pipeline.image_io.geometry import describe_shape, make_grid
from pipeline.image_io.source import Source
from pipeline.image_io.voxels import check_echo_count, check_inflation, check_voxel_count, voxel_pieces

_MAX_HEADER_BYTES: Final = 1 << 20

_TYPES: Final = {
    name: code
    for code, names in {
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}

_TO_LPS: Final = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_UNIT_MM: Final = {"mm": 1.0, "": 1.0, "???": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
_NO_ECHO_KINDS: Final = ("color", "hsv", "xyz", "complex", "matrix", "normal", "gradient", "quaternion")

_NO_ORIENTATION: Final = "NRRD header gives no orientation; the side cannot be trusted."

Fields = dict[str, str]


@contextlib.contextmanager
def open_nrrd(path: Path) -> Iterator[Source]:
    """An NRRD file as a scan without echo times and side; a non-spatial fourth axis is read as echoes.

    It is open during the block. Raises UnreadableImage, UnsupportedImage (detached data, colour, other than
    3 spatial axes).
    """
    with path.open("rb") as stream:
        fields, _ = _read_header(stream)
        sizes = _sizes(fields)
        steps, origin, spatial = _geometry(fields, len(sizes))
        echo_axis = next((axis for axis in range(len(sizes)) if axis not in spatial), None)
        _check_grey(fields, sizes, echo_axis)
        grid = make_grid(tuple(sizes[axis] for axis in reversed(spatial)), steps, origin)
        check_voxel_count(sizes)
        dtype, decoder = _dtype(fields), _decoder(fields, stream)
        if decoder is not stream:
            check_inflation(dtype, sizes, path.stat().st_size)
        stored = tuple(reversed(sizes)) if len(sizes) == 4 else (1, *reversed(sizes))
        yield Source(
            shape=(stored[0], stored[1], stored[2], stored[3]),
            pieces=voxel_pieces(decoder, dtype, stored),
            grid=grid,
            echo_axis=0 if echo_axis is None else len(sizes) - 1 - echo_axis,
            warnings=() if _has_orientation(fields) else (_NO_ORIENTATION,),
        )


def read_pairs(path: Path) -> Fields:
    """The key/value pairs (`key:=value`) of a header. Raises as `open_nrrd`."""
    with path.open("rb") as stream:
        return _read_header(stream)[1]


def _read_header(stream: BinaryIO) -> tuple[Fields, Fields]:
    """The header's fields, names in lower case, and its key/value pairs; the stream is then positioned at the data."""
    fields: Fields = {}
    pairs: Fields = {}
    stream.readline(_MAX_HEADER_BYTES)  # the magic number, already checked
    while True:
        line = stream.readline(_MAX_HEADER_BYTES)
        if not line.endswith(b"\n") or stream.tell() > _MAX_HEADER_BYTES:
            if "data file" in fields:
                raise detached_header()
            raise UnreadableImage("NRRD header is damaged or cut off: no blank line ends it.")
        text = line.decode("latin-1").strip("\r\n")
        if not text:
            break
        name, colon, value = text.partition(": ")
        key, assigned, content = text.partition(":=")
        if text.startswith("#"):
            continue
        if assigned and len(key) < len(name):
            pairs[key] = content
        elif colon:
            fields[_canonical(name)] = value.strip()
    if "data file" in fields:
        raise detached_header()
    for skip in ("line skip", "byte skip"):
        if fields.get(skip, "0") != "0":
            raise UnsupportedImage(f"NRRD header skips data ({skip}); expected voxels directly after the header.")
    return fields, pairs


def _canonical(name: str) -> str:
    """Canonical field name with a space: `datafile` -> `data file`."""
    lowered = name.strip().lower()
    return {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}.get(lowered, lowered)


def _required(fields: Fields, name: str) -> str:
    if name not in fields:
        raise UnreadableImage(f"NRRD header has no field '{name}'.")
    return fields[name]


def _sizes(fields: Fields) -> tuple[int, ...]:
    """Axis lengths, fastest first."""
    try:
        sizes = tuple(int(text) for text in _required(fields, "sizes").split())
        dimension = int(_required(fields, "dimension"))
    except ValueError as error:
        raise UnreadableImage("NRRD header is damaged: sizes or dimension are not integers.") from error
    if len(sizes) != dimension or min(sizes, default=0) < 1:
        raise UnreadableImage(f"NRRD header is damaged: {dimension} dimensions, but sizes {describe_shape(sizes)}.")
    if not 3 <= dimension <= 4:
        raise UnsupportedImage(
            f"Image has {dimension} dimensions ({describe_shape(sizes)}); expected 3, or 4 with echoes."
        )
    return sizes


def _geometry(fields: Fields, dimension: int) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    """Voxel steps (3, 3) and origin (3,) in LPS mm, and which axes of the file are spatial (fastest first)."""
    try:
        if not _has_orientation(fields):
            return _spacing_only(fields, dimension)
        vectors = _vectors(fields["space directions"])
        origin = np.array(_vectors(fields.get("space origin", "(0,0,0)"))[0], dtype=np.float64)
        spatial = tuple(axis for axis, vector in enumerate(vectors) if vector is not None)
        columns = np.array([vectors[axis] for axis in spatial], dtype=np.float64).T
        signs = np.array(_signs(fields), dtype=np.float64)
        units = [unit.strip() for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))]
        scale = _UNIT_MM[units[0].lower()] if units else 1.0
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise UnreadableImage(
            "NRRD header is damaged: its geometry (space directions, origin, units) is not usable."
        ) from error
    if (
        len(vectors) == dimension == 4
        and columns.shape == (4, 4)
        and not (columns[3, :3].any() or columns[:3, 3].any())
    ):
        columns, origin, spatial = columns[:3, :3], origin[:3], spatial[:3]  # ITK writes a 4D image as 4 space axes
    if columns.shape != (3, 3) or origin.shape != (3,) or len(vectors) != dimension:
        raise UnsupportedImage(f"Image has {len(spatial)} spatial axes of {dimension}; expected 3 spatial axes.")
    return columns * signs[:, np.newaxis] * scale, origin * signs * scale, spatial


def _has_orientation(fields: Fields) -> bool:
    return "space directions" in fields


def _spacing_only(fields: Fields, dimension: int) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    spacing = [float(text) for text in _required(fields, "spacings").split()]
    if dimension == 4 and np.isfinite(spacing).all():
        spacing = spacing[:3]
    spatial = tuple(axis for axis, value in enumerate(spacing) if np.isfinite(value))
    return np.diag([spacing[axis] for axis in spatial]), np.zeros(3), spatial


def _vectors(text: str) -> list[list[float] | None]:
    """`none (1,0,0) (0,1,0)` -> [None, [1, 0, 0], [0, 1, 0]]; `(none)` and `(nan,nan,nan)` mean none too."""
    items = [item.strip("()") for item in re.findall(r"none|\([^)]*\)", text)]
    vectors = [None if item.strip() == "none" else [float(part) for part in item.split(",")] for item in items]
    return [None if vector is None or np.isnan(vector).all() else vector for vector in vectors]


def _signs(fields: Fields) -> tuple[int, int, int]:
    space = fields.get("space", "").lower()
    if not space and fields.get("space dimension") in ("3", "4"):
        return _TO_LPS["lps"]  # ITK's convention if it writes no name (4D images)
    name = space.removesuffix("-time")
    if name not in _TO_LPS and not (name.endswith("t") and name[:-1] in _TO_LPS):
        raise UnsupportedImage("NRRD header names no anatomical space; expected left-posterior-superior or RAS, LAS.")
    return _TO_LPS[name if name in _TO_LPS else name[:-1]]


def _check_grey(fields: Fields, sizes: tuple[int, ...], echo_axis: int | None) -> None:
    if echo_axis is None:
        return
    kinds = fields.get("kinds", "").lower().split()
    kind = kinds[echo_axis] if len(kinds) == len(sizes) else ""
    # SimpleITK writes RGB as a vector of 3 or 4 bytes
    colour_vector = kind == "vector" and sizes[echo_axis] in (3, 4) and _dtype(fields).itemsize == 1
    if colour_vector or any(word in kind for word in _NO_ECHO_KINDS):
        raise UnsupportedImage(
            "Voxels are colours, vectors or tensors; expected one grey value per voxel, or echoes.",
            hint="Export the magnitude image in grey values.",
        )
    check_echo_count(sizes[echo_axis])


def _dtype(fields: Fields) -> np.dtype[Any]:
    name = _required(fields, "type").lower()
    if name not in _TYPES:
        raise UnsupportedImage("NRRD voxel type is not a plain number; expected an integer or floating-point type.")
    code = _TYPES[name]
    endian = fields.get("endian", "little").lower()
    if endian not in ("little", "big"):
        raise UnreadableImage("NRRD header is damaged: endian is neither little nor big.")
    return np.dtype(("<" if endian == "little" else ">") + code)


def _decoder(fields: Fields, stream: BinaryIO) -> BinaryIO:
    encoding = _required(fields, "encoding").lower()
    if encoding == "raw":
        return stream
    if encoding in ("gzip", "gz"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # behaves like a binary stream
    if encoding in ("bzip2", "bz2"):
        return bz2.BZ2File(stream)  # type: ignore[return-value]  # behaves like a binary stream
    raise UnsupportedImage("NRRD encoding is not supported; expected raw, gzip or bzip2.")
