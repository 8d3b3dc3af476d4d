"""NIfTI files with wrong headers, and unusual valid ones."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.service.corpus.case import Case, Make
from bench.service.corpus.volumes import SHAPE, nifti, nifti2, packed, voxels

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED)
_NAN: Final = float("nan")
_INFINITE: Final = float("inf")


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.nii") -> Case:
    return Case(kind="nifti", name=name, make=make, codes=codes, filename=filename)


def _dim(*sizes: int) -> tuple[int, ...]:
    return (*sizes, *(1,) * (8 - len(sizes)))


def _cut() -> list[Case]:
    whole, gz = nifti(), packed(nifti())
    return [
        _case("one byte short", lambda _: whole[:-1], _DAMAGED),
        _case("half of the voxels", lambda _: whole[: len(whole) // 2], _DAMAGED),
        _case("header alone", lambda _: whole[:352], _DAMAGED),
        _case("half a header", lambda _: whole[:200], _EITHER),
        _case("first four bytes", lambda _: whole[:4], _EITHER),
        _case("5 MB too long", lambda _: whole + b"\0" * (5 << 20), _DAMAGED),
        _case("gzip one byte short", lambda _: gz[:-1], _DAMAGED, "scan.nii.gz"),
        _case("gzip half", lambda _: gz[: len(gz) // 2], _DAMAGED, "scan.nii.gz"),
        _case("gzip first ten bytes", lambda _: gz[:10], _DAMAGED, "scan.nii.gz"),
        _case("gzip checksum wrong", lambda _: gz[:-8] + b"\1\2\3\4" + gz[-4:], _DAMAGED, "scan.nii.gz"),
        _case("gzip length wrong", lambda _: gz[:-4] + b"\1\2\3\4", _DAMAGED, "scan.nii.gz"),
        _case("gzip damaged inside", lambda _: gz[:4000] + b"\xff" * 8 + gz[4008:], _DAMAGED, "scan.nii.gz"),
        _case("gzip bomb", lambda _: packed(nifti(b"\0" * (300 << 20))), _DAMAGED, "scan.nii.gz"),
        _case(
            "gzip bomb whose header agrees",
            lambda _: packed(nifti(b"\0" * (400 << 20), dim=_dim(3, 1000, 1000, 200), pixdim=_small())),
            _DAMAGED,
            "scan.nii.gz",
        ),
        _case("gzip of gzip", lambda _: packed(gz), _DAMAGED, "scan.nii.gz"),
    ]


def _small() -> tuple[float, ...]:
    return (1.0, 0.2, 0.2, 0.5, 0.0, 0.0, 0.0, 0.0)


def _dimensions() -> list[Case]:
    sizes = {
        "no dimensions": ((0, 20, 16, 12), _DAMAGED),
        "nine dimensions": ((9, 20, 16, 12), _DAMAGED),
        "negative count of dimensions": ((-3, 20, 16, 12), _DAMAGED),
        "a dimension of 0": ((3, 20, 0, 12), _DAMAGED),
        "a negative dimension": ((3, 20, -16, 12), _DAMAGED),
        "two dimensions": ((2, 60, 64), _UNSUPPORTED),
        "one slice": ((3, 60, 64, 1), _UNSUPPORTED),
        "nine slices": ((3, 20, 16, 9), _UNSUPPORTED),
        "200 volumes": ((4, 20, 16, 12, 200), _UNSUPPORTED),
        "five dimensions, three echoes that are missing": ((5, 20, 16, 12, 1, 3), _DAMAGED),
        "dimensions whose product overflows": ((7, *(32767,) * 7), _UNSUPPORTED),
        "three dimensions of 32,767": ((3, 32767, 32767, 32767), _UNSUPPORTED),
    }
    return [
        _case(title, lambda _, s=given: nifti(dim=_dim(*s)), codes, "scan.nii")
        for title, (given, codes) in sizes.items()
    ]


def _geometry() -> list[Case]:
    plain: dict[str, object] = {"qform_code": 0, "sform_code": 0}
    qform: dict[str, object] = {"sform_code": 0}
    lies: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
        "sform not a number": ({"srow_x": (_NAN, 0.0, 0.0, 0.0)}, _EITHER),
        "sform infinite": ({"srow_x": (_INFINITE, 0.0, 0.0, 0.0)}, _EITHER),
        "sform origin not a number": ({"srow_x": (4.0, 0.0, 0.0, _NAN)}, _EITHER),
        "sform sheared without a qform": ({"qform_code": 0, "srow_x": (4.0, 2.0, 0.0, 0.0)}, _UNSUPPORTED),
        "sform a thousand times too large without a qform": (
            {"qform_code": 0, "srow_x": (4000.0, 0.0, 0.0, 0.0)},
            _UNSUPPORTED,
        ),
        # the qform agrees with pixdim and is used, with a warning
        "sform of zeros": ({"srow_x": (0.0,) * 4, "srow_y": (0.0,) * 4, "srow_z": (0.0,) * 4}, ()),
        "sform singular": ({"srow_y": (4.0, 0.0, 0.0, 0.0)}, ()),
        "sform sheared": ({"srow_x": (4.0, 2.0, 0.0, 0.0)}, ()),
        "sform a thousand times too large": ({"srow_x": (4000.0, 0.0, 0.0, 0.0)}, ()),
        "qform is no rotation": (qform | {"quatern": (2.0, 2.0, 2.0, 0.0, 0.0, 0.0)}, _EITHER),
        "qform not a number": (qform | {"quatern": (_NAN, 0.0, 0.0, 0.0, 0.0, 0.0)}, _EITHER),
        "spacing 0": (plain | {"pixdim": (1.0, 0.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0)}, _EITHER),
        "spacing not a number": (plain | {"pixdim": (1.0, _NAN, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0)}, _EITHER),
        "spacing infinite": (plain | {"pixdim": (1.0, 4.0, _INFINITE, 6.0, 0.0, 0.0, 0.0, 0.0)}, _EITHER),
        "spacing 0 with qform": (qform | {"pixdim": (1.0, 4.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0)}, _EITHER),
        "unit of length unknown": ({"xyzt_units": 7}, _EITHER),
        "lengths in metres that are millimetres": ({"xyzt_units": 1}, _UNSUPPORTED),
    }
    return [_case(title, lambda _, f=fields: nifti(**f), codes) for title, (fields, codes) in lies.items()]


def _types() -> list[Case]:
    double = np.zeros(SHAPE, "<f4") + 1
    infinite = double * np.float32(_NAN)
    return [
        _case("voxels at byte 10,000,000", lambda _: nifti(vox_offset=1e7), _DAMAGED),
        _case("voxels at byte 1e30", lambda _: nifti(vox_offset=1e30), _DAMAGED),
        _case("voxel offset not a number", lambda _: nifti(vox_offset=_NAN), _DAMAGED),
        _case("voxel offset infinite", lambda _: nifti(vox_offset=_INFINITE), _DAMAGED),
        _case("type larger than the data", lambda _: nifti(datatype=64, bitpix=64), _DAMAGED),
        _case("type unknown", lambda _: nifti(datatype=999), _EITHER),
        _case("type 0", lambda _: nifti(datatype=0), _EITHER),
        _case("bits", lambda _: nifti(datatype=1, bitpix=1), _EITHER),
        _case("colour", lambda _: nifti(b"\0" * 11520, datatype=128, bitpix=24), _UNSUPPORTED),
        _case("colour with alpha", lambda _: nifti(b"\0" * 15360, datatype=2304, bitpix=32), _UNSUPPORTED),
        _case("complex", lambda _: nifti(b"\0" * 30720, datatype=32, bitpix=64), _UNSUPPORTED),
        _case("128-bit numbers", lambda _: nifti(b"\0" * 61440, datatype=1536, bitpix=128), _UNSUPPORTED),
        _case("voxels not a number", lambda _: nifti(infinite.tobytes(), datatype=16, bitpix=32), _DAMAGED),
        _case("slope infinite means none", lambda _: nifti(scl_slope=_INFINITE)),
        _case("intercept not a number", lambda _: nifti(scl_inter=_NAN), _DAMAGED),
        _case("header of a pair", lambda _: nifti(magic=b"ni1\0")[:352], _UNSUPPORTED),
        _case("Analyze without a magic", lambda _: nifti(magic=b"\0\0\0\0"), _UNSUPPORTED),
        _case("pair in a zip", lambda _: _pair(), _UNSUPPORTED, "scan.zip"),
        _case("header size lies", lambda _: nifti(sizeof_hdr=540), _EITHER),
        _case("random bytes", lambda _: np.random.default_rng(4).bytes(9000), _DAMAGED),
        _case("a picture", lambda _: b"\x89PNG\r\n\x1a\n" + b"\0" * 4000, _DAMAGED),
        _case("a web page", lambda _: b"<html><script>alert(1)</script></html>" * 20, _DAMAGED),
        _case("a program", lambda _: b"\x7fELF\2\1\1" + b"\0" * 4000, _DAMAGED, "scan.nii.gz"),
        _case("an HDF5 file", lambda _: b"\x89HDF\r\n\x1a\n" + b"\0" * 4000, _DAMAGED),
        _case("a MINC file in gzip", lambda _: packed(b"CDF\1" + b"\0" * 4000), _DAMAGED, "scan.nii.gz"),
    ]


def _pair() -> bytes:
    from bench.service.corpus.packing import zipped

    return zipped({"scan.hdr": nifti(magic=b"ni1\0")[:352], "scan.img": voxels().tobytes()})


def _good() -> list[Case]:
    four = np.concatenate([voxels().reshape(-1)] * 3).tobytes()
    oblique = {"srow_x": (3.9, 0.5, 0.0, 0.0), "srow_y": (-0.39, 5.0, 0.0, 0.0), "qform_code": 0}
    gz = packed(nifti())
    split = packed(nifti()[:5000]) + packed(nifti()[5000:])
    return [
        _case("plain", lambda _: nifti()),
        _case("gzip", lambda _: gz, filename="scan.nii.gz"),
        _case("gzip in two members", lambda _: split, filename="scan.nii.gz"),
        _case("gzip followed by zeros", lambda _: gz + b"\0" * 600, filename="scan.nii.gz"),
        _case("gzip named .nii", lambda _: gz),
        _case("plain named .nii.gz", lambda _: nifti(), filename="scan.nii.gz"),
        _case("NIfTI named .nrrd", lambda _: nifti(), filename="scan.nrrd"),
        _case("NIfTI named .dcm", lambda _: nifti(), filename="scan.dcm"),
        _case("NIfTI-2", lambda _: nifti2()),
        _case("NIfTI-2 in gzip", lambda _: packed(nifti2()), filename="scan.nii.gz"),
        _case("big endian", lambda _: nifti(order=">")),
        _case("three echoes", lambda _: nifti(four, dim=_dim(4, 20, 16, 12, 3))),
        _case("fourth dimension of 1", lambda _: nifti(dim=_dim(4, 20, 16, 12, 1))),
        _case("seven dimensions, the last of 1", lambda _: nifti(dim=_dim(7, 20, 16, 12, 1, 1, 1, 1))),
        _case("oblique", lambda _: nifti(**oblique)),
        _case("sform and qform disagree", lambda _: nifti(quatern=(0.0, 0.0, 1.0, 9.0, 9.0, 9.0))),
        _case("no orientation", lambda _: nifti(qform_code=0, sform_code=0)),
        _case("negative spacing without orientation", lambda _: _negative()),
        _case("floats", lambda _: nifti(voxels(code="<f4").tobytes(), datatype=16, bitpix=32)),
        _case("doubles", lambda _: nifti(voxels(code="<f8").tobytes(), datatype=64, bitpix=64)),
        _case("unsigned bytes", lambda _: nifti(voxels(code="u1").tobytes(), datatype=2, bitpix=8)),
        _case("one voxel not a number", lambda _: _one_nan()),
        _case("slope 0 means none", lambda _: nifti(scl_slope=0.0)),
        _case("voxel offset 0", lambda _: nifti(vox_offset=0.0)),
        _case("an extension before the voxels", lambda _: _extended()),
        _case("padded to 512 bytes", lambda _: nifti() + b"\0" * 300),
        _case("lengths in micrometres", lambda _: _micrometres()),
        _case("every voxel 0", lambda _: nifti(b"\0" * 7680)),
    ]


def _negative() -> bytes:
    return nifti(qform_code=0, sform_code=0, pixdim=(1.0, -4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0))


def _one_nan() -> bytes:
    values = voxels(code="<f4").copy()
    values[3, 3, 3] = np.float32(_NAN)  # type: ignore[call-overload]
    return nifti(values.tobytes(), datatype=16, bitpix=32)


def _extended() -> bytes:
    plain = nifti(vox_offset=416.0)
    return plain[:348] + b"\1\0\0\0" + (64).to_bytes(4, "little") + b"\6\0\0\0" + b"x" * 56 + plain[352:]


def _micrometres() -> bytes:
    lengths = (1.0, 4e3, 5e3, 6e3, 0.0, 0.0, 0.0, 0.0)
    rows = {"srow_x": (4e3, 0.0, 0.0, 0.0), "srow_y": (0.0, 5e3, 0.0, 0.0), "srow_z": (0.0, 0.0, 6e3, 0.0)}
    return nifti(xyzt_units=3, pixdim=lengths, **rows)


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_cut(), *_dimensions(), *_geometry(), *_types(), *_good()]
