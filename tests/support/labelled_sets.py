"""Small labelled sets in the published layouts: parts of the sample knee in large voxels."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bench.service.inside import JOINT_MM, resampled
from bench.service.site import SAMPLE
from pipeline.anatomy import Structure

LABELS = SAMPLE.with_name("sample_knee_labels.nii.gz")
VOXEL_MM = 3.0

TO_ZIB = {Structure.FEMUR: 1, Structure.TIBIA: 3, Structure.FEMORAL_CARTILAGE: 2} | {
    Structure.MEDIAL_TIBIAL_CARTILAGE: 4,
    Structure.LATERAL_TIBIAL_CARTILAGE: 5,
}
TO_SKM_TEA = {
    Structure.PATELLAR_CARTILAGE: 1,
    Structure.FEMORAL_CARTILAGE: 2,
    Structure.MEDIAL_TIBIAL_CARTILAGE: 3,
    Structure.LATERAL_TIBIAL_CARTILAGE: 4,
}


@cache
def small_pair() -> tuple[sitk.Image, sitk.Image]:
    """A scan, and its canonical label map."""
    scan = resampled(SAMPLE, VOXEL_MM, JOINT_MM, sitk.sitkLinear)
    return scan, resampled(LABELS, VOXEL_MM, JOINT_MM, sitk.sitkNearestNeighbor)


def renumbered(labels: sitk.Image, numbers: dict[Structure, int]) -> sitk.Image:
    """A label map in another numbering; structures without a number are background."""
    values = sitk.GetArrayFromImage(labels)
    table = np.zeros(256, dtype=np.uint8)
    for structure, number in numbers.items():
        table[structure] = number
    return like(table[values], labels)


def like(values: np.ndarray, image: sitk.Image) -> sitk.Image:
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made


def write(image: sitk.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def zib_set(root: Path, cases: int = 1) -> tuple[Path, Path]:
    """OAI-ZIB-CM: folders of scans and label maps. The scans differ in their noise."""
    scan, labels = small_pair()
    grey = sitk.GetArrayFromImage(scan).astype(np.float32)
    for n in range(1, cases + 1):
        noise = np.random.default_rng(n).normal(0.0, 2.0, grey.shape).astype(np.float32)
        write(like(grey + noise, scan), root / "imagesTr" / f"oaizib_{n:03d}_0000.nii.gz")
        write(renumbered(labels, TO_ZIB), root / "labelsTr" / f"oaizib_{n:03d}.nii.gz")
    return root / "imagesTr", root / "labelsTr"


def skm_tea_set(root: Path) -> tuple[Path, Path]:
    """SKM-TEA: a folder of DICOM files for each scan, and masks without bones."""
    scan, labels = small_pair()
    folder = root / "dicoms" / "MTR_001"
    folder.mkdir(parents=True)
    _write_dicom(scan, folder)
    write(renumbered(labels, TO_SKM_TEA), root / "segmentation_masks" / "dicom-track" / "MTR_001.nii.gz")
    return root / "dicoms", root / "segmentation_masks" / "dicom-track"


def _write_dicom(scan: sitk.Image, folder: Path) -> None:
    """One file for each slice, by SimpleITK."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    grey = sitk.Cast(scan, sitk.sitkInt16)
    direction, spacing = grey.GetDirection(), grey.GetSpacing()
    for number in range(grey.GetDepth()):
        image = grey[:, :, number : number + 1]
        position = grey.TransformIndexToPhysicalPoint((0, 0, number))
        values = {
            "0008|0008": "ORIGINAL\\PRIMARY",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"1.2.3.4.{number + 1}",
            "0008|0060": "MR",
            "0018|0050": f"{spacing[2]:g}",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0020|0013": str(number + 1),
            "0020|0032": "\\".join(f"{v:.6f}" for v in position),
            "0020|0037": "\\".join(f"{direction[k]:.8f}" for k in (0, 3, 6, 1, 4, 7)),
        }
        for key, value in values.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{number:03d}.dcm"))
        writer.Execute(image)


def nnunet_set(root: Path) -> tuple[Path, Path]:
    """nnU-Net raw: numbers that only the names in dataset.json explain."""
    scan, labels = small_pair()
    numbers = {structure: number for number, structure in enumerate(reversed(list(Structure)[:7]), start=1)}
    write(scan, root / "imagesTr" / "case_1_0000.nii.gz")
    write(renumbered(labels, numbers), root / "labelsTr" / "case_1.nii.gz")
    names = {"background": 0} | {structure.title.lower(): number for structure, number in numbers.items()}
    (root / "dataset.json").write_text(json.dumps({"labels": names, "channel_names": {"0": "MRI"}}))
    return root / "imagesTr", root / "labelsTr"


def plain_set(root: Path) -> tuple[Path, Path]:
    """Two folders, canonical labels, as NRRD."""
    scan, labels = small_pair()
    write(scan, root / "scans" / "knee.nrrd")
    write(labels, root / "labels" / "knee_labels.nrrd")
    return root / "scans", root / "labels"


def challenge_set(root: Path) -> tuple[Path, Path]:
    """IWOAI 2019 (HDF5), with medial and lateral plates exchanged. Needs h5py."""
    import h5py

    scan, labels = small_pair()
    root.mkdir(parents=True, exist_ok=True)
    grey, values = (sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPI")) for image in (scan, labels))
    # (inferior, posterior, left) of the oriented array -> rows, columns, slices
    order = [
        Structure.FEMORAL_CARTILAGE,
        Structure.LATERAL_TIBIAL_CARTILAGE,
        Structure.MEDIAL_TIBIAL_CARTILAGE,
        Structure.PATELLAR_CARTILAGE,
        Structure.LATERAL_MENISCUS,
        Structure.MEDIAL_MENISCUS,
    ]
    masks = np.stack([values == structure for structure in order], axis=-1).astype(np.uint8)
    for name, array in (("test_001_V00.im", grey), ("test_001_V00.seg", masks)):
        with h5py.File(root / name, "w") as file:
            file.create_dataset("data", data=array)
    return root, root
