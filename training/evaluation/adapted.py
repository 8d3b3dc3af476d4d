"""What `make adapt` gains with few labelled scans: a lab whose images are blurred and masked, in simulation.

    python -m training.evaluation.adapted MAPS [--counts 0 1 2 5 10] [--minutes 12] [--knees 3] [--folder build/adapted]

The lab's scans are the blurred, masked average of conditions.py, rendered from expert maps in MAPS/train. The adapted
weights are measured on other knees (MAPS/validation), as the lab scans them, and as DESS scans of the domain before.
A stopped run resumes. Needs torch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pipeline.anatomy import Plate
from pipeline.report.volumes import write_nifti
from pipeline.segmentation import run
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Resources
from training.adapt.__main__ import ADAPTED_SHARE, Setting
from training.adapt.pairs import Pair
from training.adapt.validate import WITH_EDGES
from training.evaluation.__main__ import first_maps, seed_of
from training.evaluation.examine import Examined, Group, examine
from training.evaluation.record import Record
from training.evaluation.scan import Rendered, blurred_average, unseen_dess
from training.knee_unet.built_in import built_in, with_first_pass
from training.knee_unet.collection import split_maps

LAB: Final = "lab"
BEFORE: Final = "before"
DOMAINS: Final[dict[str, Callable[[Path, str, int, int], Rendered]]] = {LAB: blurred_average, BEFORE: unseen_dess}
SYNTHETIC: Final = 0.5
"""The default of make adapt."""
CANONICAL: Final = "canonical"
LOST_AT_MOST: Final = 0.005
CLOSED_AT_LEAST: Final = 0.5
JUDGED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Of weights adapted to `scans` scans. lab, before: mean over knees of the figures of each domain."""

    scans: int
    minutes: float
    lab: dict[str, float]
    before: dict[str, float]

    def line(self) -> str:
        """One line of the table."""
        figures = "  ".join(
            f"{domain}: "
            + ", ".join(f"{name} {value:+.3f}" if "mm" in name else f"{name} {value:.3f}" for name, value in of.items())
            for domain, of in ((LAB, self.lab), (BEFORE, self.before))
        )
        return f"{self.scans} scans, {self.minutes:.1f} min  {figures}"


def lab_pair(path: Path, numbering: str, folder: Path) -> Pair:
    """A scan of the lab and its label map, written once."""
    name = path.name.split(".")[0]
    scan, labels = folder / "scans" / f"{name}.nii.gz", folder / "labels" / f"{name}.nii.gz"
    if not labels.is_file():
        rendered = blurred_average(path, numbering, 0, seed_of(LAB, path))
        for target, voxels in ((scan, rendered.scan.anatomical), (labels, rendered.truth.labels)):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"partial-{target.name}")
            write_nifti(partial, voxels, rendered.scan.grid)
            partial.replace(target)
    return Pair(name=name, knee=name, scan=scan, labels=labels)


def adapted_to(pairs: list[Pair], minutes: float, folder: Path) -> Path:
    """Weights as `make adapt` installs them, after its last training."""
    setting = Setting(
        pairs=pairs,
        numbering=CANONICAL,
        work=folder,
        minutes=minutes,
        synthetic=SYNTHETIC,
        adapted_share=ADAPTED_SHARE,
        device="cpu",
        start=knee_unet().weights.path,
    )
    return setting.trained_on(pairs, f"scans_{len(pairs)}")


def figures(
    weights: Path | None, held: list[tuple[int, Path]], numbering: str, folder: Path
) -> dict[str, dict[str, float]]:
    """Domain -> figure -> mean over the knees: Dice of all cartilage, and ThC bias over all regions in mm."""
    model = with_first_pass(built_in(WITH_EDGES), weights)
    record = Record(folder=folder, model=WITH_EDGES, digests=model.identity().digests)
    found: dict[str, dict[str, float]] = {}
    for domain, render in DOMAINS.items():
        knees = []
        for number, path in held:
            one = record.read(path, domain)
            if one is None:
                rendered = render(path, numbering, number, seed_of(domain, path))
                name = path.name.split(".")[0]
                one = examine(
                    name, domain, rendered, lambda scan: run(model, scan, Resources(), lambda _: None), model.card
                )
                record.write(path, one)
            knees.append(one)
        found[domain] = means(knees)
    return found


def means(knees: Sequence[Examined]) -> dict[str, float]:
    """Over the knees. Raises ValueError if one failed: its figures would be missing silently."""
    if failed := [f"{one.knee}: {one.failed}" for one in knees if one.failed]:
        raise ValueError("; ".join(failed))
    plates = {plate.value for plate in Plate}
    dice = [np.mean([v for name, v in one.values[Group.DICE].items() if name in plates]) for one in knees]
    bias = [np.mean(list(one.values[Group.THC].values())) for one in knees]
    return {"cartilage Dice": float(np.mean(dice)), "ThC bias mm": float(np.mean(bias))}


def verdict(gains: Sequence[Gain]) -> list[str]:
    """The share of the gap to the domain before that is closed, and what is lost there."""
    first = next(one for one in gains if one.scans == 0)
    gap = first.before["cartilage Dice"] - first.lab["cartilage Dice"]
    lines = []
    for one in gains:
        if one.scans == 0:
            continue
        closed = (one.lab["cartilage Dice"] - first.lab["cartilage Dice"]) / gap
        lost = first.before["cartilage Dice"] - one.before["cartilage Dice"]
        met = "met" if closed >= CLOSED_AT_LEAST and lost <= LOST_AT_MOST else "MISSED"
        lines.append(
            f"{met if one.scans == JUDGED else '    '}  {one.scans} scans: {closed:.0%} of the gap closed "
            f"(at least {CLOSED_AT_LEAST:.0%}), {lost:+.4f} lost on DESS (at most {LOST_AT_MOST})"
        )
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path)
    parser.add_argument("--numbering", default="oai", help="of the maps")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[0, 1, 2, JUDGED, 10], help="scans that are adapted to"
    )
    parser.add_argument("--minutes", type=float, default=12.0, help="training time of each count")
    parser.add_argument("--knees", type=int, default=3, help="knees that the weights are measured on")
    parser.add_argument("--threads", type=int, help="of the training; default: all cores")
    parser.add_argument("--folder", type=Path, default=Path("build/adapted"))
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    train, validation = split_maps(given.maps)
    held = first_maps(validation, given.knees)
    shown = [path for _, path in first_maps(train, max(given.counts))]
    pairs = [lab_pair(path, given.numbering, given.folder) for path in shown]
    gains = []
    for count in sorted({0, *given.counts}):
        begun = time.perf_counter()
        weights = adapted_to(pairs[:count], given.minutes, given.folder) if count else None
        minutes = (time.perf_counter() - begun) / 60
        gains.append(
            Gain(scans=count, minutes=minutes, **figures(weights, held, given.numbering, given.folder / "results"))
        )
        print(gains[-1].line(), flush=True)
    print("\n".join(verdict(gains)))


if __name__ == "__main__":
    main()
