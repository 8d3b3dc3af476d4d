"""Compare with nnU-Net's own predictor: the same network, synthetic scan and number of threads, run one after the
other.

    python -m bench.nnunet --map FILE [--environment .venv-nnunet]

FILE is an expert label map in the numbering `oai` that was not used in training. It is rendered as DESS at full
resolution; both results get the same post-processing and are compared with it. nnU-Net runs with its defaults (tiles
with half overlap, Gaussian weights, mirroring along every axis) and again with left-right mirroring only, since this
network was trained with that mirroring only. The time to load the network is included for ours and excluded for
nnU-Net. Exit status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.segmentation import run
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.postprocess import clean
from pipeline.segmentation.runtime import thread_count
from pipeline.types import Resources, Scan, Segmentation
from training.knee_unet.agreement import compare
from training.knee_unet.scans import UNSEEN, dess_scan
from training.knee_unet.specimen import read_expert_map

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (ROOT / "requirements-nnunet.txt", ROOT / "requirements-train.txt")
SEED = 60_000
TIME_BAR = 0.25
DICE_BAR = 0.005
OURS, DEFAULTS, SIDEWAYS = "ours", "defaults", "mirrored as in training"


def environment_python(folder: Path, requirements: tuple[Path, ...] = REQUIREMENTS) -> Path:
    """The interpreter of an environment; creates it if it is missing or its requirements have changed."""
    python, stamp = folder / "bin" / "python", folder / ".ready"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in requirements)).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"Creating {folder.name} (about 2 GB without CUDA) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    named = [part for path in requirements for part in ("-r", str(path))]
    subprocess.run([*install, *named, "-c", str(ROOT / "requirements.lock")], check=True)
    stamp.write_text(digest)
    return python


def run_ours(model: KneeUnet, scan: Scan, threads: int) -> tuple[Segmentation, dict[str, float]]:
    """Our labels and their cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(model, scan, Resources(threads=threads), lambda _: None)
    return found, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def run_theirs(
    python: Path, model: KneeUnet, scan: Scan, threads: int
) -> dict[str, tuple[Segmentation, dict[str, float]]]:
    """Mirroring -> nnU-Net's labels, canonical and post-processed like ours (not timed), and their cost."""
    order = nearest_order(scan.grid, model.axes)
    table = np.zeros(256, np.uint8)
    for native, structure in model.card.native_to_canonical.to_canonical.items():
        table[native] = structure or 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "image.npy", np.ascontiguousarray(order.to_network(scan.anatomical)))
        request = {
            "spacing_mm": order.spacing_mm(scan.grid),
            "weights": str(model.weights.path),
            "labels": {name: number for number, name in model.card.native_labels.items()},
            "resolution_mm": model.resolution_mm,
            "window_voxels": model.window_voxels,
            "threads": threads,
            "mirrored_axes": {DEFAULTS: [0, 1, 2], SIDEWAYS: [model.side_axis]},
        }
        (folder / "request.json").write_text(json.dumps(request))
        command = [str(python), "-m", "bench.nnunet_run", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise RuntimeError(f"nnU-Net ended with status {done.returncode}: {done.stderr[-2000:]}")
        costs: dict[str, dict[str, float]] = json.loads((folder / "costs.json").read_text())
        answers = {}
        for name, cost in costs.items():
            native = np.load(folder / f"{name}.npy")
            labels = np.ascontiguousarray(order.from_network(table[native]))
            answers[name] = clean(Segmentation(labels=labels, grid=scan.grid, model_id=model.card.id)), cost
    return answers


def show(costs: dict[str, dict[str, float]], dice: dict[str, dict[str, float]]) -> None:
    """Print the cost of each and its agreement with the expert."""
    print(f"{'':28}{'wall s':>9}{'CPU s':>9}{'ours / it, wall':>17}{'CPU':>8}")
    for name, cost in costs.items():
        ratios = [costs[OURS][key] / cost[key] for key in ("wall_s", "cpu_s")]
        print(f"{name:28}{cost['wall_s']:9.1f}{cost['cpu_s']:9.1f}{ratios[0]:17.3f}{ratios[1]:8.3f}")
    print(f"\n{'Dice against the expert':28}" + "".join(f"{name:>26}" for name in dice))
    for part in dice[OURS]:
        cells = "".join(f"{found[part]:18.4f}{found[part] - dice[OURS][part]:+8.4f}" for found in dice.values())
        print(f"{part:28}{cells}")


def missed_bars(costs: dict[str, dict[str, float]], dice: dict[str, dict[str, float]]) -> list[str]:
    """One line for every missed bar, compared with nnU-Net in both mirroring modes."""
    missed = []
    for name in costs.keys() - {OURS}:
        ratio = costs[OURS]["cpu_s"] / costs[name]["cpu_s"]
        if ratio > TIME_BAR:
            missed.append(f"{name}: {ratio:.3f} of its CPU time, expected at most {TIME_BAR}")
        for part, ours in dice[OURS].items():
            if ours < dice[name][part] - DICE_BAR:
                worse = f"Dice {ours:.4f}, nnU-Net {dice[name][part]:.4f}"
                missed.append(f"{name}: {part}: {worse}, expected at most {DICE_BAR} less")
    return missed


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.nnunet", description=str(__doc__).splitlines()[0])
    parser.add_argument("--map", type=Path, required=True, help="expert label map of a held-out knee")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv-nnunet", help="nnU-Net's environment")
    given = parser.parse_args()
    if not given.map.is_file():
        parser.error(f"there is no file {given.map.name}; expected a label map")
    python = environment_python(given.environment.absolute())
    model, threads = knee_unet(), thread_count(Resources())
    truth = read_expert_map(given.map, given.numbering)
    scan = dess_scan(truth, UNSEEN[0], SEED)
    print(f"{' x '.join(map(str, scan.grid.shape))} voxels, {threads} threads", flush=True)
    answers = {OURS: run_ours(model, scan, threads)} | run_theirs(python, model, scan, threads)
    costs = {name: cost for name, (_, cost) in answers.items()}
    dice = {
        name: {part: agreement.dice for part, agreement in compare(found, truth).items()}
        for name, (found, _) in answers.items()
    }
    show(costs, dice)
    missed = missed_bars(costs, dice)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
