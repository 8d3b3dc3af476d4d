"""Small labelled sets in the published layouts: parts of the sample knee in large voxels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bench import labelled_sets
from bench.labelled_sets import Pair, like
from bench.service.inside import JOINT_MM, resampled
from bench.service.site import SAMPLE

LABELS = SAMPLE.with_name("sample_knee_labels.nii.gz")
VOXEL_MM = 3.0


@cache
def small_pair() -> Pair:
    """A scan, and its canonical label map."""
    scan = resampled(SAMPLE, VOXEL_MM, JOINT_MM, sitk.sitkLinear)
    return scan, resampled(LABELS, VOXEL_MM, JOINT_MM, sitk.sitkNearestNeighbor)


def zib_set(root: Path, cases: int = 1) -> tuple[Path, Path]:
    """OAI-ZIB-CM. The scans differ in their noise."""
    scan, labels = small_pair()
    grey = sitk.GetArrayFromImage(scan).astype(np.float32)
    noises = [np.random.default_rng(n).normal(0.0, 2.0, grey.shape).astype(np.float32) for n in range(1, cases + 1)]
    return labelled_sets.zib_set(root, [(like(grey + noise, scan), labels) for noise in noises])


def skm_tea_set(root: Path) -> tuple[Path, Path]:
    return labelled_sets.skm_tea_set(root, [small_pair()])


def nnunet_set(root: Path) -> tuple[Path, Path]:
    return labelled_sets.nnunet_set(root, [small_pair()])


def plain_set(root: Path) -> tuple[Path, Path]:
    return labelled_sets.plain_set(root, [small_pair()])


def challenge_set(root: Path) -> tuple[Path, Path]:
    """Needs h5py."""
    return labelled_sets.challenge_set(root, [small_pair()])
