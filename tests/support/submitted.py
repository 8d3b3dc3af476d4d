"""Small uploads and their submission, for tests of jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from jobs import service
from jobs.state.model import JobView
from pipeline.options import AnalysisOptions


def image(path: Path, voxels: np.ndarray) -> bytes:
    """An oblique, anisotropic image of these voxels (z, y, x), as .nii.gz."""
    picture = SimpleITK.GetImageFromArray(voxels)
    picture.SetSpacing((0.4, 0.5, 1.2))
    cosine, sine = np.cos(0.3), np.sin(0.3)
    picture.SetDirection((cosine, -sine, 0, sine, cosine, 0, 0, 0, 1))
    SimpleITK.WriteImage(picture, str(path))
    return path.read_bytes()


def submit(content: bytes, name: str = "knee.nii.gz", email: str | None = None) -> JobView:
    return service.submit_stream([content[:1000], content[1000:]], name, AnalysisOptions(), email)
