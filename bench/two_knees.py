"""Two knees in one scan, with the built-in network: each is measured as the knee alone.

python -m bench.two_knees

The scans are made from the sample knee at half its in-plane resolution and its mirror image, 30 slices apart: two equal
knees, one 8 % smaller, and one cut by the end of the scan.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK
from scipy import ndimage

from bench.service.figures import Figure
from bench.service.site import SAMPLE
from pipeline.command_line.commands import main as kneebox

MOST_MM = 0.02
GAP = 30
SMALLER = 0.92
KEPT_WHEN_CUT = 0.8

Key = tuple[str, str, str, str]


def main() -> int:
    """Print the figures; returns 0 if all meet their bars."""
    sample = SimpleITK.ReadImage(str(SAMPLE))
    whole = SimpleITK.GetArrayFromImage(sample)[:, ::2, ::2]
    spacing = [2 * sample.GetSpacing()[0], 2 * sample.GetSpacing()[1], sample.GetSpacing()[2]]
    mirrored = whole[::-1]
    seconds = {
        "two equal knees": mirrored,
        "one knee 8 % smaller": _smaller(mirrored),
        "one knee cut by the end of the scan": mirrored[: round(len(mirrored) * KEPT_WHEN_CUT)],
    }
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (alone,) = _measured(whole, spacing, sample, folder / "alone")
        for number, (title, second) in enumerate(seconds.items()):
            air = np.zeros((GAP, *whole.shape[1:]), whole.dtype)
            both = _measured(np.concatenate([whole, air, second]), spacing, sample, folder / f"both{number}")
            other = _measured(second, spacing, sample, folder / f"second{number}")
            figures.append(_figure(title, both, [alone, *other]))
            print(figures[-1].line(), flush=True)
    return 0 if all(figure.met for figure in figures) else 1


def _smaller(voxels: np.ndarray) -> np.ndarray:
    """The knee in SMALLER size, in the middle of as many rows and columns as before."""
    small = ndimage.zoom(voxels, SMALLER, order=1)
    missing = np.subtract(voxels.shape[1:], small.shape[1:])
    return np.pad(small, [(0, 0), *((n // 2, n - n // 2) for n in missing)])


def _measured(
    voxels: np.ndarray, spacing: list[float], like: SimpleITK.Image, folder: Path
) -> list[tuple[str, dict[Key, float]]]:
    """The analysis of a scan by the command line: side and mean thickness by region, for each knee."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(spacing)
    image.SetOrigin(like.GetOrigin())
    image.SetDirection(like.GetDirection())
    folder.mkdir()
    SimpleITK.WriteImage(image, str(folder / "knee.nii.gz"))
    with contextlib.redirect_stdout(io.StringIO()):
        kneebox([str(folder / "knee.nii.gz"), str(folder / "results"), "--no-nsm"])
    tables = sorted(folder.rglob("results.csv"))
    return [_read(table) for table in tables if "t2" not in table.parts]


def _read(table: Path) -> tuple[str, dict[Key, float]]:
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["quantity"] == "ThC" and row["statistic"] == "mean"]
    values = {
        (row["method"], row["structure"], row["region"], row["unit"]): float(row["value"])
        for row in rows
        if row["value"]
    }
    return json.loads(table.with_name("results.json").read_text(encoding="utf-8"))["side"], values


def _figure(
    title: str, found: list[tuple[str, dict[Key, float]]], expected: list[tuple[str, dict[Key, float]]]
) -> Figure:
    bar = f"{title}: two results, mean thickness of every region within {MOST_MM} mm of the knee alone, sides right"
    if len(found) != len(expected):
        return Figure(bar=bar, measured=f"{len(found)} results, {len(expected)} of the knees alone", met=False)
    sides = [side for side, _ in found]
    alone = dict(expected)
    if sorted(sides) != sorted(alone):
        return Figure(bar=bar, measured=f"sides {' and '.join(sides)}, alone {' and '.join(alone)}", met=False)
    apart = [abs(values.get(key, np.inf) - value) for side, values in found for key, value in alone[side].items()]
    measured = f"at most {max(apart):.4f} mm in {len(apart)} regions, {' and '.join(sides)}"
    return Figure(bar=bar, measured=measured, met=max(apart) <= MOST_MM)


if __name__ == "__main__":
    sys.exit(main())
