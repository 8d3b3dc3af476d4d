"""Series of three and more finished jobs, the visits of one knee, as jobs.comparison.kept keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobs.comparison.document import JobSeries, read_series
from jobs.comparison.kept import Compared, Report, kept_folder
from jobs.errors import ResultNotFound
from pipeline.comparison.names import SERIES, TRENDS, VIEW
from pipeline.comparison.visits import TIME_HINT, require_times, years_of
from pipeline.errors import NotComparable
from pipeline.results_tree import ViewFile, view_file_in

MOST_VISITS: Final = 12
"""Each later visit costs 2 to 6 s of CPU time; other comparisons wait meanwhile."""


def series(job_ids: Sequence[str], times: Sequence[str], report: Report = lambda _, __: None) -> JobSeries:
    """Every figure of the jobs against time: series.json, with the ids of the visits.

    times: of the scan of each job: dates, or years after any date. The order in which the jobs are given changes
    nothing. Computed if missing, which takes some seconds. Raises NotComparable for jobs and times that are no series
    (see pipeline.comparison.visits), JobNotFound, JobNotFinished, ResultNotFound (of one of the jobs), ServerBusy,
    ComparisonFailed.
    """
    visits = _visits(job_ids, times)
    return read_series(kept_folder(visits, report) / SERIES, visits.job_ids)


def series_table(job_ids: Sequence[str], times: Sequence[str]) -> Path:
    """trends.csv, computed if missing. Raises as `series`."""
    return kept_folder(_visits(job_ids, times)) / TRENDS


def series_view(job_ids: Sequence[str], times: Sequence[str], name: str) -> Path:
    """Path of a viewer file (`scene.bin`), stored as gzip. Raises as `series`."""
    path = view_file_in(kept_folder(_visits(job_ids, times)) / VIEW, name)
    if path is None:
        raise ResultNotFound("There is no such file for the viewers.", hint=f"The series has {ViewFile.SCENE}.")
    return path


def _visits(job_ids: Sequence[str], times: Sequence[str]) -> Compared:
    """In the order of time, with years after the earliest visit: dates are not kept."""
    if len(job_ids) != len(times):
        raise NotComparable(
            f"{len(job_ids)} analyses and {len(times)} times were given; expected one time for each.", hint=TIME_HINT
        )
    if len(job_ids) > MOST_VISITS:
        raise NotComparable(
            f"{len(job_ids)} visits were given; expected at most {MOST_VISITS}.",
            hint="Leave some out, or use `kneebox follow` on the command line.",
        )
    if len(set(job_ids)) < len(job_ids):
        raise NotComparable("An analysis was given more than once.", hint="Give one analysis for each visit.")
    ordered = sorted(zip(years_of(times), job_ids, strict=True))
    require_times([years for years, _ in ordered])
    return Compared(
        job_ids=tuple(job_id for _, job_id in ordered),
        names=tuple(f"Visit {number}" for number in range(1, len(ordered) + 1)),
        years=tuple(years - ordered[0][0] for years, _ in ordered),
    )
