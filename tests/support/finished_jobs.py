"""Complete jobs whose folders contain a real analysis of the reference knee, right or left.

The processes of a parallel test run share the analyses.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import uuid
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from pipeline.grid import Grid
from pipeline.options import AnalysisOptions
from pipeline.run import run_analysis
from pipeline.types import Request, Resources, Segmentation
from pipeline.workspace import Workspace
from tests.support.knees import mirrored, turned_knee
from tests.support.processes import SHARED_DIR

OPTIONS = AnalysisOptions(perform_nsm=False)


def write_labels(path: Path, segmentation: Segmentation) -> Path:
    grid: Grid = segmentation.grid
    image = sitk.GetImageFromArray(segmentation.labels)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.reshape(-1).tolist())
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@lru_cache(maxsize=2)
def analysed(side: str) -> Path:
    """The folder of a pipeline analysis of the reference knee, or of its mirror image, in large voxels."""
    root = SHARED_DIR / f"analysed-{side}"
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _analyse(side, root)
    return root / "job"


def _analyse(side: str, root: Path) -> None:
    knee = turned_knee(scale=1.0)
    z, y, x = knee.grid.spacing_mm
    labels = np.ascontiguousarray(knee.labels[:, ::2, ::2])
    knee = replace(knee, labels=labels, grid=replace(knee.grid, shape=labels.shape, spacing_mm=(z, 2 * y, 2 * x)))
    workspace = Workspace(root / "job")
    workspace.create()
    path = write_labels(workspace.input_dir / "labels.nrrd", knee if side == "right" else mirrored(knee))
    request = Request(input_name="", scan=None, labels=path.name)
    run_analysis(workspace, OPTIONS, Resources(), request, lambda _: None)
    shutil.rmtree(workspace.input_dir)  # as when a job ends


def finished_job(side: str = "right", **fields: Any) -> str:
    """A complete job whose folder contains a real analysis (its files are linked, not copied)."""
    backend, job_id = open_backend(), str(uuid.uuid4())
    folder = backend.storage.folder(job_id)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-rl", str(analysed(side)), str(folder)], check=True)
    record = JobRecord(
        id=job_id,
        input_filename=f"{side}.nii.gz",
        labels_path="input/labels.nrrd",
        options=OPTIONS.to_dict(),
        status=Status.COMPLETE,
        created_at=now(),
        attempt=1,
        **fields,
    )
    backend.storage.write_record(record)
    backend.store.add_ended(record)
    return job_id


def failed_job(owner: str, filename: str) -> str:
    """A job of somebody that failed, without a folder: its page is drawn quickly."""
    record = JobRecord(
        id=str(uuid.uuid4()),
        input_filename=filename,
        status=Status.ERROR,
        error_code="EMPTY_IMAGE",
        created_at=now(),
        attempt=1,
        owner=owner,
    )
    assert open_backend().store.add_ended(record)
    return record.id
