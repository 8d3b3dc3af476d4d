"""Writes the part of the results tree that shows the knee: maps, surfaces and pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.parts import COMPUTED, Parts
from pipeline.report.contact_sheet import write_contact_sheet
from pipeline.report.extrusion import write_extrusion
from pipeline.report.flat_maps import write_flat_maps
from pipeline.report.measured_knee import Shown
from pipeline.report.meshes import bone_maps, write_surfaces
from pipeline.report.thumbnails import write_thumbnails
from pipeline.report.volumes import write_segmentation, write_t2
from pipeline.results_tree import EXTRUSION_PICTURE, OVERLAY, SURFACES_PICTURE
from pipeline.uses import Uses


def write_maps(knee: Shown, files_dir: Path, parts: Parts = COMPUTED) -> None:
    """Write them into `files_dir` (created if missing). The same knee gives the same bytes.

    Raises OSError if a file cannot be written.
    """
    files_dir.mkdir(parents=True, exist_ok=True)
    bones = bone_maps(knee.thickness)
    with ThreadPoolExecutor(1) as beside:
        sheet = beside.submit(write_contact_sheet, knee, OVERLAY.target(files_dir))
        write_segmentation(knee, files_dir)
        write_surfaces(bones, files_dir, parts)
        write_flat_maps(knee, files_dir, parts)
        if knee.t2 is not None:
            write_t2(knee.t2, knee.segmentation.padding, files_dir)
        write_extrusion(knee, EXTRUSION_PICTURE.target(files_dir), parts)
        uses = Uses(flags=knee.flags)
        write_thumbnails(bones, knee.alignment, SURFACES_PICTURE.target(files_dir), uses, parts)
        sheet.result()
