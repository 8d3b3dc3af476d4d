"""The results tree, file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.report.contact_sheet import write_contact_sheet
from pipeline.report.meshes import BoneMap, bone_maps, write_ply, write_surfaces, write_vtp
from pipeline.report.page import write_page
from pipeline.report.readme import readme_text
from pipeline.report.tables import json_text, measurements_csv, write_tables
from pipeline.report.thumbnails import write_thumbnails
from pipeline.report.volumes import write_segmentation, write_t2
from pipeline.types import AnalysisResult, ShapeFit


def write_report(result: AnalysisResult, files_dir: Path) -> None:
    """Write the whole results tree into `files_dir` (made if it is not there), from the result and nothing else.

    The same result gives the same bytes. Raises OSError where a file cannot be written.
    """
    files_dir.mkdir(parents=True, exist_ok=True)
    bones = bone_maps(result.thickness)
    write_tables(result, files_dir)
    write_segmentation(result, files_dir / "segmentation")
    write_surfaces(bones, files_dir / "surfaces")
    if result.t2 is not None:
        write_t2(result.t2, files_dir / "t2")
        rows = [row for row in result.measurements if row.quantity.startswith("T2")]
        (files_dir / "t2" / "results.csv").write_text(measurements_csv(rows), encoding="utf-8", newline="\n")
    if result.shape is not None:
        _write_shape(result.shape, files_dir / "shape")
    pictures = files_dir / "qc"
    pictures.mkdir(exist_ok=True)
    write_contact_sheet(result, pictures / "overlay.png")
    write_thumbnails(bones, result.alignment, pictures / "surfaces.png")
    write_page(result, bones, files_dir)
    (files_dir / "README.txt").write_text(readme_text(result, files_dir), encoding="utf-8", newline="\n")


def _write_shape(shape: ShapeFit, folder: Path) -> None:
    """Latent, fit error and score as JSON, and the reconstruction as a surface without thickness."""
    folder.mkdir(exist_ok=True)
    document = {"latent": shape.latent.tolist(), "rms_mm": shape.rms_mm, "score": shape.score}
    (folder / "shape.json").write_text(json_text(document), encoding="utf-8")
    n = len(shape.reconstruction.points_mm)
    bare = BoneMap(
        surface=shape.reconstruction,
        thickness_mm=np.full(n, np.nan),
        two_crossing_mm=np.full(n, np.nan),
        region=np.zeros(n, dtype=np.uint8),
    )
    write_vtp(folder / "reconstruction.vtp", bare)
    write_ply(folder / "reconstruction.ply", bare)
