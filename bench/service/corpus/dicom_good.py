"""Unusual but valid DICOM, as scanners, archives and file managers export it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pydicom
import SimpleITK
from pydicom.uid import UID

from bench.service.corpus.case import Case, Make
from bench.service.corpus.packing import zipped
from bench.service.corpus.series import Files, enhanced, every, localizer, multiframe, report, saved, set_to, slices


def _case(name: str, make: Make, codes: tuple[str, ...] = (), filename: str = "scan.zip") -> Case:
    return Case(kind="dicom", name=name, make=make, codes=codes, filename=filename)


def _bare(data: bytes) -> bytes:
    """The data set without preamble and file meta information."""
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def _jpeg() -> Files:
    """Compressed by GDCM."""
    files: Files = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in slices().items():
            source, target = Path(folder) / "a.dcm", Path(folder) / "b.dcm"
            source.write_bytes(data)
            image = SimpleITK.ReadImage(str(source))
            writer = SimpleITK.ImageFileWriter()
            writer.SetImageIO("GDCMImageIO")
            writer.SetFileName(str(target))
            writer.UseCompressionOn()
            writer.SetCompressor("JPEG")
            writer.Execute(SimpleITK.Cast(image, SimpleITK.sitkInt16))
            whole, coded = pydicom.dcmread(source), pydicom.dcmread(target)
            whole.file_meta.TransferSyntaxUID = coded.file_meta.TransferSyntaxUID
            whole.PixelData = coded.PixelData
            whole["PixelData"].VR = "OB"
            whole["PixelData"].is_undefined_length = True
            files[name] = saved(whole)
    return files


def cases() -> list[Case]:
    """All cases of this module."""
    implicit, big, rle = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
    scan = slices()
    folder = {f"DICOM/S\u00e9rie \u819d/{name}": data for name, data in scan.items()}
    litter = {".DS_Store": b"\0\0\0\1Bud1", "Thumbs.db": b"\xd0\xcf\x11\xe0" + b"\0" * 100, "desktop.ini": b"[x]"}
    forks = {f"__MACOSX/._{name}": b"\0\5\x16\7fork" for name in scan}
    mixed = {**dict(list(scan.items())[:6]), **dict(list(slices(syntax=UID(rle)).items())[6:])}
    return [
        _case("explicit little endian", lambda _: zipped(scan)),
        _case("implicit little endian", lambda _: zipped(slices(syntax=UID(implicit)))),
        _case("explicit big endian", lambda _: zipped(slices(syntax=UID(big)))),
        _case("RLE", lambda _: zipped(slices(syntax=UID(rle)))),
        _case("JPEG lossless", lambda _: zipped(_jpeg())),
        _case("transfer syntaxes mixed", lambda _: zipped(mixed)),
        _case("extension in capitals", lambda _: zipped(slices(name="IM{:04d}.DCM"))),
        _case("no extension", lambda _: zipped(slices(name="IM{:04d}"))),
        _case("extension .IMA", lambda _: zipped(slices(name="KNEE.MR.{:04d}.IMA"))),
        _case("names that are UIDs", lambda _: zipped(slices(name="1.2.840.113619.{:04d}"))),
        _case(
            "a DICOMDIR beside it",
            lambda _: zipped({"DICOMDIR": b"\0" * 128 + b"DICM", **slices(name="IMAGES/IM{:04d}")}),
        ),
        _case("folders with accents and Chinese", lambda _: zipped(folder)),
        _case("litter of Mac and Windows", lambda _: zipped(scan | litter | forks)),
        _case("a localizer beside it", lambda _: zipped(scan | localizer())),
        _case("a large localizer beside it", lambda _: zipped(scan | localizer(15))),
        _case("a report beside it", lambda _: zipped(scan | {"SR0001.dcm": report()})),
        _case(
            "a text and a picture beside it", lambda _: zipped(scan | {"a.txt": b"a", "b.jpg": b"\xff\xd8\xff\xe0" * 9})
        ),
        _case(
            "CT beside it",
            lambda _: zipped(scan | slices(series=8, name="CT{:04d}", change=lambda d, *_: set_to(Modality="CT")(d))),
        ),
        _case("no preamble", lambda _: zipped({name: data[132:] for name, data in scan.items()})),
        _case("no file meta information", lambda _: zipped({name: _bare(data) for name, data in scan.items()})),
        _case("a file is there twice", lambda _: zipped(scan | {"copy.dcm": next(iter(scan.values()))})),
        _case("files in reverse", lambda _: zipped(dict(reversed(scan.items())))),
        _case("numbered from 0", lambda _: zipped(slices(change=lambda d, _, z: set_to(InstanceNumber=z)(d)))),
        _case("all numbered 1", every(set_to(InstanceNumber=1))),
        _case("numbers from 25", lambda _: zipped(slices(change=lambda d, _, z: set_to(InstanceNumber=z + 25)(d)))),
        _case("a count of images that is too large", every(set_to(ImagesInAcquisition="24"))),
        _case(
            "rescaled slice by slice",
            lambda _: zipped(slices(change=lambda d, _, z: set_to(RescaleSlope=str(1 + z), RescaleIntercept="-5")(d))),
        ),
        _case("two echoes", lambda _: zipped(slices(echoes=2))),
        _case("the second echo as a separate series", every(set_to(EchoNumbers=2, ImagesInAcquisition="24"))),
        _case(
            "positions with one decimal",
            lambda _: zipped(
                slices(change=lambda d, _, z: set_to(ImagePositionPatient=[round(3.12 * z, 1), -45, 40])(d))
            ),
        ),
        _case("enhanced multi-frame", lambda _: enhanced(), filename="scan.dcm"),
        _case("old multi-frame", lambda _: multiframe(), filename="scan.dcm"),
        _case("multi-frame named .DCM", lambda _: multiframe(), filename="SCAN.DCM"),
        _case("multi-frame named .nii", lambda _: multiframe(), filename="scan.nii"),
        _case("zip named .dcm", lambda _: zipped(scan), filename="scan.dcm"),
        _case(
            "DICOM whose preamble is a zip's beginning",
            lambda _: b"PK\3\4" + multiframe()[4:],
            ("UNREADABLE_IMAGE",),
            "scan.dcm",
        ),
        _case("DICOM with a zip behind it", lambda _: multiframe() + zipped({"a.nii": b"x"}), filename="scan.dcm"),
        _case("DICOM whose preamble is a TIFF's beginning", lambda _: b"II*\0" + multiframe()[4:], filename="scan.dcm"),
        _case(
            "DICOM whose preamble is a program's beginning",
            lambda _: b"MZ\x90\0" + multiframe()[4:],
            filename="scan.dcm",
        ),
    ]
