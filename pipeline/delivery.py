"""Writes the files of one analysis: maps and pictures, then the results tree and its zip."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.parts import Parts
from pipeline.report import write_archive, write_maps, write_report, write_view
from pipeline.report.measured_knee import Shown
from pipeline.results import Manifest, Results
from pipeline.results_tree import ARCHIVE_ROOT, archive_name
from pipeline.types import AnalysisResult
from pipeline.workspace import link_or_copy


def make_maps(knee: Shown, folder: Path, parts: Parts) -> tuple[Path, Path]:
    """Write into `folder`, an empty one; returns the folders of the viewer files and of the maps. Raises OSError."""
    view_dir, maps_dir = folder / "view", folder / "maps"
    with ThreadPoolExecutor(1) as beside:  # both are mostly compression, which releases the interpreter lock
        view = beside.submit(write_view, knee, view_dir, parts)
        write_maps(knee, maps_dir, parts)
        view.result()
    return view_dir, maps_dir


def make_results(result: AnalysisResult, maps_dir: Path, folder: Path) -> Results:
    """Write everything into `folder`, an empty one. maps_dir: of `make_maps`. Raises OSError."""
    files_dir, archive_path = folder / "files", folder / "archive"
    shutil.copytree(maps_dir, files_dir, copy_function=lambda file, link: link_or_copy(Path(file), Path(link)))
    write_report(result, files_dir)
    write_archive(files_dir, archive_path, root=ARCHIVE_ROOT)
    with archive_path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    manifest = Manifest(
        archive_name=archive_name(result.input_name),
        archive_bytes=archive_path.stat().st_size,
        archive_sha256=digest,
        warnings=result.warnings,
        steps=result.steps,
    )
    return Results(files_dir=files_dir, archive_path=archive_path, manifest=manifest)
