"""The text that goes with the results: what each file is, coordinate system, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.report.colours import THICKNESS_RANGE_MM
from pipeline.report.tables import CSV_COLUMNS, DECIMALS, PEER_METHOD
from pipeline.results_tree import ARTIFACTS, MEASUREMENTS, PEER_RESULTS, README
from pipeline.types import AnalysisResult

NOTICE: Final = "Research use only. Not for clinical diagnosis."


def readme_text(result: AnalysisResult, files_dir: Path) -> str:
    """The text; it names the files that are there, and not the input, whose name may be a patient's."""
    listed = [(item.path, item.meaning) for item in ARTIFACTS if item is not README and item.found(files_dir)]
    width = max((len(name) for name, _ in listed), default=0) + 2
    model = result.provenance.model
    cite = [f"Segmentation: {model['citation']}"] if model.get("citation") else []
    lines = [
        f"Knee MRI analysis: {result.alignment.side.value} knee",
        NOTICE,
        "",
        "Files",
        *(f"  {name:{width}}{meaning}" for name, meaning in listed),
        "",
        "Coordinates",
        "  LPS, millimetres: x to the patient's left, y to the back, z to the head. NIfTI files say the same in RAS,",
        "  as their format asks for (x and y with the opposite sign).",
        "",
        "Numbers",
        f"  Columns of {MEASUREMENTS.path}: {', '.join(CSV_COLUMNS)}.",
        f"  It has {DECIMALS} decimals; an empty value with n = 0 means that there was nothing to measure.",
        "  ThC     cartilage thickness where there is cartilage, weighted by area",
        "  ThCtAB  the same over the total area of subchondral bone, denuded bone counted as 0",
        "  tAB     total area of subchondral bone; dAB its denuded share in per cent",
        "  method  union: bone surface to the end of bone-or-cartilage (primary);",
        "          two_crossing: both crossings of the cartilage label (the estimator of pymskt and KneePipeline)",
        "  thickness_mm at a vertex is NaN outside the cartilage plate and 0 where the plate is denuded;",
        "  region is the label number of the region, 0 outside the plate.",
        "  Pictures colour the bones by thickness from {:g} to {:g} mm.".format(*THICKNESS_RANGE_MM),
        f"  {PEER_RESULTS.path} holds the {PEER_METHOD} estimator.",
        "",
        "Please cite",
        "  Eckstein F et al. Proposal for a nomenclature for magnetic resonance imaging based measures of articular",
        "  cartilage in osteoarthritis. Osteoarthritis and Cartilage 2006; 14: 974-983.",
        *(f"  {line}" for line in cite),
        "",
    ]
    return "\n".join(lines)
