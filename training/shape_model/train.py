"""Train the built-in shape model. Run it: python -m training.shape_model.train FEMORA --output FOLDER --minutes 20

FEMORA holds what training.shape_model.collection made. The linear start (subspace.py) takes half a minute; then the
mean, the modes, the correcting network and a latent code a femur are trained together on signed distances, on the
femora and on imagined ones. Goes on where it was when it is started again. --without leaves knees out, all visits.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.grid import FloatArray
from pipeline.shape.built_in.decoder import FieldDecoder
from pipeline.shape.built_in.fit import POSE_STEPS, PULL, fit, targets_of
from pipeline.shape.built_in.lattice import Lattice
from pipeline.shape.built_in.weights_file import write_decoder
from pipeline.shape.placement import below_cut
from training.shape_model.collection import Femur, load_femora
from training.shape_model.network import Network
from training.shape_model.samples import Outline, Samples, imagined, outline_of, samples_of
from training.shape_model.subspace import COARSE_MM, HIGH, LOW, Fields, Start, linear_start, mean_bone, measured_fields

LATENT: Final = 64
IMAGINED: Final = 6
"""Of each femur."""

POINTS: Final = 3000
"""In a step, of one femur."""

RATES: Final = {"modes": 5e-4, "network": 2e-3, "codes": 1e-2}
WARM_SHARE: Final = 0.02
NEAR_MM: Final = 3.0
PLATE_MM: Final = 2.0
"""Distances beyond count as these."""

ROUND_MM: Final = 0.2

LATTICES: Final = ("fine", "coarse")
PARTS: Final = ("low", "cell_mm", "counts")
SAMPLE_ARRAYS: Final = ("points", "outward", "bone", "cartilage")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stock:
    """What training draws from: samples of femora and imagined ones, and their first codes (n, d)."""

    samples: list[Samples]
    codes: FloatArray


def laid_on_mean(femora: tuple[Femur, ...], decoder: FieldDecoder | None) -> list[Outline]:
    """Femora in the model's frame: as they are aligned, or laid on a mean."""
    matrices = [femur.alignment.matrix for femur in femora]
    if decoder is not None:
        matrices = [
            fit(
                decoder,
                targets_of(femur.bone, below_cut(femur.bone, femur.alignment), None),
                matrix,
                most_steps=POSE_STEPS,
            )[0]
            for femur, matrix in zip(femora, matrices, strict=True)
        ]
    return [outline_of(femur, matrix) for femur, matrix in zip(femora, matrices, strict=True)]


def linear_decoder(start: Start) -> FieldDecoder:
    """The linear start without a network."""
    return Network(start).decoder()


def prepared(femora: tuple[Femur, ...]) -> tuple[Fields, list[Outline]]:
    """Femora as they lie on their mean, and their fields there."""
    outlines = laid_on_mean(femora, None)
    outlines = laid_on_mean(femora, linear_decoder(mean_bone(outlines)))
    measured = measured_fields(outlines)
    return measured, outlines


def stocked(start: Start, outlines: list[Outline]) -> Stock:
    """Samples of every femur and of IMAGINED more of each, and the codes that the linear start gives them."""
    rng = np.random.default_rng(1)
    lattice = Lattice.over(LOW, HIGH, COARSE_MM)
    samples = []
    for outline in outlines:
        own = samples_of(outline, rng)
        samples += [own, *(imagined(own, lattice, rng) for _ in range(IMAGINED))]
    decoder = linear_decoder(start)
    return Stock(samples=samples, codes=np.stack([first_code(decoder, one, rng) for one in samples]))


def first_code(decoder: FieldDecoder, samples: Samples, rng: np.random.Generator) -> FloatArray:
    """(d,): ridge regression of distance and thickness on the modes."""
    chosen = rng.permutation(len(samples.points))[: 2 * POINTS]
    bone, plate = samples.bone[chosen].astype(np.float64), samples.cartilage[chosen]
    sampling = decoder.sampling(samples.points[chosen].astype(np.float64))
    near, outer = np.abs(bone) < NEAR_MM, (np.abs(plate) < 0.5) & (bone > 0.7)
    rows = np.concatenate([(sampling.modes @ decoder.modes[0])[near], (sampling.modes @ decoder.modes[1])[outer]])
    wanted = np.concatenate([(bone - sampling.mean[:, 0])[near], (bone - plate - sampling.mean[:, 1])[outer]])
    rows = rows.astype(np.float64)
    found: FloatArray = np.linalg.solve(rows.T @ rows + 5.0 * np.eye(rows.shape[1]), rows.T @ wanted)
    return found


def loss_of(found: Tensor, bone: Tensor, cartilage: Tensor) -> Tensor:
    """Mean distance error, quadratic below ROUND_MM; far from a surface only that it is far."""
    off_bone = (found[:, 0].clamp(-NEAR_MM, NEAR_MM) - bone.clamp(-NEAR_MM, NEAR_MM)).abs()
    off_plate = (found[:, 1].clamp(-PLATE_MM, PLATE_MM) - cartilage.clamp(-PLATE_MM, PLATE_MM)).abs()
    both = torch.cat([off_bone, off_plate])
    return torch.where(both < ROUND_MM, both**2 / (2 * ROUND_MM), both - ROUND_MM / 2).mean()


def save_prepared(start: Start, stock: Stock, path: Path) -> None:
    """The linear start and the samples, so that a restart need not make them again."""
    arrays = {f"{name}_{part}": getattr(getattr(start, name), part) for name in LATTICES for part in PARTS}
    arrays |= {name: getattr(start, name) for name in ("mean", "rows", "modes")}
    arrays |= {f"sample_{name}": np.stack([getattr(one, name) for one in stock.samples]) for name in SAMPLE_ARRAYS}
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, codes=stock.codes, **arrays)
    unfinished.replace(path)


def load_prepared(path: Path) -> tuple[Start, Stock]:
    """What `save_prepared` wrote."""
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    fine, coarse = (
        Lattice(
            low=stored[f"{name}_low"],
            cell_mm=float(stored[f"{name}_cell_mm"]),
            counts=tuple(int(n) for n in stored[f"{name}_counts"]),  # type: ignore[arg-type]
        )
        for name in LATTICES
    )
    start = Start(fine=fine, mean=stored["mean"], coarse=coarse, rows=stored["rows"], modes=stored["modes"])
    columns = [stored[f"sample_{name}"] for name in SAMPLE_ARRAYS]
    samples = [Samples(**dict(zip(SAMPLE_ARRAYS, arrays, strict=True))) for arrays in zip(*columns, strict=True)]
    return start, Stock(samples=samples, codes=stored["codes"])


class Run:
    """Network, codes and optimiser, as a checkpoint holds them."""

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
        """One femur; `done` is the share of the time that is over. Returns the loss in mm."""
        rate = min(1.0, done / WARM_SHARE + 0.05) * 0.5 * (1 + np.cos(np.pi * min(done, 1.0)))
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
        (loss + PULL / 1000 * code @ code).backward()
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
    """Until the minutes are over, counting those before a restart."""
    began, losses, told = time.monotonic() - run.seconds, [], time.monotonic()
    while run.seconds < 60 * minutes:
        losses.append(run.step(stock, run.seconds / (60 * minutes)))
        run.seconds = time.monotonic() - began
        if time.monotonic() - told > 60:
            print(f"{run.seconds / 60:5.1f} min  {run.steps:6d} steps  {np.mean(losses):.4f} mm", flush=True)
            run.save(checkpoint)
            losses, told = [], time.monotonic()
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
    print(f"{len(stock.samples)} femora, {IMAGINED} of {IMAGINED + 1} imagined", flush=True)
    train(run, stock, given.minutes, checkpoint)
    write_decoder(run.network.decoder(), given.output / "decoder.npz")


if __name__ == "__main__":
    main()
