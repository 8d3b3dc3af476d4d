"""The measurements as files: tidy CSV, JSON, and the keys of the peer."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.anatomy import (
    FEMUR_ANTERIOR,
    FEMUR_LATERAL_POSTERIOR,
    FEMUR_LATERAL_WEIGHT_BEARING,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_MEDIAL_WEIGHT_BEARING,
    PATELLA_WHOLE,
    TIBIA_LATERAL,
    TIBIA_MEDIAL,
    Side,
    Structure,
)
from pipeline.flags import Use
from pipeline.oai_variables import OAI_VARIABLES
from pipeline.progress import StepRecord
from pipeline.quantities import SPREAD, THC, Method
from pipeline.results_tree import EDITS, MEASUREMENTS, OAI_TABLE, PEER_RESULTS, PROVENANCE, RESULTS
from pipeline.types import AnalysisResult, Measurement, Segmentation

CSV_COLUMNS: Final = tuple(item.name for item in fields(Measurement))

DECIMALS: Final = 6
"""Fixed decimals in the CSV: 1e-6 mm is far below any voxel, and the text is identical on every platform."""

PEER_KEYS: Final = MappingProxyType(
    {
        FEMUR_ANTERIOR: "ant_fem_cart",
        FEMUR_MEDIAL_WEIGHT_BEARING: "med_wb_fem_cart",
        FEMUR_LATERAL_WEIGHT_BEARING: "lat_wb_fem_cart",
        FEMUR_MEDIAL_POSTERIOR: "med_post_fem_cart",
        FEMUR_LATERAL_POSTERIOR: "lat_post_fem_cart",
        TIBIA_MEDIAL: "med_tib_cart",
        TIBIA_LATERAL: "lat_tib_cart",
        PATELLA_WHOLE: "pat_cart",
    }
)
"""Region -> its name in the results of KneePipeline (config_template.json, regions.cart)."""

OAI_SIDES: Final = (Side.RIGHT, Side.LEFT)
"""In the order of the OAI's numbers, from 1."""

PEER_METHOD: Final = Method.TWO_CROSSING
"""The thickness method that the peer also uses."""


def format_value(value: float) -> str:
    """Six decimals; an empty field for a missing value."""
    if not math.isfinite(value):
        return ""
    text = f"{value:.{DECIMALS}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def measurements_csv(rows: Iterable[Measurement]) -> str:
    """The tidy table as RFC 4180 text with LF line ends: one header line, then one line per row, in the given order."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        values = asdict(row) | {"value": format_value(row.value)}
        writer.writerow([values[name] for name in CSV_COLUMNS])
    return stream.getvalue()


def measurement_from_json(row: Mapping[str, object]) -> Measurement:
    """A row of results.json: null is a missing value (NaN)."""
    values: dict[str, Any] = dict(row) | {"value": math.nan if row["value"] is None else row["value"]}
    return Measurement(**values)


def json_text(data: object) -> str:
    """JSON with a fixed layout; numbers keep all digits, NaN and infinity become null (JSON cannot represent them)."""
    return json.dumps(_without_nan(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _without_nan(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {str(key): _without_nan(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_without_nan(value) for value in data]
    return data


def results_document(result: AnalysisResult) -> dict[str, object]:
    """The results as one document: the rows at full precision, with their qualifications."""
    scan, segmentation = result.scan, result.segmentation
    return {
        "notice": "Research use only. Not for clinical diagnosis.",
        "side": result.alignment.side.value,
        "segmentation_model": segmentation.model_id,
        "scan": None
        if scan is None
        else {
            "sequence": scan.sequence.value,
            "echoes": len(scan.echoes),
            "echo_times_ms": list(scan.echo_times_ms),
            "grid": scan.grid.extended(segmentation.padding).to_dict(),
        },
        "segmentation": {
            "grid": segmentation.scan_grid.to_dict(),
            "confidence": of_the_model(segmentation.confidence, segmentation),
            "surface_entropy_bits": of_the_model(segmentation.surface_entropy_bits, segmentation),
        },
        "alignment": {
            "structure": result.alignment.structure.key,
            "matrix": result.alignment.matrix.tolist(),
            "residual_mm": result.alignment.residual_mm,
            "residual_other_side_mm": result.alignment.residual_other_mm,
        },
        "options": result.provenance.options,
        "warnings": list(result.warnings),
        "flags": [flag.to_dict() for flag in result.flags],
        "steps": [step_document(step) for step in result.steps],
        "measurements": [asdict(row) for row in result.measurements],
    }


def of_the_model(values: Mapping[Structure, float], segmentation: Segmentation) -> dict[str, float]:
    """Figures of a model about its outlines, without those that a reader has corrected."""
    return {structure.key: value for structure, value in values.items() if structure not in segmentation.edited}


def provenance_document(result: AnalysisResult) -> dict[str, object]:
    """The provenance as one document."""
    return asdict(result.provenance)


def step_document(step: StepRecord) -> dict[str, object]:
    """A step's record with plain values."""
    return asdict(step) | {"state": step.state.value}


def peer_results(rows: Iterable[Measurement]) -> dict[str, float | None]:
    """`{region}_mm_{mean,std,median}` under the peer's names, from the common method; null if missing or not usable.

    The peer's format has no place for the reason.
    """
    found = {
        (row.structure, row.region, row.statistic): row.value
        for row in rows
        if row.quantity == THC.id and row.method == PEER_METHOD and row.use != Use.NO
    }
    return {
        f"{name}_mm_{statistic}": found.get((region.plate, region.name, statistic))
        for region, name in PEER_KEYS.items()
        for statistic in SPREAD
    }


def oai_csv(rows: Iterable[Measurement], side: Side) -> str:
    """One header line and one line in the names of the OAI; empty for what is missing or must not be used.

    SIDE is 1 for a right and 2 for a left knee, as there. Thickness in mm, volume in mm3, PD in %.
    """
    found = {row.oai_variable: format_value(row.value) for row in rows if row.oai_variable and row.use != Use.NO}
    values = {"SIDE": str(OAI_SIDES.index(side) + 1)} | {name: found.get(name, "") for name in OAI_VARIABLES.values()}
    return f"{','.join(values)}\n{','.join(values.values())}\n"


def write_tables(result: AnalysisResult, files_dir: Path) -> None:
    """Measurements as CSV, results and provenance as JSON, and the thickness under the peer's names."""
    MEASUREMENTS.target(files_dir).write_text(measurements_csv(result.measurements), encoding="utf-8", newline="\n")
    RESULTS.target(files_dir).write_text(json_text(results_document(result)), encoding="utf-8")
    oai = oai_csv(result.measurements, result.alignment.side)
    OAI_TABLE.target(files_dir).write_text(oai, encoding="utf-8", newline="\n")
    if result.provenance.edits:
        EDITS.target(files_dir).write_text(json_text({"versions": result.provenance.edits}), encoding="utf-8")
    PROVENANCE.target(files_dir).write_text(json_text(provenance_document(result)), encoding="utf-8")
    PEER_RESULTS.target(files_dir).write_text(json_text(peer_results(result.measurements)), encoding="utf-8")
