"""Preparation of training: femora aligned to their mean, the linear start, samples with initial codes; and its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.grid import FloatArray
from pipeline.shape.built_in.decoder import FieldDecoder
from pipeline.shape.built_in.fit import POSE_STEPS, fit, targets_of
from pipeline.shape.built_in.lattice import Lattice
from pipeline.shape.placement import below_cut
from training.shape_model.collection import Femur
from training.shape_model.network import Network
from training.shape_model.samples import Outline, Samples, deformed, outline_of, samples_of
from training.shape_model.subspace import COARSE_MM, HIGH, LOW, Fields, Start, mean_bone, measured_fields

SYNTHETIC_PER_FEMUR: Final = 6
"""Synthetic deformations of each femur."""

CHOSEN: Final = 6000
"""Samples per femur from which its initial code is fitted."""

NEAR_MM: Final = 3.0
"""Only samples this close to the bone are used for it."""

LATTICES: Final = ("fine", "coarse")
PARTS: Final = ("low", "cell_mm", "counts")
SAMPLE_ARRAYS: Final = ("points", "outward", "bone", "cartilage")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stock:
    """Training data: samples of real and synthetic femora, and their initial codes (n, d)."""

    samples: list[Samples]
    codes: FloatArray


def registered_to_mean(femora: tuple[Femur, ...], decoder: FieldDecoder | None) -> list[Outline]:
    """Femora in the model's frame: as aligned, or registered to a mean."""
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
    """Femora registered to their mean, and their fields in that frame."""
    outlines = registered_to_mean(femora, None)
    outlines = registered_to_mean(femora, linear_decoder(mean_bone(outlines)))
    measured = measured_fields(outlines)
    return measured, outlines


def stocked(start: Start, outlines: list[Outline]) -> Stock:
    """Samples of every femur and of its SYNTHETIC_PER_FEMUR deformations, with codes from the linear start."""
    rng = np.random.default_rng(1)
    lattice = Lattice.over(LOW, HIGH, COARSE_MM)
    samples = []
    for outline in outlines:
        own = samples_of(outline, rng)
        samples += [own, *(deformed(own, lattice, rng) for _ in range(SYNTHETIC_PER_FEMUR))]
    decoder = linear_decoder(start)
    return Stock(samples=samples, codes=np.stack([first_code(decoder, one, rng) for one in samples]))


def first_code(decoder: FieldDecoder, samples: Samples, rng: np.random.Generator) -> FloatArray:
    """(d,): ridge regression of distance and thickness on the modes."""
    chosen = rng.permutation(len(samples.points))[:CHOSEN]
    bone, plate = samples.bone[chosen].astype(np.float64), samples.cartilage[chosen]
    sampling = decoder.sampling(samples.points[chosen].astype(np.float64))
    near, outer = np.abs(bone) < NEAR_MM, (np.abs(plate) < 0.5) & (bone > 0.7)
    rows = np.concatenate([(sampling.modes @ decoder.modes[0])[near], (sampling.modes @ decoder.modes[1])[outer]])
    wanted = np.concatenate([(bone - sampling.mean[:, 0])[near], (bone - plate - sampling.mean[:, 1])[outer]])
    rows = rows.astype(np.float64)
    found: FloatArray = np.linalg.solve(rows.T @ rows + 5.0 * np.eye(rows.shape[1]), rows.T @ wanted)
    return found


def save_prepared(start: Start, stock: Stock, path: Path) -> None:
    """Save the linear start and the samples, so that a restart does not compute them again."""
    arrays = {f"{name}_{part}": getattr(getattr(start, name), part) for name in LATTICES for part in PARTS}
    arrays |= {name: getattr(start, name) for name in ("mean", "rows", "modes")}
    arrays |= {f"sample_{name}": np.stack([getattr(one, name) for one in stock.samples]) for name in SAMPLE_ARRAYS}
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, codes=stock.codes, **arrays)
    unfinished.replace(path)


def load_prepared(path: Path) -> tuple[Start, Stock]:
    """Read the file written by `save_prepared`."""
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
