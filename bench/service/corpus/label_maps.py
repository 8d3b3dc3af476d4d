"""Label maps: segmentations of 3D Slicer, plain label maps, and descriptions of their labels beside them."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from bench.service.corpus.case import PATIENT, Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.volumes import labels, meta_image, nifti, segmentation_nrrd, voxels

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED)

_SNAP: Final = '    1   255    0    0        1  1  1    "Femur"\n    2     0  255    0        1  1  1    "Tibia"\n'


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "labels.seg.nrrd") -> Case:
    return Case(kind="label map", name=name, make=make, codes=codes, filename=filename, labels=True)


def _map(values: np.ndarray | None = None) -> bytes:
    """A NIfTI label map of bytes."""
    return nifti((labels() if values is None else values).astype(np.uint8).tobytes(), datatype=2, bitpix=8)


def _layers(*places: tuple[int, int]) -> np.ndarray:
    """(layers, z, y, x): a block of 1 in every layer, from one column to another."""
    values = np.zeros((len(places), 12, 16, 20), dtype=np.uint8)
    for layer, (first, last) in zip(values, places, strict=True):
        layer[3:9, 4:12, first:last] = 1
    return values


def _slicer() -> list[Case]:
    tags = "TerminologyEntry:Segmentation category and type~SCT^91723000^Anatomical structure~SCT^71341001^Femur~^^"
    two = ("Segment1_LabelValue:=1", "Segment1_Layer:=1")
    names = ("Femur", "Tibia")
    return [
        _case("names", lambda _: segmentation_nrrd()),
        _case("two layers", lambda _: segmentation_nrrd(*two, names=names, layers=_layers((2, 8), (10, 18)))),
        _case("overlapping segments", lambda _: segmentation_nrrd(*two, names=names, layers=_layers((2, 12), (8, 18)))),
        _case("terminology alone", lambda _: segmentation_nrrd("Segment0_Name:=Segment_1", f"Segment0_Tags:={tags}")),
        _case("cropped", lambda _: segmentation_nrrd("Segmentation_ReferenceImageExtentOffset:=5 6 7")),
        _case("cropped by words", lambda _: segmentation_nrrd("Segmentation_ReferenceImageExtentOffset:=five 6")),
        _case("cropped, offset of 5,000 digits", lambda _: segmentation_nrrd(
            f"Segmentation_ReferenceImageExtentOffset:={'9' * 5000} 0 0")),
        _case("cropped, negative offset", lambda _: segmentation_nrrd(
            "Segmentation_ReferenceImageExtentOffset:=-50 -60 -70")),
        _case("a missing layer", lambda _: segmentation_nrrd("Segment1_Layer:=7"), _UNSUPPORTED),
        _case("a layer of 5,000 digits", lambda _: segmentation_nrrd(f"Segment1_Layer:={'9' * 5000}")),
        _case("a negative layer", lambda _: segmentation_nrrd("Segment1_Layer:=-1")),
        _case("a value that is no number", lambda _: segmentation_nrrd("Segment1_LabelValue:=two")),
        _case("a value of 5,000 digits", lambda _: segmentation_nrrd(f"Segment1_LabelValue:={'9' * 5000}")),
        _case("a value above all labels", lambda _: segmentation_nrrd("Segment1_LabelValue:=65535")),
        _case("a segment of 11 digits", lambda _: segmentation_nrrd("Segment99999999999_Name:=Femur")),
        _case("9,000 segments", lambda _: segmentation_nrrd(names=tuple(f"S{k}" for k in range(9000)))),
        _case("a name of 100 KB", lambda _: segmentation_nrrd(f"Segment0_Name:={'Femur ' * 17_000}")),
        _case("a name with a script", lambda _: segmentation_nrrd("Segment0_Name:=<script>alert(1)</script>")),
        _case("a name that is a patient", lambda _: segmentation_nrrd(f"Segment0_Name:={PATIENT}", data=b""), _DAMAGED),
        _case("terminology of 100,000 tildes", lambda _: segmentation_nrrd(
            "Segment0_Name:=x", f"Segment0_Tags:=TerminologyEntry:{'~' * 100_000}")),
        _case("terminology of 100,000 carets", lambda _: segmentation_nrrd(
            "Segment0_Name:=x", f"Segment0_Tags:=TerminologyEntry:a~b~{'^' * 100_000}")),
        _case("terminology in parts", lambda _: segmentation_nrrd("Segment0_Tags:=TerminologyEntry:~~~^^|x|:|")),
        _case("two segments of one name", lambda _: segmentation_nrrd("Segment1_Name:=Femur")),
        _case("cut", lambda _: segmentation_nrrd()[:-200], _DAMAGED),
        _case("voxels in another file", lambda p: _elsewhere(f"{p.canary}"), _UNSUPPORTED),
        _case("sizes that overflow", lambda _: segmentation_nrrd().replace(b"20 16 12", b"99999 99999 99999"), _EITHER),
        _case("200 layers", lambda _: segmentation_nrrd(layers=_layers(*[(2, 8)] * 200)), _UNSUPPORTED),
        _case("layers without segments", lambda _: segmentation_nrrd(names=(), layers=_layers((2, 8), (9, 18))),
              _UNSUPPORTED),
    ]  # fmt: skip


def _elsewhere(path: str) -> bytes:
    data = segmentation_nrrd(data=b"")
    at = data.rindex(b"\n")
    return data[:at] + f"data file: {path}\n\n".encode()


def _values() -> list[Case]:
    random = np.random.default_rng(1)
    probabilities = random.random((12, 16, 20)).astype("<f4")
    holes = np.where(labels() > 0, 1.0, np.nan).astype("<f4")

    def floats(values: np.ndarray) -> bytes:
        return nifti(values.astype("<f4").tobytes(), datatype=16, bitpix=32)

    scaled = nifti((labels().astype("<i2") * 1000).tobytes(), scl_slope=0.001)
    return [
        _case("bytes", lambda _: _map(), filename="labels.nii"),
        _case("MetaImage", lambda _: meta_image(data=labels().astype("<i2").tobytes()), filename="labels.mha"),
        _case("whole floats", lambda _: floats(labels().astype("<f4")), filename="labels.nii"),
        _case("scaled to nearly whole numbers", lambda _: scaled, filename="labels.nii"),
        _case("nothing but background", lambda _: _map(np.zeros((12, 16, 20))), filename="labels.nii"),
        _case("probabilities", lambda _: floats(probabilities), _UNSUPPORTED, "labels.nii"),
        _case("negative values", lambda _: nifti((voxels() - 500).astype("<i2").tobytes()), _UNSUPPORTED, "labels.nii"),
        _case("values of 1e30", lambda _: floats(labels() * 1e30), _UNSUPPORTED, "labels.nii"),
        _case("infinite values", lambda _: floats(np.where(labels() > 0, np.inf, 0)), _EITHER, "labels.nii"),
        _case("labels whose background is not a number", lambda _: floats(holes), filename="labels.nii"),
        _case("four dimensions", lambda _: nifti(np.stack([labels()] * 2).tobytes(), datatype=2, bitpix=8,
              dim=(4, 20, 16, 12, 2, 1, 1, 1)), _UNSUPPORTED, "labels.nii"),
    ]  # fmt: skip


def _descriptions() -> list[Case]:
    """A description that cannot be used is passed over: the labels are read without names."""
    snap = {
        "of ITK-SNAP": _SNAP,
        "of ITK-SNAP, lines of Windows": _SNAP.replace("\n", "\r\n"),
        "of ITK-SNAP, cut": _SNAP[:60],
        "of ITK-SNAP, no quotes": _SNAP.replace('"', ""),
        "of ITK-SNAP, a label of 5,000 digits": _SNAP.replace("1 ", "9" * 5000 + " ", 1),
        "of ITK-SNAP, negative label": _SNAP.replace("1 ", "-1 ", 1),
        "of ITK-SNAP, one label twice": _SNAP + _SNAP,
        "of ITK-SNAP, 30,000 lines": _SNAP * 15_000,
        "of ITK-SNAP, a line of 900 KB": "1 " + " " * 900_000 + '"x',
        "of ITK-SNAP, a name with a script": _SNAP.replace("Femur", "<img src=x onerror=alert(1)>"),
    }
    dataset = {
        "of nnU-Net": json.dumps({"labels": {"background": 0, "femur": 1, "tibia": 2}}),
        "of nnU-Net, first version": json.dumps({"labels": {"0": "background", "1": "femur"}}),
        "of nnU-Net, regions": json.dumps({"labels": {"whole": [1, 2], "femur": 1}}),
        "of nnU-Net, cut": '{"labels": {"femur": 1',
        "of nnU-Net, nested 100,000 times": '{"labels": ' + "{" * 100_000,
        "of nnU-Net, a list": json.dumps({"labels": ["femur", "tibia"]}),
        "of nnU-Net, truth values": json.dumps({"labels": {"femur": True, "tibia": None}}),
        "of nnU-Net, not a number": '{"labels": {"femur": NaN, "tibia": 1e999}}',
        "of nnU-Net, negative": json.dumps({"labels": {"femur": -1, "tibia": 99999999}}),
        "of nnU-Net, a number of 5,000 digits": '{"labels": {"femur": ' + "9" * 5000 + "}}",
        "of nnU-Net, a patient": json.dumps({"labels": {PATIENT: 1}}),
        "of nnU-Net, text alone": '"labels"',
    }
    pairs = [*((title, "labels.txt", text) for title, text in snap.items()),
             *((title, "dataset.json", text) for title, text in dataset.items())]  # fmt: skip
    made = [
        _case(f"description {title}", lambda _, n=name, t=text: _beside(n, t.encode()), filename="labels.zip")
        for title, name, text in pairs
    ]
    return [
        *made,
        _case("description of no text", lambda _: _beside("labels.txt", bytes(range(256)) * 99), filename="labels.zip"),
        _case("description of 2 MB", lambda _: _beside("dataset.json", b" " * (2 << 20)), filename="labels.zip"),
    ]


def _beside(name: str, content: bytes) -> bytes:
    return zipped({"labels.nii": _map(), name: content})


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_slicer(), *_values(), *_descriptions()]
