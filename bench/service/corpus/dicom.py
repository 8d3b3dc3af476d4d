"""DICOM series with faults that other readers repair silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from bench.service.corpus import dicom_good
from bench.service.corpus.case import Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.series import (
    Files,
    enhanced,
    every,
    localizer,
    multiframe,
    report,
    set_to,
    slices,
    uid,
)

_INCOMPLETE: Final = ("INCOMPLETE_SERIES",)
_DAMAGED: Final = ("UNREADABLE_IMAGE",)
_UNSUPPORTED: Final = ("UNSUPPORTED_IMAGE",)
_AMBIGUOUS: Final = ("AMBIGUOUS_SERIES",)
_EITHER: Final = (*_DAMAGED, *_UNSUPPORTED, *_INCOMPLETE, "NO_IMAGE_SERIES")


def _case(
    name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.zip", fields: dict[str, str] | None = None
) -> Case:
    return Case(kind="dicom", name=name, make=make, codes=codes, filename=filename, fields=fields or {})


def _without(*missing: int, echo: int | None = None, echoes: int = 1, count: int = 12, **all_of_them: object) -> Make:
    """A series without these slices (of one echo, or of all)."""

    def change(data: Dataset, e: int, z: int) -> bool:
        for name, value in all_of_them.items():
            setattr(data, name, value)
        return not (z in missing and echo in (None, e))

    return lambda _: zipped(slices(count, echoes=echoes, change=change))


def _slice(change: Callable[[Dataset], Any], *, z: int = 5) -> Make:
    """A series with one changed slice."""
    return lambda _: zipped(slices(change=lambda data, _, k: change(data) if k == z else None))


def _drop(*names: str) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        for name in names:
            delattr(data, name)

    return change


def _gaps() -> list[Case]:
    def halved(data: Dataset, _: int, z: int) -> bool:
        data.SpacingBetweenSlices = "3"
        return z % 2 == 0

    def ends(data: Dataset, _: int, z: int) -> bool:
        data.ImagesInAcquisition = "16"
        return z >= 4

    def uneven(data: Dataset, _: int, z: int) -> None:
        data.ImagePositionPatient = [3.0 * z + 0.05 * z * z, -45, 40]

    def doubled(_: object) -> bytes:
        again = {f"again/{name}": data for name, data in slices(change=_renamed).items()}
        return zipped(slices() | again)

    return [
        _case("a slice missing", _without(5), _INCOMPLETE),
        _case("two neighbours missing", _without(5, 6), _INCOMPLETE),
        _case("6 of 24 slices missing", _without(3, 7, 8, 13, 17, 20, count=24), _INCOMPLETE),
        _case("a slice missing in one echo", _without(5, echo=1, echoes=2), _INCOMPLETE),
        _case("last slice missing in one echo", _without(11, echo=1, echoes=3), _INCOMPLETE),
        _case("a slice missing in all echoes", _without(5, echoes=2), _INCOMPLETE),
        _case("every second slice missing", lambda _: zipped(slices(24, change=halved)), _INCOMPLETE),
        _case("first slices missing", lambda _: zipped(slices(16, change=ends)), _INCOMPLETE),
        _case("last slices missing", _without(12, 13, 14, 15, count=16, ImagesInAcquisition="16"), ()),
        _case("third of four echoes missing", _echo_missing(2), _INCOMPLETE),
        _case("gaps that grow", lambda _: zipped(slices(change=uneven)), _INCOMPLETE),
        _case("every slice twice", doubled, _INCOMPLETE),
        _case("one position twice", _slice(set_to(ImagePositionPatient=[12.0, -45, 40])), _INCOMPLETE),
        _case("a slice shifted sideways", _slice(set_to(ImagePositionPatient=[15.0, -40, 40])), _INCOMPLETE),
        _case("a slice with another spacing", _slice(set_to(PixelSpacing=["5.2", "5.2"])), _INCOMPLETE),
        _case(
            "a slice tilted", _slice(set_to(ImageOrientationPatient=[0, 0.999, 0.0447, 0, 0.0447, -0.999])), _INCOMPLETE
        ),
        _case("a slice without position", _slice(_drop("ImagePositionPatient")), _INCOMPLETE),
        _case("a slice with another matrix", _slice(set_to(Rows=8, PixelData=b"\0" * 288)), _INCOMPLETE),
        _case("echoes at other positions", _echoes_apart(), _INCOMPLETE),
        _case("nine slices", lambda _: zipped(slices(9)), _UNSUPPORTED),
        _case("one slice", lambda _: next(iter(slices(1).values())), _UNSUPPORTED, "slice.dcm"),
        _case(
            "part 1 of 2 of a split object",
            lambda _: enhanced(change=set_to(InConcatenationNumber=1, InConcatenationTotalNumber=2)),
            _INCOMPLETE,
            "scan.dcm",
        ),
    ]


def _renamed(data: Dataset, _: int, z: int) -> None:
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid(77, z)


def _echo_missing(gone: int) -> Make:
    return lambda _: zipped(slices(echoes=4, change=lambda _, e, __: e != gone))


def _echoes_apart() -> Make:
    def change(data: Dataset, e: int, z: int) -> None:
        data.ImagePositionPatient = [3.0 * z + 1.5 * e, -45, 40]

    return lambda _: zipped(slices(echoes=2, change=change))


def _damaged() -> list[Case]:
    def cut(keep: float) -> Make:
        def make(_: object) -> bytes:
            files = slices()
            name = sorted(files)[4]
            files[name] = files[name][: int(keep * len(files[name]))]
            return zipped(files)

        return make

    def bad_syntax(syntax: str, data: bytes) -> Callable[[Dataset], None]:
        def change(image: Dataset) -> None:
            image.file_meta.TransferSyntaxUID = UID(syntax)
            image.PixelData = encapsulate([data])
            image["PixelData"].VR = "OB"
            image["PixelData"].is_undefined_length = True

        return change

    mpeg = "1.2.840.10008.1.2.4.102"
    jpeg = "1.2.840.10008.1.2.4.70"
    return [
        _case("a slice cut in its voxels", cut(0.95), _DAMAGED),
        _case("a slice cut in its header", cut(0.4), _EITHER),
        _case("a slice of 100 bytes", cut(0.06), _EITHER),
        _case("no voxels", every(_drop("PixelData")), _DAMAGED),
        _case("enhanced file cut", lambda _: enhanced()[:-400], _DAMAGED, "scan.dcm"),
        _case(
            "enhanced with more frames than it describes",
            lambda _: enhanced(change=set_to(NumberOfFrames=20)),
            _EITHER,
            "scan.dcm",
        ),
        _case("frames promised: 2,000,000,000", lambda _: _frames("2000000000"), _EITHER, "scan.dcm"),
        _case("frames promised: -5", lambda _: _frames("-5"), _EITHER, "scan.dcm"),
        _case("matrix of 65,535 x 65,535", every(set_to(Rows=65535, Columns=65535)), _EITHER),
        _case("matrix of 0 x 0", every(set_to(Rows=0, Columns=0)), _EITHER),
        _case("orientation of zeros", every(set_to(ImageOrientationPatient=[0, 0, 0, 0, 0, 0])), _EITHER),
        _case("orientation of five numbers", every(set_to(ImageOrientationPatient=[0, 1, 0, 0, 0])), _EITHER),
        _case("axes not at right angles", every(set_to(ImageOrientationPatient=[0, 1, 0, 0, 0.6, -0.8])), _EITHER),
        _case("spacing 0", every(set_to(PixelSpacing=["0", "5"])), _EITHER),
        _case("spacing negative", every(set_to(PixelSpacing=["-5", "5"])), _EITHER),
        _case("slope not a number", every(_raw_text("RescaleSlope", "nan")), _DAMAGED),
        _case("position no numbers", every(_raw_text("ImagePositionPatient", "a\\b\\c")), _EITHER),
        _case("JPEG that is none", every(bad_syntax(jpeg, b"\xff\xd8" + b"\0" * 300)), _DAMAGED),
        _case(
            "JPEG 2000 that is none", every(bad_syntax(JPEG2000Lossless, b"\xff\x4f\xff\x51" + b"\1" * 300)), _DAMAGED
        ),
        _case("RLE that is none", every(bad_syntax("1.2.840.10008.1.2.5", b"\xff" * 300)), _DAMAGED),
        _case("a film (MPEG-4)", every(bad_syntax(mpeg, b"\0\0\0\x18ftyp")), _UNSUPPORTED),
        _case("unknown transfer syntax", _unknown_syntax, _UNSUPPORTED),
        _case("deflated as a whole", every(_deflated), _UNSUPPORTED),
        _case("sequences 3,000 deep", lambda _: _deep(3_000), _EITHER, "scan.dcm"),
        _case("an element of 4 GB", lambda _: _long_element(), _EITHER, "scan.dcm"),
        _case("preamble alone", lambda _: b"\0" * 128 + b"DICM", _EITHER, "scan.dcm"),
        _case(
            "preamble and random bytes",
            lambda _: b"\0" * 128 + b"DICM" + np.random.default_rng(1).bytes(5000),
            _EITHER,
            "scan.dcm",
        ),
        _case("random bytes named .dcm", lambda _: np.random.default_rng(2).bytes(5000), _DAMAGED, "scan.dcm"),
    ]


def _raw_text(name: str, value: str) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        tag = Tag(tag_for_keyword(name) or 0)
        text = value.encode().ljust(len(value) + len(value) % 2)
        data._dict[tag] = RawDataElement(tag, "DS", len(text), text, 0, False, True)

    return change


def _deflated(data: Dataset) -> None:
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def _frames(count: str) -> bytes:
    return multiframe().replace(
        b"(\0\x08\0IS\x02\x0012", b"(\0\x08\0IS" + len(count).to_bytes(2, "little") + count.encode()
    )


def _unknown_syntax(_: object) -> bytes:
    known, unknown = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"
    return zipped({name: data.replace(known, unknown) for name, data in slices().items()})


def _deep(levels: int) -> bytes:
    start = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    shared = b"\0\x52\x29\x92SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    return b"\0" * 128 + b"DICM" + _meta() + shared + start * levels


def _long_element() -> bytes:
    return (
        b"\0" * 128
        + b"DICM"
        + _meta()
        + b"\x08\0\x3e\x10LT"
        + b"\xff\xff"
        + b"\x08\0\x08\0UT\0\0\xfe\xff\xff\xff"
        + b"x" * 500
    )


def _meta() -> bytes:
    syntax = b"1.2.840.10008.1.2.1\0"
    body = b"\2\0\x10\0UI" + len(syntax).to_bytes(2, "little") + syntax
    return b"\2\0\0\0UL\4\0" + len(body).to_bytes(4, "little") + body


def _kinds() -> list[Case]:
    many = {f"s{k}/{name}": data for k in range(1, 13) for name, data in slices(10, series=k).items()}
    two = {**slices(series=5, name="a{:04d}"), **slices(series=6, name="b{:04d}")}
    same = {
        **slices(series=5, name="a{:04d}"),
        **slices(series=6, name="b{:04d}", change=lambda d, *_: set_to(SeriesNumber="5")(d)),
    }
    return [
        _case("CT", every(set_to(Modality="CT")), _UNSUPPORTED),
        _case("ultrasound", every(set_to(Modality="US")), _UNSUPPORTED),
        _case("no modality, an MR image by its class", every(_drop("Modality"))),
        _case("colour", every(set_to(SamplesPerPixel=3, PhotometricInterpretation="RGB")), _UNSUPPORTED),
        _case("screenshots", every(_drop("ImagePositionPatient", "ImageOrientationPatient")), _UNSUPPORTED),
        _case("a report alone", lambda _: report(), ("NO_IMAGE_SERIES",), "report.dcm"),
        _case("a localizer alone", lambda _: zipped(localizer()), _EITHER),
        _case("twenty echoes", lambda _: zipped(slices(10, echoes=20)), _UNSUPPORTED),
        _case("multi-frame without distance", lambda _: multiframe(gap=None), _UNSUPPORTED, "scan.dcm"),
        _case("two series", lambda _: zipped(two), _AMBIGUOUS),
        _case("twelve series", lambda _: zipped(many), _AMBIGUOUS),
        _case("two series of one number", lambda _: zipped(same), _AMBIGUOUS),
        _case("two series, the first chosen", lambda _: zipped(two), fields={"series": "5"}),
        _case("two series, the second chosen", lambda _: zipped(two), fields={"series": "6"}),
        _case("two series, another chosen", lambda _: zipped(two), ("NO_IMAGE_SERIES",), fields={"series": "9"}),
        _case("two series of one number, number chosen", lambda _: zipped(same), _AMBIGUOUS, fields={"series": "5"}),
        _case("two series of one number, letter chosen", lambda _: zipped(same), fields={"series": "5b"}),
        _case("one series, it is chosen", lambda _: zipped(slices()), fields={"series": "5"}),
        _case(
            "a chosen series that has a gap",
            lambda _: zipped({**two, **_gapped()}),
            _INCOMPLETE,
            fields={"series": "7"},
        ),
        _case(
            "a sound series beside one with a gap", lambda _: zipped({**slices(), **_gapped()}), fields={"series": "5"}
        ),
    ]


def _gapped() -> Files:
    return slices(14, series=7, name="c{:04d}", change=lambda _, __, z: z != 6)


def cases() -> list[Case]:
    """All cases of this module."""
    return [*_gaps(), *_damaged(), *_kinds(), *dicom_good.cases()]
