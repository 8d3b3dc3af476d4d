"""What the viewers of the pages read: beside the results, not among them."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.view_slices import write_slices
from pipeline.types import AnalysisResult


def write_view(result: AnalysisResult, view_dir: Path) -> None:
    """Write the files of every viewer, each as gzip; the same result gives the same bytes."""
    write_slices(result, view_dir)
