"""Invalid forms and unusual file names."""

from __future__ import annotations

from typing import Final

from bench.service.corpus.case import BOUNDARY, ESCAPED, Case, form_of
from bench.service.corpus.packing import zipped
from bench.service.corpus.series import slices
from bench.service.corpus.volumes import nifti, packed

_TYPE: Final = f"multipart/form-data; boundary={BOUNDARY}"
_INVALID: Final = ("INVALID_UPLOAD",)


def _form(name: str, kind: str, body: bytes, codes: tuple[str, ...] = _INVALID, status: int = 0) -> Case:
    return Case(kind="form", name=name, body=(kind, body), codes=codes, status=status)


def _named(name: str, filename: str, codes: tuple[str, ...] = ()) -> Case:
    return Case(kind="form", name=name, make=lambda _: nifti(), filename=filename, codes=codes)


def _part(head: str, content: bytes = b"") -> bytes:
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def _bodies() -> list[Case]:
    file = _part('Content-Disposition: form-data; name="file"; filename="a.nii"', nifti())
    end = f"--{BOUNDARY}--\r\n".encode()
    side = _part('Content-Disposition: form-data; name="side"', b"left")
    whole = form_of("a.nii", nifti(), {})[1]
    unnamed = _part('Content-Disposition: form-data; name="file"; filename=""', nifti())
    other = _part('Content-Disposition: form-data; name="scan"; filename="a.nii"', nifti())
    return [
        _form("no file", _TYPE, side + end, (), 422),
        _form("empty body", _TYPE, b"", _INVALID),
        _form("end alone", _TYPE, end, (), 422),
        _form("two files", _TYPE, file + file + end),
        _form("file without a name, known by its content", _TYPE, unnamed + end, (), 201),
        _form(
            "file as a text field",
            _TYPE,
            _part('Content-Disposition: form-data; name="file"', b"x" * 500) + end,
            (),
            422,
        ),
        _form("file under another name", _TYPE, other + end, (), 422),
        _form("no boundary", "multipart/form-data", whole, (), 422),
        _form("other boundary", "multipart/form-data; boundary=another", whole),
        _form("JSON", "application/json", b'{"file": "a"}', (), 422),
        _form("url-encoded", "application/x-www-form-urlencoded", b"file=abc", (), 422),
        _form("no content type", "", whole, (), 422),
        _form("cut off", _TYPE, whole[: len(whole) // 2]),
        _form("without its end", _TYPE, whole[:-50]),
        _form("no disposition", _TYPE, _part("Content-Type: text/plain", b"x") + end, (), 422),
        _form(
            "30 fields",
            _TYPE,
            b"".join(_part(f'Content-Disposition: form-data; name="f{k}"', b"x") for k in range(30)) + file + end,
        ),
        _form(
            "a field of 1 MB",
            _TYPE,
            _part('Content-Disposition: form-data; name="email"', b"a" * (1 << 20)) + file + end,
        ),
        _form(
            "a part's header of 1 MB", _TYPE, _part("X-Long: " + "a" * (1 << 20), b"x") + file + end, (*_INVALID, ""), 0
        ),
        Case(
            kind="form",
            name="option outside its vocabulary",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"side": "both"},
            status=422,
        ),
        Case(
            kind="form",
            name="option not a number",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"cartilage_smoothing": "nan"},
            status=422,
        ),
        Case(
            kind="form",
            name="series that is no number",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"series": "../5"},
            status=422,
        ),
        Case(
            kind="form",
            name="series of 1,000 digits",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"series": "5" * 1000},
            status=422,
        ),
        Case(
            kind="form",
            name="e-mail that is none",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"email": "a b"},
            status=422,
        ),
        Case(
            kind="form",
            name="unknown fields are passed over",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"x": "1"},
        ),
        Case(
            kind="form",
            name="empty fields count as absent",
            make=lambda _: nifti(),
            filename="a.nii",
            fields={"side": ""},
        ),
    ]


def _names() -> list[Case]:
    return [
        Case(kind="form", name="empty file", make=lambda _: b"", filename="a.nii", codes=_INVALID),
        Case(kind="form", name="empty zip file", make=lambda _: b"", filename="a.zip", codes=_INVALID),
        Case(kind="form", name="one byte", make=lambda _: b"\0", filename="a.nii", codes=("UNREADABLE_IMAGE",)),
        _named("extension .txt", "scan.txt", _INVALID),
        _named("extension .exe", "scan.exe", _INVALID),
        _named("extension .gz", "scan.gz", _INVALID),
        _named("extension .nhdr", "scan.nhdr", _INVALID),
        _named("extension .vtk", "scan.vtk", _INVALID),
        _named("no extension", "scan"),
        _named("extension hidden by a second one", "scan.nii.exe", _INVALID),
        _named("dots alone", ".."),
        _named("extension and NUL", "scan.exe\0.nii"),
        _named("extension alone", ".nii"),
        _named("two extensions", "scan.tar.nii"),
        _named("extension in capitals", "SCAN.NII"),
        _named("extension in capitals, two of them", "Scan.Nii.GZ"),
        _named("path", f"../../{ESCAPED}.nii"),
        _named("absolute path", f"/tmp/{ESCAPED}.nii"),  # noqa: S108  an attacker's path
        _named("path of Windows", f"C:\\Users\\Jane Doe\\{ESCAPED}.nii"),
        _named("path in percent code", f"..%2f..%2f{ESCAPED}.nii"),
        _named("NUL", "a\0b.nii"),
        _named("tab and bell", "a\tb\a.nii"),
        _named("accents", "Knie \u00fc\u00e9.nii"),
        _named("Chinese and emoji", "\u819d\u5173\u8282\U0001f9b5.nii"),
        _named("right-to-left override", "scan\u202eiin.exe.nii"),
        _named("not UTF-8", "a\udcff\udcfeb.nii"),
        _named("1,000 characters", "a" * 1000 + ".nii"),
        _named("300 characters of four bytes", "\U0001f9b5" * 300 + ".nii"),
        _named("quotes", "a'b`c$(id).nii"),
        _named("markup", "<script>alert(1)<script>.nii"),
        _named("spaces around", "  scan.nii  "),
        _named("reserved name of Windows", "CON.nii"),
        _named("semicolons", "a;b=c;.nii"),
        Case(kind="form", name="zip in capitals", make=lambda _: zipped(slices()), filename="KNEE.ZIP"),
        Case(
            kind="form",
            name="options go with it",
            make=lambda _: packed(nifti()),
            filename="a.nii.gz",
            fields={"side": "left", "email": "a@b.org"},
        ),
    ]


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_bodies(), *_names()]
