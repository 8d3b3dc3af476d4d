"""Compare with the nearest peer, mskt, on one label map: thickness by region, regions, menisci, time and memory.

    python -m bench.peer --labels FILE [--environment .venv-peer]

FILE is a label map in mskt's numbering, such as the example in its tests. The peer runs in a separate environment,
created from requirements-peer.txt if it is missing. Both run on this machine, one after the other, and are measured in
the same way: CPU seconds from the label map in memory to the region means. Then both measure menisci
(bench/peer_menisci.py), of which nothing is timed. Exit status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import peer_menisci
from pipeline.anatomy import Plate
from pipeline.image_io import read_label_map
from pipeline.quantities import Method

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-peer.txt"

THICKNESS_BAR_MM = 0.06
DICE_BAR = 0.93
CPU_BAR = 40.0
OUR_RUNS = 3
MEMORY_BAR_MB = 1000.0


def environment_python(folder: Path) -> Path:
    """The peer's interpreter; creates its environment if it is missing or its requirements have changed."""
    python, stamp = folder / "bin" / "python", folder / ".ready"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"Creating {folder.name} (2.6 GB, about two minutes) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(digest)
    return python


def measure_peer(python: Path, labels: Path, out_dir: Path) -> dict[str, Any]:
    """Results and cost of peer_run.py."""
    command = [str(python), str(ROOT / "bench" / "peer_run.py"), str(labels), str(out_dir)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=out_dir)
    return _read(out_dir / "peer.json")


def measure_ours(labels: Path, out_dir: Path) -> dict[str, Any]:
    """Results and cost of peer_ours.py: the median of OUR_RUNS processes, because ours takes only seconds."""
    runs = []
    for _ in range(OUR_RUNS):
        subprocess.run([sys.executable, "-m", "bench.peer_ours", str(labels), str(out_dir)], check=True, cwd=ROOT)
        runs.append(_read(out_dir / "ours.json"))
    return sorted(runs, key=lambda run: float(run["cpu_s"]))[OUR_RUNS // 2]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def dice_by_region(out_dir: Path) -> dict[str, float]:
    """Dice of each femoral region between the peer's label map and ours."""
    theirs = read_label_map(out_dir / "peer_subregions.nrrd").labels
    ours = np.load(out_dir / "ours_subregions.npy")
    scores = {}
    for region in Plate.FEMORAL.parts:
        a, b = theirs == region.label, ours == region.label
        scores[region.key] = 2.0 * float((a & b).sum()) / max(1, int(a.sum() + b.sum()))
    return scores


def print_table(peer: dict[str, Any], ours: dict[str, Any], dice: dict[str, float]) -> None:
    """Print the regions, then the cost of each."""
    print(
        f"{'mean thickness, mm':42}{'mskt':>8}{Method.TWO_CROSSING:>14}{'difference':>12}{Method.UNION:>8}{'Dice':>8}"
    )
    for name, region in peer["regions"].items():
        same, union = ours["means"][Method.TWO_CROSSING][name], ours["means"][Method.UNION][name]
        score = f"{dice[name]:.3f}" if name in dice else ""
        title = name.replace("_", " ").replace("/", ", ")
        print(f"{title:42}{region['mean']:8.3f}{same:14.3f}{same - region['mean']:+12.3f}{union:8.3f}{score:>8}")
    print(f"\n{'':42}{'mskt':>8}{'ours':>14}{'ratio':>12}")
    ratio = peer["cpu_s"] / ours["cpu_s"]
    print(f"{'CPU s: surfaces, regions, thickness':42}{peer['cpu_s']:8.1f}{ours['cpu_s']:14.2f}{ratio:11.0f}x")
    without = peer["cpu_meshes_s"]
    print(f"{'  the same without its image registration':42}{without:8.1f}{'':14}{without / ours['cpu_s']:11.0f}x")
    print(
        f"{'peak memory, MB':42}{peer['peak_mb']:8.0f}{ours['peak_mb']:14.0f}{peer['peak_mb'] / ours['peak_mb']:11.1f}x"
    )


def missed_bars(peer: dict[str, Any], ours: dict[str, Any], dice: dict[str, float]) -> list[str]:
    """One line for every missed bar."""
    missed = []
    for name, region in peer["regions"].items():
        difference = abs(ours["means"][Method.TWO_CROSSING][name] - region["mean"])
        if not difference <= THICKNESS_BAR_MM:
            missed.append(f"{name}: {difference:.3f} mm apart, expected at most {THICKNESS_BAR_MM}")
    missed += [f"{name}: Dice {d:.3f}, expected at least {DICE_BAR}" for name, d in dice.items() if d < DICE_BAR]
    if (ratio := peer["cpu_s"] / ours["cpu_s"]) < CPU_BAR:
        missed.append(f"{ratio:.1f} times less CPU time, expected at least {CPU_BAR:.0f}")
    if ours["peak_mb"] > MEMORY_BAR_MB:
        missed.append(f"peak memory {ours['peak_mb']:.0f} MB, expected at most {MEMORY_BAR_MB:.0f}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True, help="label map in mskt's numbering (.nrrd)")
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv-peer", help="environment of the peer")
    given = parser.parse_args()
    if not given.labels.is_file():
        parser.error(f"there is no file {given.labels.name}; expected a label map in mskt's numbering")
    labels = given.labels.resolve()
    python = environment_python(given.environment.absolute())
    with tempfile.TemporaryDirectory() as scratch:
        out_dir = Path(scratch)
        ours = measure_ours(labels, out_dir)
        peer = measure_peer(python, labels, out_dir)
        dice = dice_by_region(out_dir)
        menisci = peer_menisci.compare(python, labels, out_dir)
    print_table(peer, ours, dice)
    peer_menisci.print_menisci(menisci)
    missed = missed_bars(peer, ours, dice) + peer_menisci.missed_bars(menisci)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
