"""README.txt of the results: the files, coordinate system, numbers."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Final

from pipeline.flags import Use
from pipeline.quantities import NOMENCLATURE, PRIMARY, Method
from pipeline.report.colours import THICKNESS_RANGE_MM
from pipeline.report.page_tables import measured
from pipeline.report.tables import CSV_COLUMNS, DECIMALS, PEER_METHOD
from pipeline.results_tree import ARTIFACTS, MEASUREMENTS, PEER_RESULTS, README
from pipeline.types import AnalysisResult

NOTICE: Final = "Research use only. Not for clinical diagnosis."

NAME_WIDTH: Final = 20
"""Of the column of quantity and method names: the longest has 18 characters."""


def readme_text(result: AnalysisResult, files_dir: Path) -> str:
    """The text; it lists existing files, but not the input, whose name may be that of a patient."""
    listed = [(item.path, item.meaning) for item in ARTIFACTS if item is not README and item.found(files_dir)]
    width = max((len(name) for name, _ in listed), default=0) + 2
    model = result.provenance.model
    methods = {row.method for row in result.measurements}
    cite = [f"Segmentation: {model['citation']}"] if model.get("citation") else []
    lines = [
        f"Knee MRI analysis: {result.alignment.side.value} knee",
        NOTICE,
        "",
        "Files",
        *(f"  {name:{width}}{meaning}" for name, meaning in listed),
        "",
        "Coordinates",
        "  LPS, millimetres: x to the patient's left, y posterior, z superior. NIfTI files use RAS,",
        "  as their format requires (x and y with the opposite sign).",
        "",
        "Numbers",
        f"  Columns of {MEASUREMENTS.path}: {', '.join(CSV_COLUMNS)}.",
        f"  It has {DECIMALS} decimals; an empty value with n = 0 means that there is no measurement.",
        *_uses(result),
        *(_explained(quantity.id, quantity.definition) for quantity in measured(result.measurements)),
        f"  Methods; the primary one for thickness is {PRIMARY}:",
        *(_explained(method, method.definition) for method in Method if method in methods),
        "  thickness_mm at a vertex is NaN outside the cartilage plate and 0 on denuded bone;",
        "  region is the label number of the region, 0 outside the plate.",
        "  Pictures colour the bones by thickness from {:g} to {:g} mm.".format(*THICKNESS_RANGE_MM),
        f"  {PEER_RESULTS.path} holds the {PEER_METHOD} estimator.",
        "",
        "Please cite",
        f"  Names of the measures: {NOMENCLATURE}",
        *(f"  {line}" for line in cite),
        "",
    ]
    return "\n".join(lines)


def _uses(result: AnalysisResult) -> list[str]:
    """The column `use`, and the flags of this result."""
    lines = [
        f"  use: {Use.YES}, {Use.CAUTION}, or {Use.NO} (do not use the value); flag: the quality flag that decides it."
    ]
    return lines + [f"  {flag.code}: {flag.summary}" for flag in result.flags]


def _explained(name: str, meaning: str) -> str:
    """Name and meaning in lines of at most 110 characters, the meaning in a separate column."""
    return fill(meaning, 110, initial_indent=f"  {name:<{NAME_WIDTH}}", subsequent_indent=" " * (NAME_WIDTH + 2))
