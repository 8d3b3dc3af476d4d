"""MetaImage files: headers that reference other files, wrong headers, and valid files."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from bench.service.corpus.case import PATIENT, Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.volumes import meta_image, voxels

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED)

_RAW: Final = voxels().tobytes()


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.mha") -> Case:
    return Case(kind="MetaImage", name=name, make=make, codes=codes, filename=filename)


def _pair(file: str, data: bytes = _RAW, raw: str = "scan.raw", *lines: str) -> bytes:
    """A zip with a header and its voxels."""
    return zipped({"scan.mhd": meta_image(*lines, file=file), raw: data})


def _followed() -> list[Case]:
    """Headers that reference another file: the canary has the declared size, so that a reader could read it."""
    names = {
        "absolute": "{path}",
        "relative": "../{name}",
        "far up": "../../../../../../{path}",
        "file:// address": "file://{path}",
        "http address": "http://127.0.0.1:{port}/a.raw",
        "network share": "\\\\127.0.0.1@{port}\\a.raw",
        "device": "/dev/zero",
        "process": "/proc/self/environ",
        "standard input": "-",
        "list": "LIST\n{path}",
        "pattern": "{folder}/slice%02d.raw 1 12 1",
        "backslashes": "..\\{name}",
        "drive letter": "C:\\scan.raw",
        "NUL": "{path}\0.raw",
        "empty": "",
        "lower case": "local",
    }
    cases = []
    for title, name in names.items():

        def make(place, name=name):
            file = name.format(path=place.canary, name=place.canary.name, folder=place.canary.parent, port=place.port)
            return meta_image(file=file, data=b"")

        cases.append(_case(f"voxels in another file, {title}", make, _UNSUPPORTED))
    return [
        *cases,
        _case("header alone", lambda _: meta_image(file="scan.raw"), _UNSUPPORTED, "scan.mhd"),
        _case("voxels in the parent folder of a zip", lambda _: _nested("a/scan.mhd", "scan.raw", "../scan.raw"),
              _UNSUPPORTED, "scan.zip"),
        _case("voxels in a folder below", lambda _: _nested("scan.mhd", "a/scan.raw", "a/scan.raw"), _UNSUPPORTED,
              "scan.zip"),
        _case("voxels are the header itself", lambda _: meta_image(file="scan.mhd"), _EITHER, "scan.mhd"),
        _case("voxels are another image", lambda _: zipped({"a.mhd": meta_image(file="b.mha"), "b.mha": meta_image()}),
              ("AMBIGUOUS_SERIES",), "scan.zip"),
    ]  # fmt: skip


def _nested(header: str, raw: str, file: str) -> bytes:
    return zipped({header: meta_image(file=file), raw: _RAW})


def _lies() -> list[Case]:
    replaced: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "sizes negative": ("DimSize", "20 -16 12", _DAMAGED),
        "sizes of 0": ("DimSize", "20 0 12", _DAMAGED),
        "sizes no numbers": ("DimSize", "a b c", _DAMAGED),
        "sizes not whole": ("DimSize", "20.5 16 12", _DAMAGED),
        "sizes that overflow": ("DimSize", "99999999999 99999999999 99999999999", _EITHER),
        "sizes of 5,000 digits": ("DimSize", "9" * 5000 + " 16 12", _DAMAGED),
        "two sizes": ("DimSize", "20 16", _DAMAGED),
        "more voxels than the file has": ("DimSize", "200 160 120", _DAMAGED),
        "two dimensions": ("NDims", "2", _DAMAGED),
        "a billion dimensions": ("NDims", "1000000000", _DAMAGED),
        "dimensions no number": ("NDims", "three", _DAMAGED),
        "spacing negative": ("ElementSpacing", "-4 5 6", _EITHER),
        "spacing of 0": ("ElementSpacing", "0 5 6", _EITHER),
        "spacing not a number": ("ElementSpacing", "nan 5 6", _EITHER),
        "spacing infinite": ("ElementSpacing", "inf 5 6", _EITHER),
        "spacing with a decimal comma": ("ElementSpacing", "0,5 0,5 3,0", _DAMAGED),
        "spacing in metres": ("ElementSpacing", "0.004 0.005 0.006", _UNSUPPORTED),
        "two spacings": ("ElementSpacing", "4 5", _DAMAGED),
        "matrix singular": ("TransformMatrix", "1 0 0 1 0 0 0 0 1", _EITHER),
        "matrix of zeros": ("TransformMatrix", "0 0 0 0 0 0 0 0 0", _EITHER),
        "matrix sheared": ("TransformMatrix", "1 0 0 0.5 1 0 0 0 1", _EITHER),
        "matrix not a number": ("TransformMatrix", "nan 0 0 0 1 0 0 0 1", _EITHER),
        "offset not a number": ("Offset", "nan 0 0", _EITHER),
        "offset of one number": ("Offset", "1", _DAMAGED),
        "type unknown": ("ElementType", "MET_STRING", _UNSUPPORTED),
        "type an array": ("ElementType", "MET_SHORT_ARRAY", _UNSUPPORTED),
        "voxels as text": ("BinaryData", "False", _UNSUPPORTED),
        "compressed, but plain": ("CompressedData", "True", _DAMAGED),
    }  # fmt: skip
    missing = dict.fromkeys(("NDims", "DimSize", "ElementSpacing", "ElementType"), _DAMAGED)
    added: dict[str, tuple[str, tuple[str, ...]]] = {
        "no channels": ("ElementNumberOfChannels = 0", _DAMAGED),
        "channels no number": ("ElementNumberOfChannels = many", _DAMAGED),
        "a billion channels": ("ElementNumberOfChannels = 1000000000", _EITHER),
        "header inside the voxels, negative": ("HeaderSize = -5", _DAMAGED),
        "header inside the voxels, larger than the file": ("HeaderSize = 999999999999", _DAMAGED),
        "header inside the voxels, no number": ("HeaderSize = x", _DAMAGED),
        "header of 3 MB": ("Comment = " + "x" * (3 << 20), _DAMAGED),
        "20,000 header lines": ("\n".join(f"Key{n} = value" for n in range(20_000)), _DAMAGED),
    }
    plain = meta_image()
    return [
        *(
            _case(title, lambda _, f=field, v=value: meta_image(f"{f} = {v}", without=(f,)), codes)
            for title, (field, value, codes) in replaced.items()
        ),
        *(_case(f"no {field}", lambda _, f=field: meta_image(without=(f,)), codes) for field, codes in missing.items()),
        *(_case(title, lambda _, text=line: meta_image(text), codes) for title, (line, codes) in added.items()),
        _case("a patient in a wrong header", lambda _: meta_image(f"PatientName = {PATIENT}", f"Offset = {PATIENT}",
              without=("Offset",)), _DAMAGED),
        _case("one byte short", lambda _: plain[:-1], _DAMAGED),
        _case("5 MB too long", lambda _: plain + b"\0" * (5 << 20), _DAMAGED),
        _case("header cut", lambda _: plain[:60], _DAMAGED),
        _case("first line alone", lambda _: b"ObjectType = Image\n", _DAMAGED),
        _case("no lines", lambda _: b"NDims = 3 " + b"\0" * 100_000, _DAMAGED),
        _case("compressed and cut", lambda _: _compressed()[:-100], _DAMAGED),
        _case("compressed, one byte changed", lambda _: _changed(_compressed()), _DAMAGED),
        _case("bomb of zlib, small size declared", lambda _: _bomb("DimSize = 20 16 12"), _DAMAGED),
        _case("bomb of zlib, its size declared", lambda _: _bomb("DimSize = 640 640 640"), _EITHER),
        _case("colours", lambda _: meta_image("ElementNumberOfChannels = 3", "ElementType = MET_UCHAR",
              without=("ElementType",), data=b"\0" * 11520), _UNSUPPORTED),
        _case("voxels beside the header, cut", lambda _: _pair("scan.raw", _RAW[:-7]), _DAMAGED, "scan.zip"),
        _case("voxels beside the header, empty", lambda _: _pair("scan.raw", b""), _DAMAGED, "scan.zip"),
        _case("voxels beside the header, in other letters", lambda _: _pair("SCAN.RAW"), _UNSUPPORTED, "scan.zip"),
    ]  # fmt: skip


def _compressed(*lines: str) -> bytes:
    return meta_image("CompressedData = True", *lines, without=("CompressedData",), data=zlib.compress(_RAW))


def _changed(data: bytes) -> bytes:
    return data[:-40] + bytes([data[-40] ^ 0xFF]) + data[-39:]


def _bomb(size: str) -> bytes:
    data = zlib.compress(b"\0" * (64 << 20))
    return meta_image("CompressedData = True", size, without=("CompressedData", "DimSize"), data=data)


def _good() -> list[Case]:
    four = ("NDims", "DimSize", "ElementSpacing", "Offset", "TransformMatrix")
    echoes = ("NDims = 4", "DimSize = 20 16 12 2", "ElementSpacing = 4 5 6 1", "Offset = 0 0 0 0",
              "TransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")  # fmt: skip
    return [
        _case("raw", lambda _: meta_image()),
        _case("compressed", lambda _: _compressed()),
        _case("lines of Windows", lambda _: meta_image(ending="\r\n")),
        _case("named .nii", lambda _: meta_image(), filename="scan.nii"),
        _case("big endian", lambda _: meta_image("BinaryDataByteOrderMSB = True", without=("BinaryDataByteOrderMSB",),
              data=voxels(code=">i2").tobytes())),
        _case("two channels", lambda _: meta_image("ElementNumberOfChannels = 2",
              data=np.repeat(voxels().reshape(-1), 2).tobytes())),
        _case("two echoes", lambda _: meta_image(*echoes, without=four, data=_RAW * 2)),
        _case("voxels beside the header", lambda _: _pair("scan.raw"), filename="scan.zip"),
        _case("voxels beside the header, in a folder", lambda _: _nested("a/scan.mhd", "a/b.raw", "b.raw"),
              filename="scan.zip"),
        _case("voxels last in a file with a header", lambda _: _pair("scan.raw", b"head" * 9 + _RAW, "scan.raw",
              "HeaderSize = -1"), filename="scan.zip"),
        _case("a comment that names a file", lambda p: meta_image(f"Comment = ElementDataFile is {p.canary}")),
    ]  # fmt: skip


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_followed(), *_lies(), *_good()]
