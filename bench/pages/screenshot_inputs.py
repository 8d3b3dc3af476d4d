"""Scans that produce the different states of the pages, all made from the sample knee or synthetic."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from scipy import ndimage

from bench.service.corpus.packing import zipped
from bench.service.corpus.series import base, saved, slices
from bench.service.corpus.volumes import nifti, packed
from bench.service.site import ROOT, SAMPLE
from pipeline.anatomy import Structure

LABELS: Final = ROOT / "samples" / "sample_knee_labels.nii.gz"
ECHO_TIMES_MS: Final = (10.0, 25.0, 40.0, 55.0)
LEFT_MM: Final = 1.2
"""Remaining cartilage thickness in the worn compartment."""

FEMORAL, MEDIAL_TIBIAL, LATERAL_TIBIAL = (
    int(Structure.FEMORAL_CARTILAGE),
    int(Structure.MEDIAL_TIBIAL_CARTILAGE),
    int(Structure.LATERAL_TIBIAL_CARTILAGE),
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """sample, later: the same knee before and after a loss of cartilage; thick: slices of 2.1 mm; echoes: with T2;
    noise: no knee; series: two usable series; broken: not an image.
    """

    sample: Path
    later: Path
    thick: Path
    echoes: Path
    noise: Path
    series: Path
    broken: Path


def make_inputs(folder: Path) -> Inputs:
    """Write all inputs into a folder; takes some seconds."""
    image = nib.load(SAMPLE)
    voxels = np.asanyarray(image.dataobj)
    inputs = Inputs(
        sample=SAMPLE,
        later=folder / "knee_one_year_later.nii.gz",
        thick=folder / "knee_thick_slices.nii.gz",
        echoes=folder / "knee_four_echoes.zip",
        noise=folder / "noise.nii.gz",
        series=folder / "two_series.zip",
        broken=folder / "holiday.nii.gz",
    )
    _save(_worn(voxels), _moved(image.affine), inputs.later)
    coarse = image.affine.copy()
    coarse[:, 2] *= 3
    _save(voxels[:, :, ::3], coarse, inputs.thick)
    _write_echoes(voxels, image.affine, inputs.echoes)
    inputs.noise.write_bytes(packed(nifti()))
    inputs.series.write_bytes(zipped(slices(24, series=3) | slices(30, series=7, name="PD{:04d}.dcm")))
    inputs.broken.write_bytes(b"This is no image.\n" * 400)
    return inputs


def _save(voxels: NDArray[np.generic], affine: NDArray[np.float64], path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels), affine), path)


def _worn(voxels: NDArray[np.generic]) -> NDArray[np.generic]:
    """The medial compartment worn down to 1.2 mm; removed cartilage gets the signal of its surroundings."""
    image = nib.load(LABELS)
    labels = np.asanyarray(image.dataobj)
    plates = np.isin(labels, (FEMORAL, MEDIAL_TIBIAL, LATERAL_TIBIAL))
    slice_of = np.arange(labels.shape[2])
    medial, lateral = (
        np.average(slice_of, weights=(labels == plate).sum(axis=(0, 1))) for plate in (MEDIAL_TIBIAL, LATERAL_TIBIAL)
    )
    inside = np.abs(slice_of - medial) < np.abs(slice_of - lateral)
    bones = np.isin(labels, (int(Structure.FEMUR), int(Structure.TIBIA)))
    beside = ~plates & ~bones
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    height = ndimage.distance_transform_edt(~bones, sampling=spacing)
    nearest = ndimage.distance_transform_edt(~beside, sampling=spacing, return_distances=False, return_indices=True)
    lost = plates & (height > LEFT_MM) & inside
    changed = voxels.copy()
    changed[lost] = voxels[tuple(axis[lost] for axis in nearest)]
    return changed


def _moved(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Another position of the knee in the scanner: rotated by 6 degrees and shifted by 9 mm."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(6)), np.sin(np.radians(6))
    turn[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    turn[:3, 3] = [4, -7, 4]
    moved: NDArray[np.float64] = turn @ affine
    return moved


def _write_echoes(voxels: NDArray[np.generic], affine: NDArray[np.float64], path: Path) -> None:
    """A multi-echo spin echo DICOM series, at half the in-plane resolution; T2 decreases across it from 55 to 30 ms."""
    pairs = voxels.astype(np.float32).reshape(voxels.shape[0] // 2, 2, voxels.shape[1] // 2, 2, -1)
    first = pairs.mean(axis=(1, 3))
    decay_ms = np.linspace(55, 30, first.shape[0])[:, None, None]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / spacing
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for e, time in enumerate(ECHO_TIMES_MS):
            echo = np.rint(first * np.exp(-time / decay_ms)).astype("<i2")
            for z in range(first.shape[2]):
                data: Dataset = base(4, e * first.shape[2] + z, ExplicitVRLittleEndian)
                data.SeriesDescription, data.InstanceNumber = "SAG T2 MAP", e * first.shape[2] + z + 1
                data.ScanningSequence, data.RepetitionTime, data.FlipAngle = "SE", "2700", "90"
                data.EchoTime, data.EchoNumbers = f"{time:g}", e + 1
                data.Rows, data.Columns = first.shape[1], first.shape[0]
                data.PixelSpacing = [f"{2 * spacing[1]:.8g}", f"{2 * spacing[0]:.8g}"]
                data.SliceThickness = f"{spacing[2]:.8g}"
                data.ImageOrientationPatient = [f"{value:.10g}" for value in (*axes[:, 0], *axes[:, 1])]
                corner = lps @ np.array([0.5, 0.5, z, 1.0])
                data.ImagePositionPatient = [f"{value:.10g}" for value in corner[:3]]
                data.PixelData = np.ascontiguousarray(echo[:, :, z].T).tobytes()
                data["PixelData"].VR = "OW"
                archive.writestr(f"knee/e{e + 1}_{z:03d}.dcm", saved(data))
