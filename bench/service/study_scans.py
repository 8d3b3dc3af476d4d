"""Small scans for studies: parts of the sample knee that differ in place, brightness and noise, at several visits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk

from bench.service.inside import JOINT_MM, Box, resampled
from bench.service.site import SAMPLE

VISITS: Final = 3
VOXEL_MM: Final = 3.0
MOST_SHIFT_MM: Final = 1.5
MANIFEST: Final = "manifest.csv"
EXTENSION: Final = ".nii.gz"


def write_scans(folder: Path, subjects: int, visits: int = VISITS) -> list[Path]:
    """One scan for each subject and visit, named `S00_V00_right`, and a manifest beside them; the same bytes each time.

    Returns the scans in the order of the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scans = []
    lines = ["path,subject,visit,side"]
    for subject in range(subjects):
        for visit in range(visits):
            dice = np.random.default_rng([subject, visit])
            path = folder / f"S{subject:02d}_V{visit:02d}_right{EXTENSION}"
            sitk.WriteImage(_rendered(dice), str(path))
            scans.append(path)
            lines.append(f"{path.name},S{subject:02d},V{visit:02d},right")
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return scans


def _rendered(dice: np.random.Generator) -> sitk.Image:
    """The joint of the sample knee, moved, brighter or darker, with noise."""
    shift = dice.uniform(-MOST_SHIFT_MM, MOST_SHIFT_MM, 3)
    low, high = (tuple(float(value) for value in np.array(corner) + shift) for corner in JOINT_MM)
    part: Box = (low, high)  # type: ignore[assignment]  # of three numbers each
    image = resampled(SAMPLE, VOXEL_MM, part, sitk.sitkLinear)
    values = sitk.GetArrayFromImage(image).astype(np.float64)
    values = values * dice.uniform(0.8, 1.25) + dice.normal(0.0, 0.01 * values.max(), values.shape)
    found = sitk.GetImageFromArray(np.clip(np.rint(values), 0, 32767).astype(np.int16))
    found.CopyInformation(image)
    return found
