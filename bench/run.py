"""make bench: measure the figures that the documentation states and the tests do not check.

python -m bench.run [--labels FOLDER_WITH_OAI_LABEL_MAPS] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import t2
from bench.phantoms import Errors, ellipsoid, ellipsoid_errors, slab_errors
from pipeline.anatomy import ALL, Plate
from pipeline.quantities import PRIMARY, THC, Method
from training.sample import make_sample, nifti_image

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "sample_knee.nii.gz"
NIFTI_HEADER_BYTES = 352


def phantoms() -> None:
    """Union thickness on rotated spheres, ellipsoids and slabs."""
    print("true mm   shape       bias mm   RMSE mm   missed %   (5 random poses each, 0.7 x 0.3646 x 0.3646 mm)")
    for thickness in (0.8, 1.0, 1.5, 2.0, 3.0, 4.0):
        shapes: dict[str, Callable[[int], Errors]] = {
            "sphere": lambda seed, t=thickness: ellipsoid_errors(ellipsoid((20, 20, 20), t, seed))[Method.UNION],
            "ellipsoid": lambda seed, t=thickness: ellipsoid_errors(ellipsoid((22, 17, 26), t, seed))[Method.UNION],
            "slab": lambda seed, t=thickness: slab_errors(t, seed)[Method.UNION],
        }
        for name, measure in shapes.items():
            found = [measure(seed) for seed in range(5)]
            bias = sum(e.bias for e in found) / len(found)
            rmse = math.sqrt(sum(e.rmse**2 for e in found) / len(found))
            missed = sum(e.missed for e in found) / len(found)
            print(f"{thickness:6.1f}    {name:10} {bias:+9.4f} {rmse:9.4f} {missed:10.2f}")


def _timed(arguments: list[str]) -> tuple[float, float, float]:
    """(wall s, CPU s, peak MB) of one child process. Raises CalledProcessError if it fails."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args)
    unit = 1024 if sys.platform == "linux" else 1024**2
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def whole() -> None:
    """Analyse the sample knee twice, from file to zip."""
    for model in ("nnunet_fullres", "nnunet_cascade"):
        tables = []
        for turn in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                wall, cpu, peak = _timed([str(SAMPLE), folder, "--model", model])
                tables.append((Path(folder) / "results.csv").read_bytes())
                steps = json.loads((Path(folder) / "provenance.json").read_text())["seconds"]
            print(f"{model} run {turn}: {wall:.1f} s wall, {cpu:.1f} CPU s, peak {peak:.0f} MB")
            print("   " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in steps.items()))
        print(f"   results.csv of both runs identical: {tables[0] == tables[1]}")


def sample() -> None:
    """Regenerate the sample knee and compare it with the installed one; rounding may differ between machines."""
    scan, labels, grid = make_sample()
    for made, name in ((labels, "sample_knee_labels.nii.gz"), (scan, SAMPLE.name)):
        installed = gzip.decompress((SAMPLE.parent / name).read_bytes())
        again = nifti_image(made, grid).to_bytes()
        new, old = (np.frombuffer(content, made.dtype, offset=NIFTI_HEADER_BYTES) for content in (again, installed))
        same = again[:NIFTI_HEADER_BYTES] == installed[:NIFTI_HEADER_BYTES]
        differ = np.count_nonzero(new != old)
        print(f"{name}: header {'identical' if same else 'DIFFERS'}, {differ:,} of {made.size:,} voxels differ")


def label_maps(folder: Path) -> None:
    """Analyse every expert map of a folder with --labels: cost and side; without the shape model."""
    for path in sorted(folder.glob("*.nii.gz")):
        with tempfile.TemporaryDirectory() as out:
            wall, cpu, peak = _timed(["--labels", str(path), "--numbering", "oai", "--no-nsm", out])
            side = json.loads((Path(out) / "results.json").read_text())["side"]
            with (Path(out) / "results.csv").open(newline="") as stream:
                means = {
                    row["region"]: row["value"]
                    for row in csv.DictReader(stream)
                    if (row["quantity"], row["method"], row["statistic"], row["structure"])
                    == (THC.id, PRIMARY, THC.main, Plate.FEMORAL)
                }
        cost = f"{wall:5.1f} s wall {cpu:5.1f} CPU s {peak:5.0f} MB"
        print(f"{path.stem[:11]} {side:6} {cost}   ThC femur {means[ALL]} mm")


def main() -> None:
    """Run the chosen parts (default: all)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, help="folder with OAI label maps")
    parser.add_argument("--only", nargs="*", choices=("phantoms", "t2", "sample", "whole", "labels"))
    given = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {"phantoms": phantoms, "t2": t2.main, "sample": sample, "whole": whole}
    if given.labels:
        parts["labels"] = lambda: label_maps(given.labels)
    for name, part in parts.items():
        if not given.only or name in given.only:
            print(f"\n== {name}", flush=True)
            part()


if __name__ == "__main__":
    main()
