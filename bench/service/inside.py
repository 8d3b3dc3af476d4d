"""Access to the store, queue and folders of a Site from the measuring process, and scans for submission."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK

from bench.service.site import SAMPLE, Site
from jobs.state.model import JobRecord
from jobs.state.queue import AnalysisQueue, text_client
from jobs.state.storage import Storage
from jobs.state.store import JobStore


class Inside:
    """Access to a site whose queue is running."""

    def __init__(self, site: Site) -> None:
        url = site.queue_url
        self.client = text_client(url)
        self.store = JobStore(self.client)
        self.queue = AnalysisQueue(url)
        self.storage = Storage(site.folder)

    def records(self) -> dict[str, JobRecord]:
        """Every record, by id."""
        texts: dict[str, str] = self.client.hgetall("jobs")
        return {job_id: JobRecord.from_json(text) for job_id, text in texts.items()}

    def attempts(self, job_id: str) -> int:
        """Number of starts of a job's analysis, according to its log."""
        try:
            log = self.storage.log_path(job_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return 0
        return log.count(f"job {job_id}: attempt ")


Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Two corners (x, y, z) on the axes of the sample knee, in mm."""

JOINT_MM: Box = ((9.0, 27.0, 9.0), (96.0, 114.0, 96.0))
"""The part of the sample knee that holds its cartilage: one window of the built-in network."""

WHOLE_MM: Box = ((0.0, 0.0, 0.0), (140.0, 140.0, 112.0))
"""All of the sample knee: eight windows."""


@functools.cache
def small_knee(voxel_mm: float = 3.0, part: Box = JOINT_MM) -> bytes:
    """A part of the sample knee with large voxels: a complete analysis with results in a few seconds."""
    return _bytes(resampled(SAMPLE, voxel_mm, part, SimpleITK.sitkLinear))


def resampled(path: Path, voxel_mm: float, part: Box, interpolation: int) -> SimpleITK.Image:
    """A part of an image on the sample's grid, with other voxels."""
    sample = SimpleITK.ReadImage(str(path))
    low, high = part
    return SimpleITK.Resample(
        sample,
        [round((end - start) / voxel_mm) for start, end in zip(low, high, strict=True)],
        SimpleITK.Transform(),
        interpolation,
        sample.TransformContinuousIndexToPhysicalPoint(
            [start / step for start, step in zip(low, sample.GetSpacing(), strict=True)]
        ),
        [voxel_mm] * 3,
        sample.GetDirection(),
        0.0,
        sample.GetPixelID(),
    )


@functools.cache
def empty_scan() -> bytes:
    """A scan that is accepted and then rejected by the first step: the shortest possible job."""
    return _bytes(SimpleITK.GetImageFromArray(np.zeros((16, 16, 16), np.int16)))


def _bytes(image: SimpleITK.Image) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        SimpleITK.WriteImage(image, str(path))
        return path.read_bytes()
