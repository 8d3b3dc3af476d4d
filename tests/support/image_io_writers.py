"""A small oblique, anisotropic scan in every format that read_scan supports, with the true voxel positions."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)
from pydicom.valuerep import DSfloat

PATIENT = "Doe^Jane"
Change = Callable[[Dataset, int, int], None]


@dataclass(frozen=True)
class Phantom:
    """echoes (e, z, y, x) int16, with unique values in the first echo; LPS geometry in columns x, y, z."""

    echoes: NDArray[np.int16]
    spacing_xyz: NDArray[np.float64]
    direction: NDArray[np.float64]
    origin: NDArray[np.float64]

    def points(self) -> NDArray[np.float64]:
        """(n, 3) LPS mm of every voxel, in the order of the first echo's values."""
        index = np.argwhere(self.echoes[0] > -32768)[:, ::-1]  # x, y, z
        points = self.origin + (index * self.spacing_xyz) @ self.direction.T
        return points[np.argsort(self.echoes[0].reshape(-1), kind="stable")]


def make_phantom(seed: int = 0, echoes: int = 1, shape: tuple[int, int, int] = (12, 13, 16)) -> Phantom:
    """A random rotation (right-handed), origin and spacing; values are a permutation, different in each echo."""
    random = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    count = int(np.prod(shape))
    values = np.stack([random.permutation(count).reshape(shape) - 100 * e for e in range(echoes)])
    return Phantom(
        values.astype(np.int16),
        np.array([0.3, 0.45, 3.1]) * random.uniform(0.9, 1.1, 3),
        rotation,
        random.uniform(-90, 90, 3),
    )


def affine_lps(phantom: Phantom) -> NDArray[np.float64]:
    """(4, 4): index (x, y, z) -> LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = phantom.direction * phantom.spacing_xyz
    affine[:3, 3] = phantom.origin
    return affine


def write_nifti(
    phantom: Phantom, path: Path, *, qform_only: bool = False, voxels: NDArray[np.generic] | None = None
) -> Path:
    """Write NIfTI with sform and qform, or with a qform only."""
    data = phantom.echoes if voxels is None else voxels
    array = data[0].T if len(data) == 1 else data.transpose(3, 2, 1, 0)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps(phantom)
    image = nibabel.Nifti1Image(array, ras)
    image.set_qform(ras, code=1)
    image.set_sform(ras, code=0 if qform_only else 1)
    nibabel.save(image, path)
    return path


def itk_image(phantom: Phantom, echo: int = 0) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(phantom.echoes[echo])
    image.SetSpacing(phantom.spacing_xyz.tolist())
    image.SetOrigin(phantom.origin.tolist())
    image.SetDirection(phantom.direction.reshape(-1).tolist())
    return image


def write_nrrd(phantom: Phantom, path: Path, *, compressed: bool = True) -> Path:
    SimpleITK.WriteImage(itk_image(phantom), str(path), useCompression=compressed)
    return path


def base_dataset(uid: str, syntax: UID = ExplicitVRLittleEndian, sop_class: UID = MRImageStorage) -> Dataset:
    """The attributes shared by all slices of a series."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientName, data.PatientID, data.PatientBirthDate = PATIENT, "4711", "19500101"
    data.Modality, data.Manufacturer, data.MagneticFieldStrength = "MR", "SIEMENS", "3"
    data.SeriesInstanceUID, data.SeriesNumber, data.StudyInstanceUID = uid, "7", generate_uid()
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    return data


def write_dicom(
    phantom: Phantom,
    folder: Path,
    *,
    change: Change | None = None,
    uid: str | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    name: str = "IM{:04d}",
    order_seed: int = 5,
) -> Path:
    """One file per slice and echo, shuffled; `change(dataset, echo, slice)` may modify each before writing."""
    folder.mkdir(parents=True, exist_ok=True)
    count, slices, rows, columns = phantom.echoes.shape
    uid = uid or generate_uid()
    big = syntax == ExplicitVRBigEndian
    numbers = np.random.default_rng(order_seed).permutation(count * slices)
    for k, (e, z) in enumerate(np.ndindex(count, slices)):
        data = base_dataset(uid, syntax)
        data.Rows, data.Columns, data.InstanceNumber = rows, columns, k + 1
        data.PixelSpacing = ds(phantom.spacing_xyz[[1, 0]])
        data.ImageOrientationPatient = ds(phantom.direction[:, :2].T.reshape(-1))
        data.ImagePositionPatient = ds(phantom.origin + z * phantom.spacing_xyz[2] * phantom.direction[:, 2])
        data.ScanningSequence, data.RepetitionTime, data.FlipAngle = "SE", "2450", "90"
        data.EchoTime, data.EchoNumbers = str(6.5 * (e + 1)), e + 1
        data.PixelData = phantom.echoes[e, z].astype(">i2" if big else "<i2").tobytes()
        data["PixelData"].VR = "OW"
        if change is not None:
            change(data, e, z)
        data.save_as(folder / name.format(numbers[k]), enforce_file_format=True)
    return folder


def ds(values: Iterable[float]) -> list[DSfloat]:
    """Decimal strings with as many digits as the standard allows."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def write_enhanced(phantom: Phantom, path: Path, *, change: Callable[[Dataset], None] | None = None) -> Path:
    """An enhanced MR multi-frame file whose frames are shuffled over slices and echoes."""
    count, slices, rows, columns = phantom.echoes.shape
    data = base_dataset(generate_uid(), sop_class=EnhancedMRImageStorage)
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, count * slices
    shared, measures, plane, timing = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = ds(phantom.spacing_xyz[[1, 0]])
    plane.ImageOrientationPatient = ds(phantom.direction[:, :2].T.reshape(-1))
    timing.RepetitionTime, timing.FlipAngle = 17.0, 25.0
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = DicomSequence([measures]), DicomSequence([plane])
    shared.MRTimingAndRelatedParametersSequence = DicomSequence([timing])
    data.SharedFunctionalGroupsSequence = DicomSequence([shared])
    data.EchoPulseSequence, data.PulseSequenceName = "GRADIENT", "*de3d1"
    order = np.random.default_rng(3).permutation(count * slices)
    frames = []
    for k in order:
        e, z = divmod(int(k), slices)
        frame, position, echo = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ds(phantom.origin + z * phantom.spacing_xyz[2] * phantom.direction[:, 2])
        echo.EffectiveEchoTime = 6.5 * (e + 1)
        frame.PlanePositionSequence, frame.MREchoSequence = DicomSequence([position]), DicomSequence([echo])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    data.PixelData = phantom.echoes.reshape(-1, rows, columns)[order].astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    if change is not None:
        change(data)
    data.save_as(path, enforce_file_format=True)
    return path


def write_old_multiframe(phantom: Phantom, path: Path, *, gap: bool = True) -> Path:
    """MR Image Storage with several frames: position of the first and the distance between them."""
    _, slices, rows, columns = phantom.echoes.shape
    data = base_dataset(generate_uid())
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, slices
    data.PixelSpacing = ds(phantom.spacing_xyz[[1, 0]])
    data.ImageOrientationPatient = ds(phantom.direction[:, :2].T.reshape(-1))
    data.ImagePositionPatient = ds(phantom.origin)
    if gap:
        data.SpacingBetweenSlices = ds([phantom.spacing_xyz[2]])[0]
    data.PixelData = phantom.echoes[0].astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    data.save_as(path, enforce_file_format=True)
    return path


def zip_of(source: Path, path: Path, *, inside: str = "knee/study 1") -> Path:
    """A zip of a file or folder below nested folders, with the metadata files that macOS adds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
        for file in files:
            archive.write(file, f"{inside}/{file.name}")
        archive.writestr(f"__MACOSX/{inside}/._{files[0].name}", b"\0\5\x16\7fork")
        archive.writestr(f"{inside}/.DS_Store", b"\0\0\0\1Bud1")
        archive.writestr("DICOMDIR", b"\0" * 128 + b"DICM")
    return path
