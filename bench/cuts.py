"""Label maps cut on each of six sides: area inside stays, no cut face counts as denuded bone, flags name what is cut.

python -m bench.cuts [NUMBERING LABEL_MAP ...]

Each map is cut DEPTH_MM into the cartilage, measured by the command line, and compared with the whole map. Default: the
labels of the sample knee.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK

from bench.service.figures import Figure
from bench.service.site import ROOT
from pipeline.anatomy import ALL
from pipeline.command_line.commands import main as kneebox

SAMPLE_LABELS = ROOT / "samples" / "sample_knee_labels.nii.gz"
DEPTH_MM = 8.0
MOST_APART = 0.01
MOST_DENUDED_MM2 = 1.0
"""Of a plate; dAB itself is a percentage, which rises where a cut takes covered bone away."""

LEAST_AREA_MM2 = 50.0
"""Smaller regions change by more than 1 % with the position of one triangle."""

Region = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """areas: tAB in mm² by structure and region; denuded: mm² of it without cartilage; use: of the area."""

    areas: dict[Region, float]
    denuded: dict[Region, float]
    use: dict[Region, str]
    flags: set[str]


def main() -> int:
    """Print the figures; returns 0 if all meet their bars."""
    figures = []
    numbering, *names = sys.argv[1:] or ("canonical", str(SAMPLE_LABELS))
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            figures += _figures(Path(name), numbering, Path(folder))
    for figure in figures:
        print(figure.line(), flush=True)
    return 0 if all(figure.met for figure in figures) else 1


def _figures(path: Path, numbering: str, folder: Path) -> list[Figure]:
    image = SimpleITK.ReadImage(str(path))
    whole = _measured(image, numbering, folder / "whole")
    found = []
    for axis in range(3):
        for end in ("low", "high"):
            cut = _measured(_cut(image, axis, end), numbering, folder / f"{axis}{end}")
            found.append(_figure(f"{path.name}, axis {'xyz'[axis]}, {end} end", whole, cut))
    return found


def _cut(image: SimpleITK.Image, axis: int, end: str) -> SimpleITK.Image:
    """Without the planes up to DEPTH_MM inside the smaller structures, which are the cartilage."""
    labels = SimpleITK.GetArrayViewFromImage(image)
    counts = np.bincount(labels.ravel())
    bones = np.argsort(counts[1:])[-3:] + 1
    inside = np.argwhere((labels > 0) & ~np.isin(labels, bones))[:, 2 - axis]
    planes = round(DEPTH_MM / image.GetSpacing()[axis])
    start, stop = [0, 0, 0], list(image.GetSize())
    if end == "low":
        start[axis] = int(inside.min()) + planes
    else:
        stop[axis] = int(inside.max()) + 1 - planes
    return image[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]


def _measured(image: SimpleITK.Image, numbering: str, folder: Path) -> Measured:
    folder.mkdir()
    SimpleITK.WriteImage(image, str(folder / "labels.nrrd"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        given = ["--labels", str(folder / "labels.nrrd"), "--numbering", numbering]
        kneebox([*given, str(folder / "results"), "--no-nsm"])
    with (folder / "results" / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == "union" and row["value"]]
    area = {(row["structure"], row["region"]): row for row in rows if row["quantity"] == "tAB"}
    areas = {region: float(row["value"]) for region, row in area.items()}
    percent = {(row["structure"], row["region"]): float(row["value"]) for row in rows if row["quantity"] == "dAB"}
    document = json.loads((folder / "results" / "results.json").read_text(encoding="utf-8"))
    return Measured(
        areas=areas,
        denuded={region: areas[region] * value / 100 for region, value in percent.items()},
        use={region: row["use"] for region, row in area.items()},
        flags={flag["code"] for flag in document["flags"]},
    )


def _figure(title: str, whole: Measured, cut: Measured) -> Figure:
    """Whole plates are complete only if all their regions are."""
    inside = [key for key, use in cut.use.items() if use != "no" and whole.areas.get(key, 0.0) >= LEAST_AREA_MM2]
    apart = {key: abs(cut.areas[key] / whole.areas[key] - 1) for key in inside}
    worst = max(apart, key=lambda key: apart[key]) if apart else None
    plates = {key: value for key, value in cut.denuded.items() if key[1] == ALL}
    denuded = max((value - whole.denuded.get(key, 0.0) for key, value in plates.items()), default=0.0)
    named = sorted(code for code in cut.flags if "FIELD_OF_VIEW" in code)
    text = "none inside" if worst is None else f"{apart[worst]:.2%} ({' '.join(worst)}) of {len(inside)} regions inside"
    return Figure(
        bar=f"{title}: area inside within {MOST_APART:.0%}, denuded at most {MOST_DENUDED_MM2} mm² more, flagged",
        measured=f"{text}; denuded {denuded:+.1f} mm²; {', '.join(named) or 'no flag'}",
        met=(worst is None or apart[worst] <= MOST_APART) and denuded <= MOST_DENUDED_MM2 and bool(named),
    )


if __name__ == "__main__":
    sys.exit(main())
