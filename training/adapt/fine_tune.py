"""One fine-tuning run: patches of the lab's scans mixed with synthetic ones. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch

from training.adapt.cases import LabCase, known_classes
from training.adapt.patches import lab_patch
from training.generator import scan
from training.generator.pool import AnatomyPool
from training.knee_unet.export import mean_parameters, read_parameters, write_weights
from training.knee_unet.network import KneeUNet, load_parameters
from training.knee_unet.patches import Patch
from training.knee_unet.train import STEPS_PER_ANATOMY, Plan, Run

SHAPE: Final = (96, 96, 96)
PROBES: Final = 2
"""Patches of each kind that are measured at every checkpoint."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """synthetic: share of patches that the generator draws, so that other sequences are not forgotten."""

    cases: Sequence[LabCase]
    pool: AnatomyPool
    synthetic: float

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """That the lab labelled."""
        return known_classes(self.cases)

    def draw(self, rng: np.random.Generator, step: int) -> Patch:
        """A patch of a random scan of the lab, or of a random anatomy."""
        if rng.random() < self.synthetic:
            count = len(self.pool.maps) + step // STEPS_PER_ANATOMY
            return scan.make_patch(self.pool.anatomy(int(rng.integers(count))), rng, SHAPE)
        case = self.cases[int(rng.integers(len(self.cases)))]
        return lab_patch(case, self.classes, rng, SHAPE)

    def probes(self) -> list[Patch]:
        """The same in every run: of the lab's first scans, and of the first anatomies."""
        rngs = [np.random.default_rng((10**6, k)) for k in range(PROBES)]
        lab = [lab_patch(self.cases[k % len(self.cases)], self.classes, rng, SHAPE) for k, rng in enumerate(rngs)]
        drawn = [self.pool.anatomy(k % len(self.pool.maps)) for k in range(PROBES)]
        return lab + [scan.make_patch(one, rng, SHAPE) for one, rng in zip(drawn, rngs, strict=True)]


def device_of(wanted: str) -> str:
    """auto: the first CUDA device, or the CPU. Raises ValueError if CUDA is asked for and missing."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device was found; expected one. Use --device cpu, or torch with CUDA")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted


def class_count(weights: Path) -> int:
    """Number of classes of stored weights, with the background."""
    return len(read_parameters(weights)["head.bias"])


def between(start: dict[str, torch.Tensor], adapted: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Parameters between two networks: `share` of the adapted ones. Those that the first one lacks are adapted ones.

    On images that the adaptation did not show, such a network is closer to the first one than the adapted network is
    (M. Wortsman et al., Robust fine-tuning of zero-shot models, Proc. CVPR 2022; not yet compared with the paper).
    """
    return {
        name: share * values.cpu() + (1.0 - share) * start[name] if name in start else values.cpu()
        for name, values in adapted.items()
    }


def fine_tune(plan: Plan, mixture: Mixture, start: Path, adapted_share: float) -> Path:
    """Train, or resume; returns the stored network (weights.onnx in the plan's folder).

    adapted_share: of the parameters that are stored (`between`)
    """
    target = plan.output / "weights.onnx"
    if target.is_file():
        return target
    plan.output.mkdir(parents=True, exist_ok=True)
    classes = class_count(start)
    run = Run(plan, mixture.probes(), classes)
    run.start(start)
    run.to_the_end(mixture.draw)
    network = KneeUNet(classes=classes)
    trained = mean_parameters([plan.output / "state.pt"])
    load_parameters(network, between(read_parameters(start), trained, adapted_share))
    partial = target.with_name("partial.onnx")
    write_weights(network, partial)
    partial.replace(target)
    return target
