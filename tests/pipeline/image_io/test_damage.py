"""Damage at any byte gives a scan or a user error, never a crash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.image_io import read_scan
from tests.support.image_io_writers import make_phantom, write_dicom, write_enhanced, write_nifti, write_nrrd, zip_of

PHANTOM = make_phantom(1, echoes=2)
WRITERS = {
    "nifti": lambda folder: write_nifti(PHANTOM, folder / "a.nii"),
    "nifti_gz": lambda folder: write_nifti(PHANTOM, folder / "a.nii.gz"),
    "nrrd": lambda folder: write_nrrd(PHANTOM, folder / "a.nrrd", compressed=False),
    "enhanced": lambda folder: write_enhanced(PHANTOM, folder / "a.dcm"),
    "zip": lambda folder: zip_of(write_dicom(make_phantom(1, shape=(10, 8, 8)), folder / "s"), folder / "a.zip"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_is_read_or_rejected_and_leaves_no_files(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    whole, random = path.read_bytes(), np.random.default_rng(7)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    refused = 0
    for attempt in range(60):
        damaged = bytearray(whole)
        # headers are at the beginning, the directory of a zip at the end
        area = (0, min(1200, len(whole))) if attempt % 3 else (max(0, len(whole) - 800), len(whole))
        for position in random.integers(*area, size=3):
            damaged[position] = int(random.integers(256))
        path.write_bytes(damaged[: int(random.integers(1, len(damaged)))] if attempt % 7 == 0 else damaged)
        try:
            assert np.isfinite(read_scan(path, scratch_dir=scratch).echoes).all()
        except InputError:
            refused += 1
        assert not list(scratch.iterdir())
    assert refused > 0
