"""Train the built-in shape model. Run it: python -m training.shape_model.train FEMORA --output FOLDER --minutes 20

FEMORA is an output of training.shape_model.collection. The linear start (subspace.py) takes half a minute; then the
mean, the modes, the correction network and one latent code per femur are trained jointly on the signed distances of
real and synthetic femora. Resumes when started again. --without excludes all visits of the given knees.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.shape.built_in.fit import REGULARISATION
from pipeline.shape.built_in.weights_file import write_decoder
from training.shape_model.collection import load_femora
from training.shape_model.network import Network
from training.shape_model.prepare import (
    SYNTHETIC_PER_FEMUR,
    Stock,
    linear_decoder,
    load_prepared,
    prepared,
    save_prepared,
    stocked,
)
from training.shape_model.subspace import Start, linear_start

LATENT: Final = 64

POINTS: Final = 3000
"""Points per step, of one femur."""

RATES: Final = {"modes": 5e-4, "network": 2e-3, "codes": 1e-2}
WARM_SHARE: Final = 0.02
NEAR_MM: Final = 3.0
PLATE_MM: Final = 2.0
"""Larger distances are clipped to these."""

ROUND_MM: Final = 0.2


def loss_of(found: Tensor, bone: Tensor, cartilage: Tensor) -> Tensor:
    """Mean distance error, quadratic below ROUND_MM; distances are clipped far from a surface."""
    off_bone = (found[:, 0].clamp(-NEAR_MM, NEAR_MM) - bone.clamp(-NEAR_MM, NEAR_MM)).abs()
    off_plate = (found[:, 1].clamp(-PLATE_MM, PLATE_MM) - cartilage.clamp(-PLATE_MM, PLATE_MM)).abs()
    both = torch.cat([off_bone, off_plate])
    return torch.where(both < ROUND_MM, both**2 / (2 * ROUND_MM), both - ROUND_MM / 2).mean()


class Run:
    """Network, codes and optimiser: the content of a checkpoint."""

    def __init__(self, start: Start, stock: Stock, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = Network(start)
        codes = torch.tensor(stock.codes, dtype=torch.float32)
        self.codes = nn.Embedding.from_pretrained(codes, freeze=False, sparse=True)
        groups = {
            "modes": [self.network.modes, self.network.mean],
            "network": [*self.network.hidden.parameters(), *self.network.last.parameters()],
        }
        main = torch.optim.Adam([{"params": p, "lr": RATES[n], "name": n} for n, p in groups.items()])
        own = torch.optim.SparseAdam([{"params": [self.codes.weight], "lr": RATES["codes"], "name": "codes"}])
        self.optimisers = (main, own)
        self.rng = np.random.default_rng(seed)
        self.seconds = 0.0
        self.steps = 0

    def step(self, stock: Stock, done: float) -> float:
        """One step on one femur; `done` is the elapsed fraction of the time. Returns the loss in mm."""
        rate = min(1.0, done / WARM_SHARE + 0.05) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        for optimiser in self.optimisers:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = RATES[group["name"]] * rate
        which = int(self.rng.integers(len(stock.samples)))
        samples = stock.samples[which]
        chosen = self.rng.integers(len(samples.points), size=POINTS)
        code = self.codes(torch.tensor(which))
        found = self.network(torch.from_numpy(samples.points[chosen]), code)
        loss = loss_of(found, torch.from_numpy(samples.bone[chosen]), torch.from_numpy(samples.cartilage[chosen]))
        (loss + REGULARISATION / 1000 * code @ code).backward()
        for optimiser in self.optimisers:
            optimiser.step()
        self.steps += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Replaced whole."""
        state = {
            "network": self.network.state_dict(),
            "codes": self.codes.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "rng": self.rng.bit_generator.state,
            "seconds": self.seconds,
            "steps": self.steps,
        }
        unfinished = path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.codes.load_state_dict(state["codes"])
        for optimiser, stored in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored)
        self.rng.bit_generator.state = state["rng"]
        self.seconds, self.steps = state["seconds"], state["steps"]


def train(run: Run, stock: Stock, minutes: float, checkpoint: Path) -> None:
    """Train for `minutes`, including the time before a restart."""
    began, losses, reported = time.monotonic() - run.seconds, [], time.monotonic()
    while run.seconds < 60 * minutes:
        losses.append(run.step(stock, run.seconds / (60 * minutes)))
        run.seconds = time.monotonic() - began
        if time.monotonic() - reported > 60:
            print(f"{run.seconds / 60:5.1f} min  {run.steps:6d} steps  {np.mean(losses):.4f} mm", flush=True)
            run.save(checkpoint)
            losses, reported = [], time.monotonic()
    run.save(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("femora", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--without", nargs="*", default=[], metavar="KNEE")
    parser.add_argument("--latent", type=int, default=LATENT)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.output.mkdir(parents=True, exist_ok=True)
    ready = given.output / "prepared.npz"
    if not ready.exists():
        femora = tuple(femur for femur in load_femora(given.femora) if femur.knee not in given.without)
        measured, outlines = prepared(femora)
        write_decoder(linear_decoder(linear_start(measured, given.latent, smooth=False)), given.output / "pca.npz")
        start = linear_start(measured, given.latent)
        save_prepared(start, stocked(start, outlines), ready)
    start, stock = load_prepared(ready)
    run = Run(start, stock, given.seed)
    checkpoint = given.output / "checkpoint.pt"
    if checkpoint.exists():
        run.restore(checkpoint)
    print(f"{len(stock.samples)} femora, {SYNTHETIC_PER_FEMUR} of {SYNTHETIC_PER_FEMUR + 1} synthetic", flush=True)
    train(run, stock, given.minutes, checkpoint)
    write_decoder(run.network.decoder(), given.output / "decoder.npz")


if __name__ == "__main__":
    main()
