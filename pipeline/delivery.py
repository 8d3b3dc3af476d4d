"""Writes the results tree and the zip of one analysis."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.report import write_archive, write_report
from pipeline.results import Manifest, Results
from pipeline.results_tree import ARCHIVE_ROOT, archive_name
from pipeline.types import AnalysisResult


def make_results(result: AnalysisResult, folder: Path) -> Results:
    """Write everything into `folder`, an empty one. Raises OSError where a file cannot be written."""
    files_dir, archive_path = folder / "files", folder / "archive"
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
