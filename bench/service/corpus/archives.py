"""Malicious, inconsistent and damaged archives, and unusual harmless ones."""

from __future__ import annotations

import stat
import zipfile
from typing import Final

from bench.service.corpus import series, volumes
from bench.service.corpus.case import ESCAPED, Case, Make
from bench.service.corpus.packing import CENTRAL, END, entry, overlapping, patched, quoted, streamed, zipped

_LOCAL: Final = b"PK\3\4"
_UNSAFE: Final = ("UNSAFE_ARCHIVE",)
_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_EITHER: Final = ("UNSAFE_ARCHIVE", "UNREADABLE_IMAGE")


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.zip") -> Case:
    return Case(kind="archive", name=name, make=make, codes=codes, filename=filename)


def _knee() -> bytes:
    return volumes.nifti()


def _one(name: str, content: bytes | None = None, *, mode: int = 0o100644) -> bytes:
    """A valid image and one more entry."""
    return zipped([("scan.nii", _knee()), (entry(name, mode), b"x" if content is None else content)])


def _named_raw(wanted: bytes) -> bytes:
    """An entry with a name that zipfile would not write."""
    data = zipped([("scan.nii", _knee()), ("?" * len(wanted), b"x")])
    return data.replace(b"?" * len(wanted), wanted)


def _last_replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    at = data.rindex(old)
    return data[:at] + new + data[at + len(old) :]


def _escapes() -> list[Case]:
    up = "../" * 8
    names = {
        "parent folder": f"../{ESCAPED}",
        "far up": f"{up}tmp/{ESCAPED}",
        "parent inside a path": f"a/b/../../../{ESCAPED}",
        "absolute": f"/tmp/{ESCAPED}",  # noqa: S108  an attacker's path
        "absolute with two slashes": f"//tmp/{ESCAPED}",
        "backslashes": f"..\\..\\{ESCAPED}",
        "absolute backslash": f"\\tmp\\{ESCAPED}",
        "mixed slashes": f"a\\../..\\../{ESCAPED}",
        "drive letter": f"C:\\{ESCAPED}",
        "drive letter without slash": f"c:{ESCAPED}",
        "network share": f"\\\\127.0.0.1\\c\\{ESCAPED}",
    }
    cases = [_case(f"name leads out: {title}", lambda _, n=name: _one(n), _UNSAFE) for title, name in names.items()]
    folder = f"../{ESCAPED}/"
    cases.append(_case("name leads out: folder entry", lambda _: _one(folder, b"", mode=0o40755), _UNSAFE))
    cases.append(_case("name leads out: behind NUL", lambda _: _named_raw(b"a.nii\0/../" + ESCAPED.encode()), _UNSAFE))
    cases.append(
        _case(
            "name leads out: in the directory alone",
            lambda _: _last_replaced(_one("aa/aaaa"), b"aa/aaaa", b"../aaaa"),
            _UNSAFE,
        )
    )
    return cases


def _links() -> list[Case]:
    kinds = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "character device": stat.S_IFCHR, "socket": stat.S_IFSOCK}
    cases = [
        _case(f"entry is a {title}", lambda _, k=kind: _one("a", b"/etc/passwd", mode=k | 0o777), _UNSAFE)
        for title, kind in kinds.items()
    ]
    target = lambda place: zipped([(entry("scan.nii", stat.S_IFLNK | 0o777), str(place.canary).encode())])  # noqa: E731
    cases.append(_case("the image itself is a link to a file of the server", target, _UNSAFE))
    return cases


def _bombs() -> list[Case]:
    zeros = b"\0" * (600 << 20)
    return [
        _case("600 MB of zeros", lambda _: zipped({"scan.nii": zeros}), _UNSAFE),
        _case("5 GB in many entries", lambda _: overlapping(b"\0" * (5 << 20), 1000), _UNSAFE),
        _case("entries share their data", lambda _: overlapping(_knee(), 20), _UNSAFE),
        _case("entries quoted in one another", lambda _: quoted(b"\0" * (1 << 20), 200), _UNSAFE),
        _case(
            "size in the directory is too small",
            lambda _: patched(zipped({"scan.nii": b"\0" * (40 << 20)}), CENTRAL, 24, "L", 100),
            _EITHER,
        ),
        _case(
            "size in the directory is 4 GB",
            lambda _: patched(zipped({"scan.nii": _knee()}), CENTRAL, 24, "L", 0xFFFFFFF0),
            _UNSAFE,
        ),
        _case("20,001 entries", lambda _: zipped((f"{k}", b"") for k in range(20_001)), _UNSAFE),
        _case(
            "entry count that lies",
            lambda _: patched(zipped({"scan.nii": _knee()}), END, 10, "H", 30_000),
            _EITHER,
        ),
        _case("directory of 200 MB", lambda _: patched(zipped({"a": b"x"}), END, 12, "L", 200 << 20), _EITHER),
        _case("gzip bomb inside", lambda _: zipped({"scan.nii.gz": _gzip_bomb()}), _DAMAGED),
        _case("4 GB promised by zip64", lambda _: _zip64(5 << 30), _EITHER),
        _case("zip64 field cut off", lambda _: _zip64(None), _EITHER),
    ]


def _gzip_bomb() -> bytes:
    return volumes.packed(volumes.nifti(b"\0" * (64 << 20), dim=(3, 20, 16, 12, 1, 1, 1, 1)))


def _zip64(size: int | None) -> bytes:
    info = entry("scan.nii")
    field = b"\1\0\x08\0" + (b"\0" * 3 if size is None else size.to_bytes(8, "little"))
    info.extra = field
    return patched(zipped([(info, _knee())]), CENTRAL, 24, "L", 0xFFFFFFFF)


def _broken() -> list[Case]:
    good = zipped({"scan.nii": _knee()})
    return [
        _case("password", lambda _: _encrypted(both=True), _UNSAFE),
        _case("password in the local header alone", lambda _: _encrypted(both=False), _UNSAFE),
        _case("cut in the middle", lambda _: good[: len(good) // 2], _DAMAGED),
        _case("cut in the directory", lambda _: good[:-30], _DAMAGED),
        _case("beginning alone", lambda _: good[:4], _DAMAGED),
        _case("zeros behind the first bytes", lambda _: _LOCAL + b"\0" * 500, _DAMAGED),
        _case("checksum wrong", lambda _: patched(good, CENTRAL, 16, "L", 1), _DAMAGED),
        _case("data damaged", lambda _: _flipped(good, 2000), _DAMAGED),
        _case("local header at another place", lambda _: patched(good, CENTRAL, 42, "L", 7), _DAMAGED),
        _case("local header behind the end", lambda _: patched(good, CENTRAL, 42, "L", 1 << 30), _DAMAGED),
        _case("names of entry and directory differ", lambda _: good.replace(b"scan.nii", b"xcan.nii", 1), _DAMAGED),
        _case("methods of entry and directory differ", lambda _: patched(good, _LOCAL, 8, "H", 0), _DAMAGED),
        _case("unknown compression", lambda _: patched(good, CENTRAL, 10, "H", 99), _DAMAGED),
        _case("lzma", lambda _: zipped({"scan.nii": _knee()}, method=zipfile.ZIP_LZMA), _DAMAGED),
        _case("first of two disks", lambda _: patched(good, END, 4, "H", 1), _DAMAGED),
        _case("directory before the file", lambda _: patched(good, END, 16, "L", 0xFFFFFF0), _DAMAGED),
        _case("empty archive", lambda _: zipped({}), ("NO_IMAGE_SERIES",)),
        _case("folders alone", lambda _: zipped([(entry("a/", 0o40755), b"")]), ("NO_IMAGE_SERIES",)),
        _case("litter alone", lambda _: zipped({"__MACOSX/._a": b"x", ".DS_Store": b"x"}), ("NO_IMAGE_SERIES",)),
        _case("text alone", lambda _: zipped({"a.txt": b"hello", "b.csv": b"1,2"}), ("NO_IMAGE_SERIES",)),
        _case("zip in a zip", lambda _: zipped({"a.zip": good}), _UNSAFE),
        _case("zip in a zip in a zip", lambda _: zipped({"b.zip": zipped({"a.zip": good})}), _UNSAFE),
        _case("two archives in an archive", lambda _: zipped({"a.zip": good, "b.zip": good}), _UNSAFE),
        _case("image that is cut off", lambda _: zipped({"scan.nii": _knee()[:3000]}), _DAMAGED),
        _case("two images", lambda _: zipped({"a.nii": _knee(), "b.nii": _knee()}), ("AMBIGUOUS_SERIES",)),
        _case(
            "image and series",
            lambda _: zipped({"a.nii": _knee(), **series.slices()}),
            ("AMBIGUOUS_SERIES",),
        ),
        _case("rar named zip", lambda _: b"Rar!\x1a\7\0" + b"\0" * 500, _DAMAGED),
        _case("7z named zip", lambda _: b"7z\xbc\xaf\x27\x1c" + b"\0" * 500, _DAMAGED),
        _case("tar.gz named zip", lambda _: volumes.packed(b"scan.nii".ljust(1536, b"\0")), _DAMAGED),
    ]


def _encrypted(*, both: bool) -> bytes:
    data = patched(zipped({"scan.nii": _knee()}), _LOCAL, 6, "H", 1)
    return patched(data, CENTRAL, 8, "H", 1) if both else data


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def _harmless() -> list[Case]:
    good = zipped({"scan.nii": _knee()})
    return [
        _case("stored, not compressed", lambda _: zipped({"scan.nii": _knee()}, method=zipfile.ZIP_STORED)),
        _case("written as a stream", lambda _: streamed({"scan.nii": _knee()})),
        _case("comment behind the directory", lambda _: zipped({"scan.nii": _knee()}, comment=b"knee" * 200)),
        _case("few bytes behind the end", lambda _: good + b"\0" * 100),
        _case("same name twice, one of them empty text", lambda _: _twice()),
        _case("a name of 1,000 characters", lambda _: zipped({"a" * 1000 + ".nii": _knee()})),
        _case("names in Unicode that look like slashes", lambda _: zipped({"a\u2215..\uff0fscan.nii": _knee()})),
        _case("names with line breaks and controls", lambda _: zipped({"a\r\nb\x1b[2J.nii": _knee()})),
        _case("name that a shell would run", lambda _: zipped({"$(touch x);`id`.nii": _knee()})),
        _case("names in another code page", lambda _: _named_knee("Kniegelenk_\u00e4\u00f6.nii".encode("cp437"))),
        _case("a java program beside the image", lambda _: zipped({"viewer.jar": good, "scan.nii": _knee()})),
        _case("text beside the image", lambda _: zipped({"readme.txt": b"hello", "scan.nii": _knee()})),
        _case("reserved names of Windows", lambda _: zipped({"CON/NUL.nii": _knee()})),
        _case("folders 60 deep", lambda _: zipped({"d/" * 60 + "scan.nii": _knee()})),
        _case("5,000 small files beside the image", lambda _: zipped(_many(5_000))),
    ]


def _named_knee(name: bytes) -> bytes:
    return zipped([("?" * len(name), _knee())]).replace(b"?" * len(name), name)


def _twice() -> bytes:
    data = zipped([("scan.nii", _knee()), ("scam.nii", b"")])
    return data.replace(b"scam.nii", b"scan.nii")


def _many(count: int) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    return [*((f"notes/{k}.txt", b"note") for k in range(count)), ("scan.nii", _knee())]


def cases() -> list[Case]:
    """All of them."""
    return [*_escapes(), *_links(), *_bombs(), *_broken(), *_harmless()]
