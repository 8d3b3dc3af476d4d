"""Visits of one knee as complete jobs: one analysis, each time in another pose, with a known change of thickness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from jobs.state.backend import open_backend
from pipeline.grid import FloatArray
from pipeline.products import ALIGNMENT, MEASUREMENTS, SURFACES, THICKNESS
from pipeline.quantities import THC, Statistic
from pipeline.registration import apply
from pipeline.types import Surface
from tests.support.finished_jobs import finished_job

DATES: Final = ("2019-07-02", "2020-07-01", "2021-09-13", "2023-07-02")
YEARS: Final = (0.0, 365 / 365.25, 804 / 365.25, 1461 / 365.25)
SLOPE_MM: Final = -0.12
"""Per year, of ThC everywhere."""

START_MM: Final = 0.6
"""Added to every thickness, so that nothing is denuded."""


def visit_jobs() -> list[str]:
    """The ids of four jobs, in the order of time."""
    return [_visit(number, START_MM + SLOPE_MM * years) for number, years in enumerate(YEARS)]


def _visit(number: int, more_mm: float) -> str:
    job_id = finished_job("right")
    workspace = open_backend().storage.newest_workspace(job_id)
    _take_apart(workspace.work_dir)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", (3.0 * number, -2.0 * number, number), degrees=True).as_matrix()
    pose[:3, 3] = (4.0 * number, -7.0 * number, 2.0 * number)
    maps = THICKNESS.load(workspace)
    alignment = ALIGNMENT.load(workspace)
    rows = MEASUREMENTS.load(workspace)
    SURFACES.save(workspace, tuple(_moved(surface, pose) for surface in SURFACES.load(workspace)))
    THICKNESS.save(workspace, tuple(replace(item, thickness_mm=item.thickness_mm + more_mm) for item in maps))
    ALIGNMENT.save(workspace, replace(alignment, matrix=alignment.matrix @ np.linalg.inv(pose)))
    shifted = {(THC.id, Statistic.MEAN)}
    MEASUREMENTS.save(
        workspace,
        tuple(
            replace(row, value=row.value + more_mm) if (row.quantity, row.statistic) in shifted else row for row in rows
        ),
    )
    return job_id


def _moved(surface: Surface, pose: FloatArray) -> Surface:
    turned = surface.normals @ pose[:3, :3].T
    return replace(surface, points_mm=apply(pose, surface.points_mm), normals=turned)


def _take_apart(folder: Path) -> None:
    """Files of a finished job are linked with those of others: give it its own."""
    for path in folder.iterdir():
        if path.is_file():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
