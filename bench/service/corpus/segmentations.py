"""DICOM segmentation objects: valid ones, and ones with wrong frames, segments and voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, SegmentationStorage

from bench.service.corpus.case import PATIENT, Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.series import base, saved, slices
from bench.service.corpus.volumes import NAMES, labels

Change = Callable[[Dataset], object]

_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED, "INCOMPLETE_SERIES")


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "labels.dcm") -> Case:
    return Case(kind="DICOM segmentation", name=name, make=make, codes=codes, filename=filename, labels=True)


def _written(change: Change = lambda _: None, *, fractional: bool = False) -> bytes:
    """A segmentation of four segments, a frame per segment and slice in which it occurs."""
    values = labels()
    data = base(4, 0, ExplicitVRLittleEndian, SegmentationStorage)
    data.Modality, data.SegmentationType = "SEG", "FRACTIONAL" if fractional else "BINARY"
    data.Rows, data.Columns = values.shape[1:]
    data.SegmentSequence = Sequence([_segment(number, name) for number, name in enumerate(NAMES, 1)])
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["5", "4"], "6"
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = [(z, number) for number in range(1, 5) for z in range(12) if (values[z] == number).any()]
    data.NumberOfFrames = len(frames)
    data.PerFrameFunctionalGroupsSequence = Sequence([_frame(z, number) for z, number in frames])
    pixels = np.stack([values[z] == number for z, number in frames]).astype(np.uint8)
    bits = 8 if fractional else 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits, bits - 1, 0
    if fractional:
        data.MaximumFractionalValue = 255
    data.PixelData = (pixels * 255).tobytes() if fractional else pack_bits(pixels.reshape(-1))
    data["PixelData"].VR = "OB"
    change(data)
    return saved(data)


def _segment(number: int, name: str) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, name, "MANUAL"
    return item


def _frame(z: int, number: int) -> Dataset:
    frame, position, identified = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [0, 0, 6.0 * z]
    identified.ReferencedSegmentNumber = number
    frame.PlanePositionSequence = Sequence([position])
    frame.SegmentIdentificationSequence = Sequence([identified])
    return frame


def _set(**attributes: object) -> Change:
    def change(data: Dataset) -> None:
        for name, value in attributes.items():
            setattr(data, name, value)

    return change


def _measures(**attributes: object) -> Change:
    return lambda data: _set(**attributes)(data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0])


def _plane(values: list[float]) -> Change:
    return lambda data: _set(ImageOrientationPatient=values)(
        data.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    )


def _position(values: list[float]) -> Change:
    """Of one frame."""
    return lambda data: _set(ImagePositionPatient=values)(
        data.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    )


def _number(number: int) -> Change:
    """The segment of one frame."""
    return lambda data: _set(ReferencedSegmentNumber=number)(
        data.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0]
    )


def _overlapping(data: Dataset) -> None:
    data.PixelData = b"\xff" * len(data.PixelData)


def _delete(name: str) -> Change:
    return lambda data: delattr(data, name)


def _compressed(data: Dataset) -> None:
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9\xfe\xff\xdd\xe0\0\0\0\0"
    data["PixelData"].is_undefined_length = True


def _wrong() -> list[Case]:
    nan = float("nan")
    changes: dict[str, tuple[Change, tuple[str, ...]]] = {
        "a million frames declared": (_set(NumberOfFrames=1_000_000), _EITHER),
        "one frame declared": (_set(NumberOfFrames=1), _EITHER),
        "no frames declared": (_set(NumberOfFrames=0), _EITHER),
        "60,000 rows declared": (_set(Rows=60_000, Columns=60_000), _EITHER),
        "no rows": (_set(Rows=0), _EITHER),
        "no voxels": (_delete("PixelData"), _EITHER),
        "voxels cut": (lambda data: _set(PixelData=data.PixelData[:-30])(data), _EITHER),
        "no positions": (_delete("PerFrameFunctionalGroupsSequence"), _EITHER),
        "no orientation and spacing": (_delete("SharedFunctionalGroupsSequence"), _EITHER),
        "fewer positions than frames": (lambda data: data.PerFrameFunctionalGroupsSequence.pop(), _EITHER),
        "spacing of 0": (_measures(PixelSpacing=["0", "4"]), _EITHER),
        "spacing negative": (_measures(PixelSpacing=["-5", "4"]), _EITHER),
        "spacing of one number": (_measures(PixelSpacing=["5"]), _EITHER),
        "orientation of zeros": (_plane([0, 0, 0, 0, 0, 0]), _EITHER),
        "orientation singular": (_plane([1, 0, 0, 1, 0, 0]), _EITHER),
        "orientation not a number": (_plane([nan, 0, 0, 0, 1, 0]), _EITHER),
        "a frame between two slices": (_position([0, 0, 15.5]), _EITHER),
        "a frame beside the others": (_position([40, 0, 18.0]), _EITHER),
        "a frame a kilometre away": (_position([0, 0, 1e6]), _EITHER),
        "a frame at no number": (_position([0, 0, nan]), _EITHER),
        "a frame twice": (_position([0, 0, 12.0]), _EITHER),
        "eight bits said to be one": (_set(BitsAllocated=8, BitsStored=8, HighBit=7), _EITHER),
        "a compressed one": (_compressed, _EITHER),
    }  # fmt: skip
    return [_case(title, lambda _, c=change: _written(c), codes) for title, (change, codes) in changes.items()]


def _odd() -> list[Case]:
    """Unusual, but readable."""
    changes: dict[str, Change] = {
        "overlapping segments": _overlapping,
        "a frame of a segment that is not declared": _number(77),
        "no segments declared, an image of labels": _as_image,
        "a segment named as a patient": lambda data: _set(SegmentLabel=PATIENT)(data.SegmentSequence[0]),
        "a maximum of 0 for fractions": _set(SegmentationType="FRACTIONAL", MaximumFractionalValue=0),
        "no names of segments": lambda data: [delattr(item, "SegmentLabel") for item in data.SegmentSequence],
    }
    return [
        _case("binary", lambda _: _written()),
        _case("fractions", lambda _: _written(fractional=True)),
        *(_case(title, lambda _, c=change: _written(c)) for title, change in changes.items()),
    ]


def _as_image(data: Dataset) -> None:
    values = labels()
    del data.SegmentSequence
    data.NumberOfFrames = len(values)
    data.PerFrameFunctionalGroupsSequence = Sequence([_frame(z, 1) for z in range(len(values))])
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = values.tobytes()


def _patient_as_spacing() -> bytes:
    number = "5." + "0" * (len(PATIENT) - 2)
    return _written(_measures(PixelSpacing=[number, "4"])).replace(number.encode(), PATIENT.encode())


def _files() -> list[Case]:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    return [
        _case("a patient in place of the spacing", lambda _: _patient_as_spacing(), _EITHER),
        _case("cut", lambda _: _written()[:-150], _EITHER),
        _case("cut in its header", lambda _: _written()[:700], _EITHER),
        _case("two segmentations", lambda _: zipped({"a.dcm": _written(), "b.dcm": _written(_set(
            SOPInstanceUID="1.2.3"))}), _UNSUPPORTED, "labels.zip"),
        _case("beside its series", lambda _: zipped({"seg.dcm": _written(), **slices()}), filename="labels.zip"),
        _case("a series of MR images", lambda _: zipped(slices()), _UNSUPPORTED, "labels.zip"),
        _case("a CT that says it is one", lambda _: _written(_set(SOPClassUID=UID(ct), Modality="CT")),
              (*_EITHER, "NO_IMAGE_SERIES")),
    ]  # fmt: skip


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_odd(), *_wrong(), *_files()]
