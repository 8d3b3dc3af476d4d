"""The files of a comparison: comparison.json and a tidy changes.csv."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any, Final

from pipeline.comparison.changes import Change
from pipeline.comparison.compare import Comparison
from pipeline.comparison.knee import Knee
from pipeline.comparison.ordered import ordered_changes
from pipeline.report.tables import format_value
from pipeline.segmentation.identity import named_digests

CSV_COLUMNS: Final = (
    "quantity",
    "structure",
    "region",
    "a",
    "b",
    "change",
    "change_percent",
    "sdc",
    "verdict",
    "registration_rms_mm",
    "unit",
    "flag",
    "use",
)


def changes_csv(rows: tuple[Change, ...]) -> str:
    """RFC 4180 text with LF line ends; an empty field for unknown values."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        values = asdict(row)
        writer.writerow([_cell(values[name]) for name in CSV_COLUMNS])
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return format_value(value) if isinstance(value, float) else str(value)


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """All figures with their qualifications."""
    known = comparison.reproducibility
    return {
        "notice": "Research use only. Not for clinical diagnosis.",
        "a": knee_facts(comparison.knees[0]),
        "b": knee_facts(comparison.knees[1]),
        "mirrored": comparison.mirrored,
        "warnings": list(comparison.warnings),
        "registration": [
            {
                "structure": bone.structure.key,
                "matrix": bone.matrix.tolist(),
                "mean_mm": bone.residual.mean,
                "rms_mm": bone.residual.rms,
                "p95_mm": bone.residual.p95,
                "plate_rms_mm": bone.residual.plate_rms,
                "overlap_percent": 100.0 * bone.residual.overlap,
            }
            for bone in comparison.bones
        ],
        "registration_note": registration_note(comparison),
        "sdc": {
            "known": bool(known.regions),
            "method": known.method,
            "knees": known.knees,
            "repeats": known.repeats,
        },
        "changes": [asdict(row) for row in comparison.changes],
        "ordered": asdict(ordered_changes(comparison.changes)),
    }


def knee_facts(knee: Knee) -> dict[str, object]:
    """Facts about a compared analysis."""
    return {
        "side": knee.side.value,
        "model": knee.model.to_dict() | {k: v for k, v in named_digests(knee.model.digests).items() if v},
        "options": knee.options,
        "spacing_mm": list(knee.grid.spacing_mm),
        "flags": [flag.to_dict() for flag in knee.flags],
    }


def registration_note(comparison: Comparison) -> str:
    """The effect of the registration error on the differences, as text."""
    worst = max(comparison.bones, key=lambda bone: bone.residual.plate_rms)
    errors = [row.registration_error for row in comparison.changes if row.registration_error is not None]
    if not errors:
        return "No cartilage could be compared point by point."
    return (
        f"Under the cartilage the bones are at most {worst.residual.plate_rms:.2f} mm apart (rms, "
        f"{worst.structure.title.lower()}). If they were also shifted by this distance along the surface, this alone "
        f"would change the mean of a region by up to {max(errors):.3f} mm; single points, especially at the "
        "edge of a plate, can change by much more."
    )
