"""Files for the viewers of the pages, all as gzip: scene.bin (3D), slices.json and its volumes, distributions.json."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.parts import COMPUTED, Parts
from pipeline.report.distributions import write_distributions
from pipeline.report.knee_scene import knee_meshes
from pipeline.report.measured_knee import Shown
from pipeline.report.scene import write_scene
from pipeline.report.view_slices import write_slices
from pipeline.results_tree import ViewFile


def write_view(knee: Shown, view_dir: Path, parts: Parts = COMPUTED) -> None:
    """Write all files into `view_dir` (created if missing). The same knee gives the same bytes.

    Raises OSError if a file cannot be written.
    """
    view_dir.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as beside:  # compression, half of the work, releases the interpreter lock
        slices = beside.submit(write_slices, knee, view_dir, parts)
        write_distributions(ViewFile.DISTRIBUTIONS.at(view_dir), knee.thickness)
        meshes = knee_meshes(knee, parts)
        if meshes:
            grid = knee.segmentation.grid
            write_scene(ViewFile.SCENE.at(view_dir), meshes, alignment=knee.alignment, grid=grid, parts=parts)
        slices.result()
