"""Writes the results tree."""

from __future__ import annotations

from pathlib import Path

from pipeline.relaxation import T1RHO_RELAXATION
from pipeline.report.meshes import bone_maps
from pipeline.report.page import write_page
from pipeline.report.readme import readme_text
from pipeline.report.shapes import write_shapes
from pipeline.report.tables import measurements_csv, write_tables
from pipeline.results_tree import README, T1RHO_MEASUREMENTS, T2_MEASUREMENTS
from pipeline.types import AnalysisResult


def write_report(result: AnalysisResult, files_dir: Path) -> None:
    """Complete the results tree in `files_dir`, where the maps are (maps.py), only from the result.

    The same result gives the same bytes. Raises OSError if a file cannot be written.
    """
    write_tables(result, files_dir)
    if result.t2 is not None:
        relaxation = result.t2.relaxation
        ids = {quantity.id for quantity in relaxation.layers}
        rows = [row for row in result.measurements if row.quantity in ids]
        table = T1RHO_MEASUREMENTS if relaxation is T1RHO_RELAXATION else T2_MEASUREMENTS
        table.target(files_dir).write_text(measurements_csv(rows), encoding="utf-8", newline="\n")
    if result.shapes:
        write_shapes(result.shapes, files_dir)
    write_page(result, bone_maps(result.thickness), files_dir)
    README.target(files_dir).write_text(readme_text(result, files_dir), encoding="utf-8", newline="\n")
