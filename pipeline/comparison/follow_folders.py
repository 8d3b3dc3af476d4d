"""Follows the analyses in several folders and writes the folder of the series; series.json is written last."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pipeline.comparison.documents import knee_facts
from pipeline.comparison.folders import read_knee
from pipeline.comparison.names import SERIES, TRENDS, VIEW
from pipeline.comparison.reproducibility import Reproducibility, known_of
from pipeline.comparison.series import OnProgress, Series, Visit, follow
from pipeline.comparison.series_scene import write_series_scene
from pipeline.report.tables import format_value, json_text
from pipeline.results_tree import ViewFile
from pipeline.workspace import atomic_file

_NAMES: Final = ("quantity", "structure", "region", "unit")
_FIGURES: Final = ("slope_per_year", "slope_error", "expected_error", "verdict", "flag", "use")


def follow_folders(
    folders: list[tuple[Path, float]], target: Path, on_progress: OnProgress = lambda _, __: None
) -> Series:
    """folders: of finished analyses, and the time of each in years. Writes VIEW, TRENDS and SERIES.

    Raises NotComparable.
    """
    on_progress(0.0, "Reading all visits")
    visits = [Visit(knee=read_knee(folder), years=years) for folder, years in folders]
    series = follow(visits, known_of_all(visits), lambda share, what: on_progress(0.1 + 0.85 * share, what))
    on_progress(0.95, "Writing the series")
    target.mkdir(parents=True, exist_ok=True)
    write_series_scene(ViewFile.SCENE.at(target / VIEW), series)
    for name, text in ((TRENDS, trends_csv(series)), (SERIES, json_text(series_document(series)))):
        with atomic_file(target / name) as stream:
            stream.write(text.encode())
    return series


def known_of_all(visits: list[Visit]) -> Reproducibility:
    """The repeatability of the model that segmented all visits; empty if models differ, or if it was not measured."""
    first = visits[0].knee
    found = [known_of(first, visit.knee) for visit in visits]
    return found[0] if all(one.regions for one in found) else Reproducibility()


def trends_csv(series: Series) -> str:
    """RFC 4180 text with LF line ends: one column for each visit; an empty field for unknown values."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_NAMES, *(f"year_{years:.3f}" for years in series.years), *_FIGURES])
    for trend in series.trends:
        figures = (*trend.values, trend.slope, trend.error, trend.expected)
        numbers = ["" if value is None else format_value(value) for value in figures]
        names = (trend.quantity, trend.structure, trend.region, trend.unit)
        writer.writerow([*names, *numbers, trend.verdict, trend.flag, trend.use])
    return stream.getvalue()


def series_document(series: Series) -> dict[str, object]:
    """All figures with their qualifications."""
    return {
        "notice": "Research use only. Not for clinical diagnosis.",
        "years": list(series.years),
        "visits": [knee_facts(visit.knee) for visit in series.visits],
        "warnings": list(series.warnings),
        "registration": [
            {
                "structure": bone.structure.key,
                "plate_rms_mm": [later.residual.plate_rms for later in bone.registered],
                "matrix": [later.matrix.tolist() for later in bone.registered],
            }
            for bone in series.bones
        ],
        "trends": [asdict(trend) for trend in series.trends],
    }
