"""NRRD files: headers that reference other files, wrong headers, and valid files."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.service.corpus.case import Case, Make, Place
from bench.service.corpus.packing import zipped
from bench.service.corpus.volumes import nrrd, nrrd_packed, packed, voxels

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED)


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.nrrd") -> Case:
    return Case(kind="nrrd", name=name, make=make, codes=codes, filename=filename)


def _followed() -> list[Case]:
    """Headers that reference another file: the canary has the declared size, so that a reader could read it."""

    def absolute(place: Place) -> bytes:
        return nrrd(f"data file: {place.canary}", data=b"")

    def relative(place: Place) -> bytes:
        return nrrd(f"data file: ../../../{place.canary.name}", data=b"")

    def pattern(place: Place) -> bytes:
        return nrrd(f"data file: {place.canary.parent}/slice%02d.raw 1 12 1 2", data=b"")

    def listed(place: Place) -> bytes:
        names = "\n".join(f"{place.canary.parent}/slice{k:02d}.raw" for k in range(1, 13))
        return nrrd(f"data file: LIST 2\n{names}", data=b"")

    def spelled(field: str) -> Make:
        return lambda place: nrrd(f"{field}: {place.canary}", data=b"")

    def archived(place: Place) -> bytes:
        return zipped({"scan.nhdr": absolute(place)})

    cases = [
        _case("data file, absolute", absolute, _UNSUPPORTED),
        _case("data file, relative", relative, _UNSUPPORTED),
        _case("data file, pattern", pattern, _UNSUPPORTED),
        _case("data file, list", listed, _UNSUPPORTED),
        _case("data file with byte skip", lambda p: nrrd("byte skip: 8", f"data file: {p.canary}", data=b""), _EITHER),
        _case("data file with line skip", lambda p: nrrd("line skip: 1", f"data file: {p.canary}", data=b""), _EITHER),
        _case("data file, byte skip -1", lambda p: nrrd("byte skip: -1", f"data file: {p.canary}", data=b""), _EITHER),
        _case("data file in an archive", archived, _UNSUPPORTED, "scan.zip"),
        _case(
            "data file in an archive with its data",
            lambda _: zipped({"a.nhdr": nrrd("data file: a.raw", data=b""), "a.raw": voxels().tobytes()}),
            _UNSUPPORTED,
            "scan.zip",
        ),
        _case("data file with voxels attached too", lambda p: nrrd(f"data file: {p.canary}"), _UNSUPPORTED),
        _case("data file, file:// address", lambda p: nrrd(f"data file: file://{p.canary}", data=b""), _UNSUPPORTED),
        _case(
            "data file, http address", lambda p: nrrd(f"data file: http://127.0.0.1:{p.port}/a", data=b""), _UNSUPPORTED
        ),
        _case(
            "data file, network share", lambda p: nrrd(f"data file: \\\\127.0.0.1@{p.port}\\a", data=b""), _UNSUPPORTED
        ),
        _case("data file, standard input", lambda _: nrrd("data file: -", data=b""), _UNSUPPORTED),
        _case("data file, device", lambda _: nrrd("data file: /dev/zero", data=b""), _UNSUPPORTED),
        _case(
            "data file, lines of Windows", lambda p: nrrd(f"data file: {p.canary}", data=b"", ending="\r\n"), _EITHER
        ),
        _case("data file behind a comment", lambda p: nrrd("# a", f"data file: {p.canary}", data=b""), _UNSUPPORTED),
        _case("data file without the blank line", lambda p: absolute(p)[:-1], _EITHER),
        _case("header behind a byte order mark", lambda p: b"\xef\xbb\xbf" + absolute(p), _EITHER),
        _case("compressed and detached", lambda p: nrrd("encoding: gzip", f"data file: {p.canary}", data=b""), _EITHER),
    ]
    spellings = ("datafile", "Data File", "DATA FILE", "DataFile", " data file", "data  file", "data file ")
    return [
        *cases,
        *(_case(f"data file spelled '{field}'", spelled(field), _EITHER) for field in spellings),
        _case("data file without a space", lambda p: nrrd(f"data file:{p.canary}", data=b""), _EITHER),
    ]


def _lies() -> list[Case]:
    plain = nrrd()
    replaced: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "no type": ("type", "", _DAMAGED),
        "type block": ("type", "type: block", _EITHER),
        "type unknown": ("type", "type: quaternion", _EITHER),
        "no sizes": ("sizes", "", _DAMAGED),
        "sizes negative": ("sizes", "sizes: 20 -16 12", _DAMAGED),
        "sizes of 0": ("sizes", "sizes: 20 0 12", _DAMAGED),
        "sizes no numbers": ("sizes", "sizes: a b c", _DAMAGED),
        "sizes that overflow": ("sizes", "sizes: 99999999999 99999999999 99999999999", _EITHER),
        "sizes of 5,000 digits": ("sizes", "sizes: " + "9" * 5000 + " 16 12", _EITHER),
        "sizes of four numbers": ("sizes", "sizes: 20 16 12 1", _EITHER),
        "two dimensions": ("dimension", "dimension: 2", _EITHER),
        "dimension no number": ("dimension", "dimension: three", _DAMAGED),
        "no encoding": ("encoding", "", _DAMAGED),
        "encoding as text": ("encoding", "encoding: ascii", _UNSUPPORTED),
        "encoding hex": ("encoding", "encoding: hex", _UNSUPPORTED),
        "encoding says gzip, data are raw": ("encoding", "encoding: gzip", _DAMAGED),
        "endian unknown": ("endian", "endian: middle", _DAMAGED),
        "space unknown": ("space", "space: scanner-xyz", _UNSUPPORTED),
        "directions singular": ("space directions", "space directions: (4,0,0) (4,0,0) (0,0,6)", _EITHER),
        "directions of zeros": ("space directions", "space directions: (0,0,0) (0,5,0) (0,0,6)", _EITHER),
        "directions not a number": ("space directions", "space directions: (nan,0,0) (0,5,0) (0,0,6)", _EITHER),
        "directions two": ("space directions", "space directions: (4,0,0) (0,5,0)", _EITHER),
        "directions no vectors": ("space directions", "space directions: 4 5 6", _EITHER),
        "origin no numbers": ("space origin", "space origin: (a,b,c)", _EITHER),
        "origin missing its numbers": ("space origin", "space origin: ()", _EITHER),
        "spacing of a metre": ("space directions", "space directions: (999,0,0) (0,5,0) (0,0,6)", _UNSUPPORTED),
    }
    cases = [
        _case(title, lambda _, f=field, text=line: nrrd(text, without=(f,)) if text else nrrd(without=(f,)), codes)
        for title, (field, line, codes) in replaced.items()
    ]
    return [
        *cases,
        _case("one byte short", lambda _: plain[:-1], _DAMAGED),
        _case("header alone", lambda _: nrrd(data=b""), _DAMAGED),
        _case("header cut", lambda _: plain[:60], _DAMAGED),
        _case("magic alone", lambda _: b"NRRD0004\n", _DAMAGED),
        _case("5 MB too long", lambda _: plain + b"\0" * (5 << 20), _DAMAGED),
        _case("gzip cut", lambda _: nrrd_packed()[:-100], _DAMAGED),
        _case("bzip2 cut", lambda _: nrrd_packed("bzip2")[:-100], _DAMAGED),
        _case("header of 3 MB", lambda _: nrrd("# " + "x" * (3 << 20)), _DAMAGED),
        _case("200,000 header lines", lambda _: nrrd(*(f"k{n}:=v" for n in range(200_000))), _DAMAGED),
        _case("byte skip", lambda _: nrrd("byte skip: 4"), _EITHER),
        _case("colour", lambda _: _colour(), _UNSUPPORTED),
        _case("bomb of bzip2", lambda _: _bzip2_bomb(), _DAMAGED),
        _case("NRRD in gzip as a whole", lambda _: packed(plain), _EITHER),
    ]


def _colour() -> bytes:
    fields = ("type", "dimension", "sizes", "space directions")
    return nrrd(
        "type: uchar",
        "dimension: 4",
        "sizes: 3 20 16 12",
        "space directions: none (4,0,0) (0,5,0) (0,0,6)",
        "kinds: RGB-color domain domain domain",
        without=fields,
        data=b"\0" * 11520,
    )


def _bzip2_bomb() -> bytes:
    import bz2

    lines = ("encoding: bzip2", "sizes: 640 640 640", "space directions: (0.3,0,0) (0,0.3,0) (0,0,0.3)")
    data = bz2.compress(b"\0" * (20 << 20))
    return nrrd(*lines, without=("encoding", "sizes", "space directions"), data=data)


def _good() -> list[Case]:
    big = voxels(code=">i2").tobytes()
    echoes = ("dimension", "sizes", "space directions")
    return [
        _case("raw", lambda _: nrrd()),
        _case("gzip", lambda _: nrrd_packed()),
        _case("gz", lambda _: nrrd_packed("gz")),
        _case("bzip2", lambda _: nrrd_packed("bzip2")),
        _case("big endian", lambda _: nrrd("endian: big", without=("endian",), data=big)),
        _case("lines of Windows", lambda _: nrrd(ending="\r\n")),
        _case("RAS", lambda _: nrrd("space: right-anterior-superior", without=("space",))),
        _case("floats", lambda _: nrrd("type: float", without=("type",), data=voxels(code="<f4").tobytes())),
        _case("key/value pair called data file", lambda p: nrrd(f"data file:={p.canary}")),
        _case("comment that names a data file", lambda p: nrrd(f"# data file: {p.canary}")),
        _case("value that names a data file", lambda p: nrrd(f"note:=see data file: {p.canary}")),
        _case("content that names a data file", lambda p: nrrd(f"content: data file: {p.canary}")),
        _case("in an archive", lambda _: zipped({"scan.nrrd": nrrd()}), filename="scan.zip"),
        _case("NRRD named .nii", lambda _: nrrd(), filename="scan.nii"),
        _case(
            "spacings alone", lambda _: nrrd("spacings: 4 5 6", without=("space", "space directions", "space origin"))
        ),
        _case(
            "two echoes on the slowest axis",
            lambda _: nrrd(
                "dimension: 4",
                "sizes: 20 16 12 2",
                "space directions: (4,0,0) (0,5,0) (0,0,6) none",
                without=echoes,
                data=np.concatenate([voxels().reshape(-1)] * 2).tobytes(),
            ),
        ),
        _case(
            "two echoes on the fastest axis",
            lambda _: nrrd(
                "dimension: 4",
                "sizes: 2 20 16 12",
                "space directions: none (4,0,0) (0,5,0) (0,0,6)",
                without=echoes,
                data=np.repeat(voxels().reshape(-1), 2).tobytes(),
            ),
        ),
    ]


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_followed(), *_lies(), *_good()]
