"""Labelled sets in the layouts in which they are published: scans with canonical label maps, written as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk

from pipeline.anatomy import Structure

Pair = tuple[sitk.Image, sitk.Image]
"""A scan, and its canonical label map on the same grid."""
Write = Callable[[Path, Sequence[Pair]], tuple[Path, Path]]
"""Writes a set into a folder; returns its folders of scans and of label maps, which may be the same."""

TO_ZIB: Final = {Structure.FEMUR: 1, Structure.TIBIA: 3, Structure.FEMORAL_CARTILAGE: 2} | {
    Structure.MEDIAL_TIBIAL_CARTILAGE: 4,
    Structure.LATERAL_TIBIAL_CARTILAGE: 5,
}
TO_SKM_TEA: Final = {
    Structure.PATELLAR_CARTILAGE: 1,
    Structure.FEMORAL_CARTILAGE: 2,
    Structure.MEDIAL_TIBIAL_CARTILAGE: 3,
    Structure.LATERAL_TIBIAL_CARTILAGE: 4,
}


def renumbered(labels: sitk.Image, numbers: dict[Structure, int]) -> sitk.Image:
    """A label map in another numbering; structures without a number are background."""
    values = sitk.GetArrayFromImage(labels)
    table = np.zeros(256, dtype=np.uint8)
    for structure, number in numbers.items():
        table[structure] = number
    return like(table[values], labels)


def like(values: np.ndarray, image: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image on the grid of another."""
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made


def write(image: sitk.Image, path: Path) -> Path:
    """Write a file, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def zib_set(root: Path, pairs: Sequence[Pair]) -> tuple[Path, Path]:
    """OAI-ZIB-CM: folders of scans and label maps; no patella."""
    for n, (scan, labels) in enumerate(pairs, start=1):
        write(scan, root / "imagesTr" / f"oaizib_{n:03d}_0000.nii.gz")
        write(renumbered(labels, TO_ZIB), root / "labelsTr" / f"oaizib_{n:03d}.nii.gz")
    return root / "imagesTr", root / "labelsTr"


def skm_tea_set(root: Path, pairs: Sequence[Pair]) -> tuple[Path, Path]:
    """SKM-TEA: a folder of DICOM files for each scan, and masks without bones."""
    masks = root / "segmentation_masks" / "dicom-track"
    for n, (scan, labels) in enumerate(pairs, start=1):
        _write_dicom(scan, root / "dicoms" / f"MTR_{n:03d}", n)
        write(renumbered(labels, TO_SKM_TEA), masks / f"MTR_{n:03d}.nii.gz")
    return root / "dicoms", masks


def _write_dicom(scan: sitk.Image, folder: Path, series: int) -> None:
    """One file for each slice, by SimpleITK."""
    folder.mkdir(parents=True)
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
            "0008|0018": f"1.2.3.{series}.{number + 1}",
            "0008|0060": "MR",
            "0018|0050": f"{spacing[2]:g}",
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{series}",
            "0020|0013": str(number + 1),
            "0020|0032": "\\".join(f"{v:.6f}" for v in position),
            "0020|0037": "\\".join(f"{direction[k]:.8f}" for k in (0, 3, 6, 1, 4, 7)),
        }
        for key, value in values.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{number:03d}.dcm"))
        writer.Execute(image)


def nnunet_set(root: Path, pairs: Sequence[Pair]) -> tuple[Path, Path]:
    """nnU-Net raw: numbers that only the names in dataset.json explain."""
    numbers = {structure: number for number, structure in enumerate(reversed(list(Structure)[:7]), start=1)}
    for n, (scan, labels) in enumerate(pairs, start=1):
        write(scan, root / "imagesTr" / f"case_{n}_0000.nii.gz")
        write(renumbered(labels, numbers), root / "labelsTr" / f"case_{n}.nii.gz")
    names = {"background": 0} | {structure.title.lower(): number for structure, number in numbers.items()}
    (root / "dataset.json").write_text(json.dumps({"labels": names, "channel_names": {"0": "MRI"}}))
    return root / "imagesTr", root / "labelsTr"


def plain_set(root: Path, pairs: Sequence[Pair]) -> tuple[Path, Path]:
    """Two folders, canonical labels, as NRRD."""
    for n, (scan, labels) in enumerate(pairs, start=1):
        write(scan, root / "scans" / f"knee_{n}.nrrd")
        write(labels, root / "labels" / f"knee_{n}_labels.nrrd")
    return root / "scans", root / "labels"


def challenge_set(root: Path, pairs: Sequence[Pair]) -> tuple[Path, Path]:
    """IWOAI 2019 (HDF5), with medial and lateral plates exchanged. The files hold no voxel sizes. Needs h5py."""
    import h5py

    root.mkdir(parents=True, exist_ok=True)
    order = [
        Structure.FEMORAL_CARTILAGE,
        Structure.LATERAL_TIBIAL_CARTILAGE,
        Structure.MEDIAL_TIBIAL_CARTILAGE,
        Structure.PATELLAR_CARTILAGE,
        Structure.LATERAL_MENISCUS,
        Structure.MEDIAL_MENISCUS,
    ]
    for n, pair in enumerate(pairs, start=1):
        grey, values = (sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPI")) for image in pair)
        # (inferior, posterior, left) of the oriented array -> rows, columns, slices
        masks = np.stack([values == structure for structure in order], axis=-1).astype(np.uint8)
        for kind, array in (("im", grey), ("seg", masks)):
            with h5py.File(root / f"test_{n:03d}_V00.{kind}", "w") as file:
                file.create_dataset("data", data=array, compression="gzip")
    return root, root


LAYOUTS: Final[dict[str, Write]] = {
    "OAI-ZIB-CM": zib_set,
    "SKM-TEA": skm_tea_set,
    "nnU-Net raw": nnunet_set,
    "two folders": plain_set,
    "IWOAI 2019": challenge_set,
}
