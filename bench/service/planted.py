"""Uploads in which every potentially identifying value is a unique marker string."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

MARK: Final = "ZQPLANT"
"""Prefix of every planted text; the next two letters distinguish them."""

UID_ROOT: Final = "2.25.7771119"
BIRTH: Final = "18760413"
FILE_NAME: Final = "ZQPLANTFN_Maria"
"""File name of the upload: stored in the job record and used as the name of the download."""

EMAIL: Final = "zqplantem@example.org"
"""Stored in the job record until the job ends."""

_SHORT: Final = ("PatientID", "AccessionNumber", "StudyID", "StationName", "OperatorsName", "PatientName")
_TEXTS: Final = (
    *_SHORT,
    *("OtherPatientIDs", "PatientAddress", "PatientComments", "ReferringPhysicianName", "InstitutionName"),
    *("InstitutionAddress", "InstitutionalDepartmentName", "StudyDescription", "SeriesDescription", "ProtocolName"),
    *("DeviceSerialNumber", "ImageComments", "AcquisitionComments", "RequestedProcedureDescription"),
    *("PerformedProcedureStepDescription", "AdditionalPatientHistory", "Occupation", "PatientMotherBirthName"),
    *("ManufacturerModelName", "SoftwareVersions", "SequenceName", "ContrastBolusAgent", "BodyPartExamined"),
)
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_DATES: Final = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")


def mark(number: int) -> str:
    """A deterministic text of nine letters for a number."""
    return MARK + chr(65 + number // 26) + chr(65 + number % 26)


def _texts_of(data: Dataset, number: int) -> None:
    """All patient information that a header can contain, including private groups and overlays."""
    for place, name in enumerate(_TEXTS):
        setattr(data, name, mark(place))
    for place, name in enumerate(_UIDS):
        setattr(data, name, f"{UID_ROOT}{place}")
    for name in _DATES:
        setattr(data, name, BIRTH)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}8.{number + 1}"
    private = data.private_block(0x0011, mark(30), create=True)
    private.add_new(1, "LT", mark(31))
    private.add_new(2, "OB", mark(32).encode() + b"\0")
    data.add_new(0x60000010, "US", 4)
    data.add_new(0x60000011, "US", 4)
    data.add_new(0x60000022, "LO", mark(33))
    data.add_new(0x60004000, "LT", mark(34))
    data.add_new(0x60003000, "OW", mark(35).encode() + b"\0")
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = mark(36), mark(37)
    data.OtherPatientIDsSequence = Sequence([other])


def _base(image: SimpleITK.Image, sop_class: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    columns, rows, _ = image.GetSize()
    data.Modality, data.SeriesNumber, data.ImageType = "MR", "5", ["ORIGINAL", "PRIMARY", "M"]
    data.Rows, data.Columns, data.SamplesPerPixel = rows, columns, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    return data


def _saved(data: Dataset) -> bytes:
    stream = io.BytesIO()
    data.preamble = f"Exif\0\0{mark(40)}".encode().ljust(128, b"\0")
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue() + b"\0" * 4


def _plane(image: SimpleITK.Image) -> list[str]:
    return [f"{value:.10f}" for value in np.array(image.GetDirection()).reshape(3, 3)[:, :2].T.reshape(-1)]


def _position(image: SimpleITK.Image, z: int) -> list[str]:
    return [f"{value:.8f}" for value in image.TransformIndexToPhysicalPoint((0, 0, z))]


def dicom_slices(image: SimpleITK.Image, *, series: int = 5, modality: str = "MR") -> dict[str, bytes]:
    """File names (in planted folders) and bytes of a series with one file per slice."""
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.Cast(image, SimpleITK.sitkInt16))
    files = {}
    for z, picture in enumerate(voxels):
        data = _base(image, MRImageStorage)
        data.Modality, data.InstanceNumber, data.EchoTime = modality, z + 1, "10"
        data.ScanningSequence, data.RepetitionTime, data.FlipAngle = "SE", "2500", "90"
        data.PixelSpacing = [f"{image.GetSpacing()[1]:.8f}", f"{image.GetSpacing()[0]:.8f}"]
        data.ImageOrientationPatient, data.ImagePositionPatient = _plane(image), _position(image, z)
        data.PixelData = picture.astype("<i2").tobytes()
        data["PixelData"].VR = "OW"
        _texts_of(data, 1000 * series + z)
        data.SeriesInstanceUID, data.SeriesNumber = f"{UID_ROOT}1{series}", str(series)
        files[f"{mark(41)}/{mark(42)}/{mark(43)}.{series}.{z:04d}.dcm"] = _saved(data)
    return files


def dicom_zip(*series: dict[str, bytes]) -> bytes:
    """A zip of the files, with planted folder names and comment."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.comment = mark(44).encode()
        for files in series:
            for name, content in files.items():
                archive.writestr(name, content)
        archive.writestr(f"{mark(45)}.txt", mark(46))
    return stream.getvalue()


def enhanced_dicom(image: SimpleITK.Image) -> bytes:
    """One enhanced multi-frame file."""
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.Cast(image, SimpleITK.sitkInt16))
    data = _base(image, EnhancedMRImageStorage)
    data.NumberOfFrames = len(voxels)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [f"{image.GetSpacing()[1]:.8f}", f"{image.GetSpacing()[0]:.8f}"]
    plane.ImageOrientationPatient = _plane(image)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for z in range(len(voxels)):
        frame, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = _position(image, z)
        content.FrameComments = mark(47)
        frame.PlanePositionSequence, frame.FrameContentSequence = Sequence([position]), Sequence([content])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = voxels.astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    _texts_of(data, 6000)
    return _saved(data)


def nifti(image: SimpleITK.Image) -> bytes:
    """As .nii.gz: descriptions, intent and database names, a comment extension, the name inside the gzip header."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        SimpleITK.WriteImage(image, str(path))
        known = nibabel.load(path)
        assert isinstance(known, nibabel.Nifti1Image)
        header = known.header
        header["descrip"], header["aux_file"] = mark(50).encode(), mark(51).encode()
        header["db_name"], header["intent_name"] = mark(52).encode(), mark(53).encode()
        header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", mark(54).encode()))
        whole = nibabel.Nifti1Image(np.asanyarray(known.dataobj), known.affine, header).to_bytes()
        stream = io.BytesIO()
        with gzip.GzipFile(f"{mark(55)}.nii", "wb", compresslevel=1, fileobj=stream, mtime=0) as packer:
            packer.write(whole)
        return stream.getvalue()


def nrrd(image: SimpleITK.Image) -> bytes:
    """Key/value pairs, a comment, the content field."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nrrd"
        SimpleITK.WriteImage(image, str(path), useCompression=True)
        head, body = path.read_bytes().split(b"\n\n", 1)
    planted = f"\n# {mark(60)}\ncontent: {mark(61)}\n{mark(62)}:={mark(63)}\nDICOM_0010_0010:={mark(64)}"
    return head + planted.encode() + b"\n\n" + body


_PATTERN: Final = re.compile(rb"zqplant[a-z]{2}|" + UID_ROOT.encode().replace(b".", rb"\.") + rb"|" + BIRTH.encode())


def _fingerprints() -> dict[bytes, str]:
    """Digests of identifiers, as text: such pseudonyms can be reversed with a list of patients."""
    words = [mark(_TEXTS.index(name)) for name in ("PatientName", "PatientID", "AccessionNumber")]
    words += [f"{UID_ROOT}{place}" for place in range(len(_UIDS))] + [f"{UID_ROOT}15"]
    kinds = ("md5", "sha1", "sha256", "sha512")
    return {
        hashlib.new(kind, word.encode()).hexdigest().encode(): f"{kind}({word})" for word in words for kind in kinds
    }


FINGERPRINTS: Final = _fingerprints()


def found_in(data: bytes) -> set[str]:
    """Planted values found in bytes: plain, in UTF-16, as a digest, or inside a zip, gzip or NRRD."""
    found = _found(data)
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found |= _found(archive.comment)
            for name in archive.namelist():
                found |= _found(name.encode()) | found_in(archive.read(name))
    elif data[:2] == b"\x1f\x8b":
        found |= found_in(gzip.decompress(data))
    elif data[:4] == b"NRRD":
        body = data.split(b"\n\n", 1)[-1]
        found |= found_in(body) if body[:2] == b"\x1f\x8b" else set()
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        found |= _in_png(data)
    return found


def _found(data: bytes) -> set[str]:
    small = data.lower()
    wide = small.replace(b"\0", b"") if b"z\0q\0p\0" in small else b""
    found = {hit.decode() for text in (small, wide) for hit in _PATTERN.findall(text)}
    return found | {name for digest, name in FINGERPRINTS.items() if digest in small}


def _in_png(data: bytes) -> set[str]:
    """Compressed text chunks of a picture."""
    found: set[str] = set()
    at = 8
    while at + 8 <= len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"zTXt":
            found |= _found(zlib.decompress(data[at + 8 : at + 8 + length].split(b"\0", 1)[1][1:]))
        at += 12 + length
    return found
