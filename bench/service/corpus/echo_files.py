"""Echoes in a file each, their sidecars, and single DICOM files as scanners name them."""

from __future__ import annotations

import json
from typing import Final

from bench.service.corpus.case import PATIENT, Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.series import enhanced, slices
from bench.service.corpus.volumes import meta_image, nifti

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_AMBIGUOUS: Final = ("AMBIGUOUS_SERIES",)


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.zip") -> Case:
    return Case(kind="echo files", name=name, make=make, codes=codes, filename=filename)


def _named(*names: str) -> Make:
    return lambda _: zipped(dict.fromkeys(names, nifti()))


def _sidecars() -> list[Case]:
    """A sidecar that cannot be used is passed over: the image is read without echo times."""
    contents = {
        "cut": '{"EchoTime": 0.0',
        "empty": "",
        "a list": "[1, 2]",
        "a text": '{"EchoTime": "ten"}',
        "nested 100,000 times": '{"EchoTime": ' + "[" * 100_000,
        "a nested list": '{"EchoTime": [[0.01]]}',
        "null": '{"EchoTime": null}',
        "negative": '{"EchoTime": -0.01}',
        "not a number": '{"EchoTime": NaN}',
        "infinite": '{"EchoTime": 1e999}',
        "a number of 5,000 digits": '{"EchoTime": ' + "9" * 5000 + "}",
        "100,000 times": json.dumps({"EchoTime": [0.01] * 100_000}),
        "2 MB": json.dumps({"PatientName": PATIENT, "x": "y" * (2 << 20), "EchoTime": 0.01}),
        "with a patient": json.dumps({"PatientName": PATIENT, "EchoTime": [PATIENT]}),
    }
    made = [
        _case(f"sidecar: {title}", lambda _, text=content: zipped({"a.nii": nifti(), "a.json": text.encode()}))
        for title, content in contents.items()
    ]
    return [
        *made,
        _case("sidecar: bytes that are no text", lambda _: zipped({"a.nii": nifti(), "a.json": b"\xff\xfe\0{" * 50})),
        _case("sidecar alone", lambda _: zipped({"a.json": b'{"EchoTime": 0.01}'}), _DAMAGED),
    ]


def _names() -> list[Case]:
    many = [f"a_e{k}.nii" for k in range(1, 21)]
    wide = nifti(pixdim=(1.0, 5.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0), srow_x=(5.0, 0.0, 0.0, -40.0))
    return [
        _case("two echoes", _named("a_e1.nii", "a_e2.nii")),
        _case("BIDS names", _named("sub-1_echo-1_MESE.nii", "sub-1_echo-2_MESE.nii")),
        _case("the first echo is missing", _named("a_e2.nii", "a_e3.nii")),
        _case("one number twice", _named("a_e1.nii", "a_e01.nii"), _AMBIGUOUS),
        _case("two scans", _named("left_e1.nii", "right_e2.nii"), _AMBIGUOUS),
        _case("a third file is no echo", _named("a_e1.nii", "a_e2.nii", "b.nii"), _AMBIGUOUS),
        _case("20 echoes", _named(*many), _UNSUPPORTED),
        _case("echoes on two grids", lambda _: zipped({"a_e1.nii": nifti(), "a_e2.nii": wide}), _UNSUPPORTED),
        _case("the second echo is cut", lambda _: zipped({"a_e1.nii": nifti(), "a_e2.nii": nifti()[:-9]}), _DAMAGED),
        _case("echoes in two formats", lambda _: zipped({"a_e1.nii": nifti(), "a_e2.mha": meta_image()}), _AMBIGUOUS),
        _case("an echo number of 300 digits", _named("a_e1.nii", f"a_e{'1' * 200}.nii"), _AMBIGUOUS),
        _case("names that a pattern could take long for", _named(f"{'_e' * 100}1.nii", f"{'_e' * 100}2.nii")),
    ]


def _single_dicom() -> list[Case]:
    one = next(iter(slices(1).values()))
    few = ("UNSUPPORTED_IMAGE", "INCOMPLETE_SERIES", "NO_IMAGE_SERIES")
    return [
        _case("one .ima of a series", lambda _: one, few, "scan.ima"),
        _case("a multi-frame .ima", lambda _: enhanced(), filename="scan.IMA"),
        _case("a multi-frame file without extension", lambda _: enhanced(), filename="IM0001"),
        _case("an .ima that is cut", lambda _: enhanced()[:-500], _DAMAGED, "scan.ima"),
        _case("an .ima without voxels", lambda _: enhanced(change=_no_voxels), (*_DAMAGED, *few), "scan.ima"),
        _case("an .ima that is NIfTI", lambda _: nifti(), filename="scan.ima"),
        _case("text without extension", lambda _: b"Doe^Jane 4711-0815" * 50, _DAMAGED, "IM0001"),
        _case("a picture named .ima", lambda _: b"\xff\xd8\xff\xe0" + b"\0" * 999, _DAMAGED, "scan.ima"),
    ]


def _no_voxels(data) -> None:
    del data.PixelData


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_sidecars(), *_names(), *_single_dicom()]
