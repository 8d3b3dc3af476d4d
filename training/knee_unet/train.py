"""make train: train the network on patches of synthetic scans. Needs torch (requirements-train.txt).

    python -m training.knee_unet.train [MAPS] [--minutes 5] [--start WEIGHTS.onnx]

Most patches come from the generator of clinical scans (training/generator), the others from random contrasts of the
bare maps (patches.py). The output folder contains specimens, anatomies (40 MB each), state.pt (checkpoint), best.pt
(best on the probes) and log.jsonl. The same call resumes an interrupted run. Without a folder of maps, the network is
trained on the sample knee alone: this shows that training runs, and gives no useful network.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.generator import scan
from training.generator.families import FAMILIES
from training.generator.pool import AnatomyPool
from training.knee_unet.collection import SAMPLE, WHERE, Collection, split_maps
from training.knee_unet.export import read_parameters
from training.knee_unet.network import KneeUNet, aligned, known_classes, load_parameters, soft_loss
from training.knee_unet.patches import Patch, make_patch
from training.knee_unet.specimen import NETWORK_CLASS_COUNT

SHAPES = ((96, 96, 96), (112, 128, 128))
LARGE = 0.15
"""Fraction of larger patches: inference uses windows of 128."""
WARM_UP = 40
FINAL_RATE = 0.02
CLIP_NORM = 5.0
LONGEST_MEMORY = 0.995
"""Maximum decay of the moving average of the parameters."""
FIRST_MAPS = 4
STEPS_PER_MAP = 10
"""The first steps use few maps, so that training starts before all maps are prepared."""
PROBES = 8
"""Patches of bare maps, and twice as many of the generator, that are measured at every checkpoint."""
BARE = 0.3
"""Fraction of patches of bare maps."""
STEPS_PER_ANATOMY = 12
"""An anatomy takes as long as three steps: their number grows during training."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of a run. minutes: total training time over all restarts; pause: wait while this file exists; device: of
    torch.
    """

    output: Path
    minutes: float
    rate: float
    seed: int
    checkpoint_minutes: float
    pause: Path | None
    device: str = "cpu"


class Run:
    """One training run: network, moving average of its parameters, optimiser, and progress."""

    def __init__(self, plan: Plan, probes: list[Patch], classes: int = NETWORK_CLASS_COUNT) -> None:
        self.plan, self.probes = plan, probes
        torch.manual_seed(plan.seed)
        self.network, self.average = (KneeUNet(classes=classes).to(plan.device) for _ in range(2))
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=plan.rate, weight_decay=1e-4, betas=(0.9, 0.98)
        )
        self.step, self.seconds, self.best = 0, 0.0, -1.0
        # emulated bfloat16 is slow
        self.reduced = plan.device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    def start(self, weights: Path | None) -> None:
        """Start from state.pt if it exists; otherwise from stored weights or from random ones."""
        state = self.plan.output / "state.pt"
        if state.is_file():
            kept = torch.load(state, weights_only=True, map_location=self.plan.device)
            self.network.load_state_dict(kept["network"])
            self.average.load_state_dict(kept["average"])
            self.optimiser.load_state_dict(kept["optimiser"])
            self.step, self.seconds, self.best = kept["step"], kept["seconds"], kept["best"]
            print(f"resuming from step {self.step}, {self.seconds / 60:.1f} minutes", flush=True)
            return
        if weights is not None:
            load_parameters(self.network, read_parameters(weights))
        self.average.load_state_dict(self.network.state_dict())
        self.note(loss=None)

    def to_the_end(self, draw: Callable[[np.random.Generator, int], Patch]) -> None:
        """Train for the minutes of the plan; write a checkpoint every checkpoint_minutes and at the end."""
        self.network.train()
        losses: list[float] = []
        first, saved = self.step, time.monotonic()
        while self.seconds < 60 * self.plan.minutes:
            while self.plan.pause is not None and self.plan.pause.exists():
                time.sleep(2.0)
            begun = time.monotonic()
            losses.append(
                self._learn(draw(np.random.default_rng((self.plan.seed, self.step)), self.step), self.step - first)
            )
            self.seconds += time.monotonic() - begun
            if time.monotonic() - saved > 60 * self.plan.checkpoint_minutes:
                self.note(loss=float(np.mean(losses)))
                losses, saved = [], time.monotonic()
        self.note(loss=float(np.mean(losses)) if losses else None)

    def _learn(self, patch: Patch, since_start: int) -> float:
        share = min(1.0, self.seconds / (60 * self.plan.minutes))
        rate = self.plan.rate * (FINAL_RATE + (1.0 - FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * share)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (since_start + 1) / WARM_UP)
        image, targets = (torch.from_numpy(array)[None].to(self.plan.device) for array in (patch.image, patch.targets))
        with torch.autocast(torch.device(self.plan.device).type, dtype=torch.bfloat16, enabled=self.reduced):
            outputs = self.network(image)
        pairs = [aligned(logits, targets, classes_of(patch)) for logits in outputs]
        loss = soft_loss((pairs[0][0], pairs[1][0]), pairs[0][1])
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        memory = min(LONGEST_MEMORY, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.mul_(memory).add_(new, alpha=1.0 - memory)
        return float(loss.detach())

    def note(self, loss: float | None) -> None:
        """Measure the probes, save the state and the best parameters, and add a line to the log."""
        kinds = {len(probe.targets) for probe in self.probes}  # of bare maps, of the generator, of a lab
        measured = {k: examine(self.average, [p for p in self.probes if len(p.targets) == k]) for k in sorted(kinds)}
        score = float(np.mean([np.nanmean(dice) for dice, _ in measured.values()]))
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": max(self.best, score),
        }
        _save(state, self.plan.output / "state.pt")
        if score > self.best:
            self.best = score
            _save({"average": self.average.state_dict(), "step": self.step}, self.plan.output / "best.pt")
        line: dict[str, Any] = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 2),
            "loss": loss and round(loss, 4),
            "mean": round(score, 4),
        }
        for classes, (dice, entropy) in measured.items():
            line[f"probe_loss_{classes}"] = round(entropy, 4)
            line[f"probe_dice_{classes}"] = [None if math.isnan(d) else round(float(d), 4) for d in dice]
        with (self.plan.output / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def _save(content: dict[str, Any], path: Path) -> None:
    """Write atomically: if killed while writing, the previous file remains."""
    partial = path.with_suffix(".part")
    torch.save(content, partial)
    partial.replace(path)


@torch.no_grad()
def examine(network: KneeUNet, probes: list[Patch]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """Dice (classes - 1,) of the most probable class against the targets' largest share, and the mean cross-entropy."""
    network.eval()
    hits, sizes, entropy = np.zeros(NETWORK_CLASS_COUNT), np.zeros(NETWORK_CLASS_COUNT), 0.0
    device = next(network.parameters()).device
    for probe in probes:
        logits = network(torch.from_numpy(probe.image)[None].to(device)).cpu()
        logits, targets = aligned(logits, torch.from_numpy(probe.targets)[None], classes_of(probe))
        log_shares = known_classes(torch.log_softmax(logits, 1), targets.shape[1])[0]
        numbers = np.array([number for number in classes_of(probe) if number < network.head.out_channels])
        entropy -= float((targets[0] * log_shares).sum(0).mean()) / len(probes)
        answer, truth = numbers[log_shares.argmax(0).numpy()], numbers[targets[0].argmax(0).numpy()]
        hits += np.bincount(truth[truth == answer], minlength=NETWORK_CLASS_COUNT)
        for labels in (truth, answer):
            sizes += np.bincount(labels.ravel(), minlength=NETWORK_CLASS_COUNT)
    with np.errstate(invalid="ignore"):
        return np.asarray(2.0 * hits[1:] / sizes[1:]), entropy


def classes_of(patch: Patch) -> tuple[int, ...]:
    """The network's class of each of the patch's targets."""
    return patch.classes or tuple(range(len(patch.targets)))


def draw_patch(collection: Collection, pool: AnatomyPool, rng: np.random.Generator, step: int) -> Patch:
    """A patch of a random map or anatomy; at the beginning only of the first few."""
    shape = SHAPES[int(rng.random() < LARGE)]
    if rng.random() < BARE:
        count = min(len(collection.maps), FIRST_MAPS + step // STEPS_PER_MAP)
        return make_patch(collection.specimen(collection.maps[int(rng.integers(count))]), rng, shape)
    return scan.make_patch(pool.anatomy(int(rng.integers(FIRST_MAPS + step // STEPS_PER_ANATOMY))), rng, shape)


def make_probes(collection: Collection, pool: AnatomyPool, count: int) -> list[Patch]:
    """Patches that are the same in every run: DESS of evenly spaced maps, and every family of the generator in turn."""
    chosen = [collection.maps[(k * len(collection.maps)) // count] for k in range(count)]
    bare = [
        make_patch(collection.specimen(path), np.random.default_rng((10**6, k)), family="dess")
        for k, path in enumerate(chosen)
    ]
    families = list(FAMILIES)
    # the second anatomy of each map: the first one is healthy
    drawn = [pool.anatomy(k % len(pool.maps) + len(pool.maps)) for k in range(2 * count)]
    return bare + [
        scan.make_patch(anatomy, np.random.default_rng((10**6, k)), family=families[k % len(families)])
        for k, anatomy in enumerate(drawn)
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, nargs="?", help="folder of label maps, or one with train/ and validation/")
    parser.add_argument("--numbering", default=None, help="label numbering (default: oai; for the sample: canonical)")
    parser.add_argument("--output", type=Path, default=Path("data/training"))
    parser.add_argument("--minutes", type=float, default=5.0, help="total training time")
    parser.add_argument("--start", type=Path, help="stored weights (.onnx) to start from; default: random weights")
    parser.add_argument("--specimens", type=Path, help="folder for prepared maps (default: in the output folder)")
    parser.add_argument("--anatomies", type=Path, help="folder for drawn anatomies (default: in the output folder)")
    parser.add_argument("--rate", type=float, default=2e-3, help="maximum learning rate; from weights: 6e-4")
    parser.add_argument("--checkpoint-minutes", type=float, default=1.0)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--device", default="cpu", help="of torch: cpu or cuda")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--probes", type=int, default=PROBES, help="number of patches measured at every checkpoint")
    parser.add_argument("--pause", type=Path, help="wait while this file exists")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    numbering = given.numbering or ("oai" if given.maps else "canonical")
    if given.maps is None:
        print(f"{WHERE}\n\nNo folder was given: training on the sample knee alone.\n", flush=True)
    training, held = split_maps(given.maps) if given.maps else ([SAMPLE], [])
    given.output.mkdir(parents=True, exist_ok=True)
    cache = given.specimens or given.output / "specimens"
    collection = Collection(maps=_shuffled(training, given.seed), numbering=numbering, cache=cache)
    of = Collection(maps=held, numbering=numbering, cache=cache) if held else collection
    anatomies = given.anatomies or given.output / "anatomies"
    pool, held_pool = (AnatomyPool(maps=some.maps, numbering=numbering, folder=anatomies) for some in (collection, of))
    print(f"{len(training)} training maps, {len(held)} held out for the probes", flush=True)
    plan = Plan(
        output=given.output,
        minutes=given.minutes,
        rate=given.rate,
        seed=given.seed,
        checkpoint_minutes=given.checkpoint_minutes,
        pause=given.pause,
        device=given.device,
    )
    run = Run(plan, make_probes(of, held_pool, given.probes))
    run.start(given.start)
    run.to_the_end(lambda rng, step: draw_patch(collection, pool, rng, step))


def _shuffled(maps: list[Path], seed: int) -> list[Path]:
    order = np.random.default_rng(seed).permutation(len(maps))
    return [maps[k] for k in order]


if __name__ == "__main__":
    main()
