"""The installed sample knee. `make bench` checks that it can be regenerated."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from training.sample import SHAPE, SPACING_MM, nifti_bytes, sagittal_grid

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"
SCAN, LABELS = SAMPLES / "sample_knee.nii.gz", SAMPLES / "sample_knee_labels.nii.gz"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def test_scan_and_labels_are_small_and_on_the_same_oblique_grid() -> None:
    scan, labels = nib.load(SCAN), nib.load(LABELS)
    assert SCAN.stat().st_size + LABELS.stat().st_size <= 8e6
    assert scan.get_data_dtype() == np.int16
    assert labels.get_data_dtype() == np.uint8
    assert scan.shape == labels.shape == SHAPE[::-1]
    assert np.allclose(scan.header.get_zooms(), SPACING_MM[::-1])
    assert np.allclose(scan.affine, labels.affine)
    assert np.abs(scan.affine[:3, :3]).min() > 0.001  # oblique in every axis
    assert np.linalg.det(scan.affine[:3, :3]) > 0  # right-handed, so no reader has to mirror it


def test_the_labels_are_a_complete_right_knee_and_match_the_scan() -> None:
    labels = nib.load(LABELS)
    values, scan = np.asarray(labels.dataobj), np.asarray(nib.load(SCAN).dataobj)
    assert set(np.unique(values)) == set(range(8))
    centre = {
        s: nib.affines.apply_affine(LPS @ labels.affine, np.argwhere(values[::2, ::2] == s) * (2, 2, 1)).mean(0)
        for s in Structure
        if s <= Structure.PATELLAR_CARTILAGE
    }
    medial, lateral = centre[Structure.MEDIAL_TIBIAL_CARTILAGE], centre[Structure.LATERAL_TIBIAL_CARTILAGE]
    assert medial[0] > lateral[0] + 30
    assert centre[Structure.PATELLA][1] < centre[Structure.FEMUR][1] - 25
    assert centre[Structure.FEMUR][2] > centre[Structure.TIBIA][2] + 30
    cartilage = np.median(scan[values == Structure.FEMORAL_CARTILAGE])
    assert cartilage > 2 * np.median(scan[values == Structure.FEMUR])
    assert np.median(scan[values == Structure.FEMUR]) > 3 * np.median(scan[:4])


def test_a_compressed_nifti_has_no_date_and_keeps_voxels_and_position() -> None:
    grid = Grid(shape=(3, 4, 5), spacing_mm=(0.7, 0.4, 0.3), origin_mm=(5, -9, 2), direction=sagittal_grid().direction)
    volume = np.random.default_rng(0).integers(0, 900, grid.shape).astype(np.int16)
    packed = nifti_bytes(volume, grid)
    assert packed == nifti_bytes(volume, grid)
    assert packed[4:8] == bytes(4)  # gzip timestamp
    image = nib.Nifti1Image.from_bytes(gzip.decompress(packed))
    assert np.array_equal(image.get_fdata(), volume.transpose(2, 1, 0))
    index = (2, 1, 3)
    assert np.allclose((LPS @ image.affine @ (*index[::-1], 1))[:3], grid.to_mm([index])[0], atol=1e-5)
