"""Run `kneebox validate` on rendered knees in all layouts: figures, resumption after a kill, gain of a process.

    python -m bench.validate_sets MAPS [--pairs 20] [--only "SKM-TEA" ...] [--folder build/validate_sets]

MAPS are expert label maps. The scans are cut to the joint. The layout of the challenge needs h5py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from bench.labelled_sets import LAYOUTS, Pair
from pipeline.anatomy import Plate
from pipeline.grid import Grid
from pipeline.validation.case import RESULT
from pipeline.validation.files import CASES
from training.evaluation.scan import unseen_dess
from training.generator.materials import PLATES
from training.generator.space import box_around
from training.knee_unet.collection import maps_in

ROOT: Final = Path(__file__).resolve().parent.parent
JOINT_MM: Final = 30.0
"""Around the cartilage."""
PROCESSES: Final = 2
GAIN: Final = 1.8
"""Required of a second process."""


def pair(path: Path, numbering: str, number: int) -> Pair:
    """A rendered scan of a knee, cut to the joint, and its canonical label map."""
    rendered = unseen_dess(path, numbering, number, 1000 + number)
    grid = rendered.scan.grid
    box = box_around(rendered.truth.mask(*PLATES), round(JOINT_MM / min(grid.spacing_mm)))
    assert box is not None
    offset = tuple(part.start for part in box)
    return _image(rendered.scan.anatomical[box], grid, offset), _image(rendered.truth.labels[box], grid, offset)


def _image(values: NDArray[np.generic], grid: Grid, offset: Sequence[int]) -> sitk.Image:
    """An image of a part of a grid that starts at a voxel (z, y, x)."""
    affine = grid.affine[:, [2, 1, 0, 3]]
    image = sitk.GetImageFromArray(values)
    z, y, x = grid.spacing_mm
    image.SetSpacing((x, y, z))
    image.SetDirection((affine[:3, :3] / [x, y, z]).ravel().tolist())
    image.SetOrigin((affine @ [*offset[::-1], 1.0])[:3].tolist())
    return image


def command(folders: tuple[Path, Path], output: Path, processes: int) -> list[str]:
    """The command line of a validation."""
    scans, labels = map(str, folders)
    words = ["validate", scans, labels, "--output", str(output), "--set", "rendered", "--processes", str(processes)]
    return [sys.executable, "-m", "pipeline", *words]


def validated(folders: tuple[Path, Path], output: Path, processes: int) -> float:
    """Run it from nothing; wall seconds. Raises CalledProcessError."""
    shutil.rmtree(output, ignore_errors=True)
    begun = time.perf_counter()
    subprocess.run(command(folders, output, processes), cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - begun


def finished(output: Path) -> dict[Path, int]:
    """Results of finished cases, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in output.glob(f"*/*/{CASES}/*/{RESULT}")}


def killed_and_resumed(folders: tuple[Path, Path], output: Path, kill_after: int) -> tuple[int, int]:
    """Kill it after some cases and start it again; (finished before the kill, of these computed again)."""
    shutil.rmtree(output, ignore_errors=True)
    call = command(folders, output, PROCESSES)
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(finished(output)) < kill_after and process.poll() is None:
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(2.0)  # its children end with it
    first = finished(output)
    subprocess.run(call, cwd=ROOT, check=True, capture_output=True)
    after = finished(output)
    return len(first), sum(after.get(path) != written for path, written in first.items())


def line(output: Path) -> str:
    """Number of cases, and Dice of the plates."""
    (path,) = output.glob("rendered/*/rendered.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    dice = {name: row["dice"] for name, row in found["structures"].items() if name in tuple(Plate)}
    return f"{found['cases']} cases, {found['refused']} refused; " + ", ".join(f"{k} {v:.3f}" for k, v in dice.items())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path)
    parser.add_argument("--numbering", default="oai", help="of the maps")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=tuple(LAYOUTS), default=list(LAYOUTS))
    parser.add_argument("--folder", type=Path, default=Path("build/validate_sets"))
    parser.add_argument("--no-times", action="store_true", help="no kill, and no run with one process")
    given = parser.parse_args()
    maps = maps_in(given.maps)
    pairs = [pair(maps[n % len(maps)], given.numbering, n) for n in range(given.pairs)]
    for number, name in enumerate(given.only):
        root = given.folder / name.replace(" ", "_")
        shutil.rmtree(root, ignore_errors=True)
        folders, output = LAYOUTS[name](root / "set", pairs), root / "out"
        if number == 0 and not given.no_times:
            done, again = killed_and_resumed(folders, output, given.pairs // 4)
            print(f"{name}: killed after {done} cases; {again} of them computed again", flush=True)
            alone, together = (validated(folders, output, count) for count in (1, PROCESSES))
            word = "met" if alone >= GAIN * together else "MISSED"
            print(
                f"{word}  {PROCESSES} processes {alone / together:.2f} x ({alone:.0f} s, {together:.0f} s)", flush=True
            )
        else:
            validated(folders, output, PROCESSES)
        print(f"{name}: {line(output)}", flush=True)


if __name__ == "__main__":
    main()
