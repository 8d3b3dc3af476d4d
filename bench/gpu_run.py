"""The measurements of bench.gpu_check, in the environment with onnxruntime-gpu: writes one JSON file.

    python -m bench.gpu_run ANSWER.json [--map FILE] [--devices cpu cuda] [--minutes 1]

With `--devices cpu cpu` it runs without a card, which shows that the program itself works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.image_io import read_label_map, read_scan
from pipeline.labels import given_segmentation
from pipeline.report.volumes import write_nifti
from pipeline.segmentation import run
from pipeline.segmentation.models.knee_edges import knee_edges
from pipeline.types import LabelArray, Resources, Scan
from training.knee_unet.collection import SAMPLE
from training.knee_unet.scans import UNSEEN, dess_scan
from training.knee_unet.specimen import read_expert_map

ROOT = Path(__file__).resolve().parent.parent
SEED = 60_000


def scans_of(path: Path | None) -> dict[str, Scan]:
    """The sample's scan, and a rendered one of an expert map."""
    found = {"sample": read_scan(ROOT / "samples" / "sample_knee.nii.gz")}
    if path is not None:
        found[path.name.split(".")[0]] = dess_scan(read_expert_map(path, "oai"), UNSEEN[0], SEED)
    return found


def dice_of(a: LabelArray, b: LabelArray) -> dict[str, float]:
    """Dice of every label that occurs in one of two maps, by number."""
    found = {}
    for label in np.union1d(np.unique(a), np.unique(b)):
        if label:
            both, either = np.count_nonzero((a == label) & (b == label)), np.count_nonzero(a == label)
            found[str(label)] = 2.0 * both / (either + np.count_nonzero(b == label))
    return found


def segmented(scan: Scan, device: str) -> tuple[LabelArray, float]:
    """Labels of the default model, and seconds. Raises DeviceMissing if the device cannot be used."""
    resources = Resources(device=device)
    run(knee_edges(), scan, resources, lambda _: None)  # a card compiles its kernels on first use
    begun = time.perf_counter()
    labels = run(knee_edges(), scan, resources, lambda _: None).labels
    return labels, round(time.perf_counter() - begun, 2)


def steps_in(folder: Path) -> int:
    """Steps of a training run, from its log."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return int(json.loads(lines[-1])["step"])


def trained(device: str, minutes: float, scratch: Path) -> int:
    """Steps of training on the sample knee."""
    options = ["--minutes", str(minutes), "--device", device, "--probes", "1", "--output", str(scratch / "train")]
    subprocess.run([sys.executable, "-m", "training.knee_unet.train", *options], cwd=ROOT, check=True)
    return steps_in(scratch / "train")


def adapted(device: str, minutes: float, scratch: Path) -> int:
    """Steps of adapting to one rendered scan of the sample knee."""
    scans, labels, work = scratch / "scans", scratch / "labels", scratch / "work"
    for folder in (scans, labels, scratch / "models"):
        folder.mkdir()
    knee = given_segmentation(read_label_map(ROOT / SAMPLE), "canonical", None)
    write_nifti(scans / "sample.nii.gz", dess_scan(knee, UNSEEN[1], SEED).echoes[0], knee.grid)
    write_nifti(labels / "sample.nii.gz", knee.labels, knee.grid)
    options = ["--id", "gpu_check", "--models-dir", str(scratch / "models"), "--numbering", "canonical", "--folds", "0"]
    options += ["--minutes", str(minutes), "--device", device, "--work", str(work)]
    subprocess.run([sys.executable, "-m", "training.adapt", str(scans), str(labels), *options], cwd=ROOT, check=True)
    return steps_in(next(work.glob("all-*")))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--devices", nargs=2, default=["cpu", "cuda"])
    parser.add_argument("--minutes", type=float, default=1.0)
    given = parser.parse_args()
    if "cuda" in given.devices:
        import onnxruntime

        onnxruntime.preload_dlls()  # CUDA and cuDNN from their packages
    first, second = given.devices
    rows = []
    for name, scan in scans_of(given.map).items():
        (a, slow), (b, fast) = segmented(scan, first), segmented(scan, second)
        rows.append({"name": name, "seconds": {first: slow, second: fast}, "dice": dice_of(a, b)})
        print(rows[-1], flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        steps = {
            "training": trained(second, given.minutes, Path(scratch)),
            "adapting": adapted(second, given.minutes, Path(scratch)),
        }
    content = {"devices": given.devices, "scans": rows, "steps": steps}
    given.answer.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
