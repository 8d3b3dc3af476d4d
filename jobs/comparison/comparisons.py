"""Comparisons of two finished jobs, as jobs.comparison.kept keeps them."""

from __future__ import annotations

from pathlib import Path

from jobs.comparison.document import JobComparison, read_comparison
from jobs.comparison.kept import Compared, Report, kept_folder
from jobs.errors import ResultNotFound
from pipeline.comparison.names import RESULT, TABLE, VIEW
from pipeline.results_tree import ViewFile, view_file_in


def comparison(first_id: str, second_id: str, report: Report = lambda _, __: None) -> JobComparison:
    """What differs from the first job to the second: comparison.json, with the ids of both.

    Computed if missing, which takes some seconds. Raises JobNotFound, JobNotFinished, ResultNotFound (of
    either job), NotComparable, ServerBusy, ComparisonFailed.
    """
    folder = kept_folder(_pair(first_id, second_id), report)
    return read_comparison(folder / RESULT, first_id, second_id)


def comparison_table(first_id: str, second_id: str) -> Path:
    """changes.csv, computed if missing. Raises as `comparison`."""
    return kept_folder(_pair(first_id, second_id)) / TABLE


def comparison_view(first_id: str, second_id: str, name: str) -> Path:
    """Path of a viewer file (`scene.bin`), stored as gzip. Raises as `comparison`."""
    path = view_file_in(kept_folder(_pair(first_id, second_id)) / VIEW, name)
    if path is None:
        raise ResultNotFound("There is no such file for the viewers.", hint=f"The comparison has {ViewFile.SCENE}.")
    return path


def _pair(first_id: str, second_id: str) -> Compared:
    return Compared(job_ids=(first_id, second_id), names=("First analysis", "Second analysis"))
