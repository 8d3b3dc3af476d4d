"""Writes the results tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.quantities import T2_LAYERS
from pipeline.report.contact_sheet import write_contact_sheet
from pipeline.report.meshes import bone_maps, write_surfaces
from pipeline.report.page import write_page
from pipeline.report.readme import readme_text
from pipeline.report.shapes import write_shapes
from pipeline.report.tables import measurements_csv, write_tables
from pipeline.report.thumbnails import write_thumbnails
from pipeline.report.volumes import write_segmentation, write_t2
from pipeline.results_tree import OVERLAY, README, SURFACES_PICTURE, T2_MEASUREMENTS
from pipeline.types import AnalysisResult
from pipeline.uses import Uses


def write_report(result: AnalysisResult, files_dir: Path) -> None:
    """Write the whole results tree into `files_dir` (created if missing), only from the result.

    The same result gives the same bytes. Raises OSError if a file cannot be written.
    """
    files_dir.mkdir(parents=True, exist_ok=True)
    bones = bone_maps(result.thickness)
    with ThreadPoolExecutor(1) as beside:
        sheet = beside.submit(write_contact_sheet, result, OVERLAY.target(files_dir))
        write_tables(result, files_dir)
        write_segmentation(result, files_dir)
        write_surfaces(bones, files_dir)
        if result.t2 is not None:
            write_t2(result.t2, result.segmentation.padding, files_dir)
            ids = {quantity.id for quantity in T2_LAYERS}
            rows = [row for row in result.measurements if row.quantity in ids]
            T2_MEASUREMENTS.target(files_dir).write_text(measurements_csv(rows), encoding="utf-8", newline="\n")
        if result.shapes:
            write_shapes(result.shapes, files_dir)
        write_thumbnails(bones, result.alignment, SURFACES_PICTURE.target(files_dir), Uses(flags=result.flags))
        sheet.result()
    write_page(result, bones, files_dir)
    README.target(files_dir).write_text(readme_text(result, files_dir), encoding="utf-8", newline="\n")
