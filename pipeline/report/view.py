"""Files for the viewers of the pages, all as gzip: scene.bin (3D), slices.json and its volumes, distributions.json."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.distributions import write_distributions
from pipeline.report.knee_scene import knee_meshes
from pipeline.report.scene import write_scene
from pipeline.report.view_slices import write_slices
from pipeline.results_tree import ViewFile
from pipeline.types import AnalysisResult


def write_view(result: AnalysisResult, view_dir: Path) -> None:
    """Write all files into `view_dir` (created if missing). The same result gives the same bytes."""
    view_dir.mkdir(parents=True, exist_ok=True)
    write_distributions(ViewFile.DISTRIBUTIONS.at(view_dir), result.thickness)
    meshes = knee_meshes(result)
    if meshes:
        write_scene(ViewFile.SCENE.at(view_dir), meshes, alignment=result.alignment, grid=result.segmentation.grid)
    write_slices(result, view_dir)
