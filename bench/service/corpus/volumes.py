"""NIfTI, NRRD and MetaImage files written byte by byte: every header field can be set to a wrong value."""

from __future__ import annotations

import bz2
import gzip
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHAPE: Final = (12, 16, 20)
"""(z, y, x)"""

NAMES: Final = ("Femur", "Tibia", "Femoral cartilage", "Medial tibial cartilage")
"""Of the labels 1 to 4."""


def voxels(shape: tuple[int, ...] = SHAPE, code: str = "<i2") -> NDArray[np.generic]:
    """Deterministic random values from 0 to 999."""
    return np.random.default_rng(3).integers(0, 1000, size=shape).astype(code)


def nifti(data: bytes | None = None, *, order: str = "<", magic: bytes = b"n+1\0", **fields: object) -> bytes:
    """A NIfTI-1 file of 12 x 16 x 20 int16 voxels; `fields` are set in the header by name."""
    header: dict[str, object] = {
        "sizeof_hdr": 348,
        "dim": (3, 20, 16, 12, 1, 1, 1, 1),
        "intent_code": 0,
        "datatype": 4,
        "bitpix": 16,
        "pixdim": (1.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0),
        "vox_offset": 352.0,
        "scl_slope": 1.0,
        "scl_inter": 0.0,
        "xyzt_units": 2,
        "qform_code": 1,
        "sform_code": 1,
        "quatern": (0.0, 0.0, 0.0, -40.0, -40.0, -36.0),
        "srow_x": (4.0, 0.0, 0.0, -40.0),
        "srow_y": (0.0, 5.0, 0.0, -40.0),
        "srow_z": (0.0, 0.0, 6.0, -36.0),
    }
    assert fields.keys() <= header.keys(), fields.keys() - header.keys()
    header |= fields
    block = bytearray(348)
    places = (
        ("sizeof_hdr", "i", 0),
        ("dim", "8h", 40),
        ("intent_code", "h", 68),
        ("datatype", "h", 70),
        ("bitpix", "h", 72),
        ("pixdim", "8f", 76),
        ("vox_offset", "f", 108),
        ("scl_slope", "f", 112),
        ("scl_inter", "f", 116),
        ("xyzt_units", "B", 123),
        ("qform_code", "h", 252),
        ("sform_code", "h", 254),
        ("quatern", "6f", 256),
        ("srow_x", "4f", 280),
        ("srow_y", "4f", 296),
        ("srow_z", "4f", 312),
    )
    for name, form, at in places:
        value = header[name]
        struct.pack_into(order + form, block, at, *(value if isinstance(value, tuple) else (value,)))
    block[148:228] = b"Doe^Jane 4711-0815".ljust(80, b"\0")  # descrip: converters store names there
    block[344:348] = magic
    return bytes(block) + b"\0" * 4 + (voxels(code=order + "i2").tobytes() if data is None else data)


def nifti2(dim: tuple[int, ...] = (3, 20, 16, 12, 1, 1, 1, 1)) -> bytes:
    """The same image as NIfTI-2."""
    block = bytearray(540)
    struct.pack_into("<i8s", block, 0, 540, b"n+2\0\r\n\x1a\n")
    struct.pack_into("<hh8q", block, 12, 4, 16, *dim)
    struct.pack_into("<8d", block, 104, 1.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<q", block, 168, 544)
    struct.pack_into("<2d", block, 176, 1.0, 0.0)
    struct.pack_into("<2i", block, 344, 0, 1)
    struct.pack_into("<12d", block, 400, 4.0, 0, 0, -40.0, 0, 5.0, 0, -40.0, 0, 0, 6.0, -36.0)
    struct.pack_into("<i", block, 500, 2)
    return bytes(block) + b"\0" * 4 + voxels().tobytes()


def packed(content: bytes) -> bytes:
    """Compress with gzip, deterministically."""
    return gzip.compress(content, mtime=0)


def nrrd(*lines: str, data: bytes | None = None, without: tuple[str, ...] = (), ending: str = "\n") -> bytes:
    """An NRRD file; `lines` follow the usual fields, of which those in `without` are omitted."""
    usual = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "20 16 12",
        "space directions": "(4,0,0) (0,5,0) (0,0,6)",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(-40,-40,-36)",
    }
    head = ["NRRD0004", *(f"{name}: {value}" for name, value in usual.items() if name not in without), *lines, "", ""]
    return ending.join(head).encode() + (voxels().tobytes() if data is None else data)


def nrrd_packed(encoding: str = "gzip") -> bytes:
    """Compressed voxels."""
    data = voxels().tobytes()
    return nrrd(
        f"encoding: {encoding}",
        without=("encoding",),
        data=packed(data) if encoding in ("gzip", "gz") else bz2.compress(data),
    )


def meta_image(
    *lines: str, data: bytes | None = None, without: tuple[str, ...] = (), file: str = "LOCAL", ending: str = "\n"
) -> bytes:
    """A MetaImage; `lines` follow the usual fields, of which those in `without` are omitted. file: of the voxels."""
    usual = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-40 -40 -36",
        "ElementSpacing": "4 5 6",
        "DimSize": "20 16 12",
        "ElementType": "MET_SHORT",
    }
    head = [*(f"{name} = {value}" for name, value in usual.items() if name not in without), *lines]
    text = ending.join([*head, f"ElementDataFile = {file}", ""])
    own = voxels().tobytes() if file == "LOCAL" else b""
    return text.encode("latin-1") + (own if data is None else data)


def labels(shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    """A label map of four blocks, 1 to 4, in background."""
    values = np.zeros(shape, dtype=np.uint8)
    for number, rows in ((1, slice(1, 6)), (2, slice(6, 11))):
        values[..., rows, 4:12, 5:15] = number
        values[..., rows, 4:6, 5:15] = number + 2
    return values


def segmentation_nrrd(
    *pairs: str, layers: NDArray[np.uint8] | None = None, names: tuple[str, ...] = NAMES, data: bytes | None = None
) -> bytes:
    """A segmentation of 3D Slicer: a segment per name, with the values 1, 2 and so on in layer 0. pairs: replace
    those of a segment with the same key, and are added otherwise.
    """
    values = labels() if layers is None else layers
    own = {}
    for k, name in enumerate(names):
        own |= {f"Segment{k}_Name": name, f"Segment{k}_LabelValue": str(k + 1), f"Segment{k}_Layer": "0"}
    own |= dict(pair.split(":=", 1) for pair in pairs)
    fields = ["type: uchar", *(f"{key}:={value}" for key, value in own.items())]
    without = ["type"]
    if values.ndim == 4:
        without += ["dimension", "sizes", "space directions"]
        fields += [
            "dimension: 4",
            f"sizes: {len(values)} 20 16 12",
            "space directions: none (4,0,0) (0,5,0) (0,0,6)",
            "kinds: list domain domain domain",
        ]
        values = np.moveaxis(values, 0, -1)
    return nrrd(*fields, without=tuple(without), data=values.tobytes() if data is None else data)
