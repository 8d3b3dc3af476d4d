"""make train-edges: train the networks that locate bone and cartilage edges, on label maps with synthetic
contrast.

    python -m training.edges.train MAPS --output FOLDER [--collect MINUTES] [--fit MINUTES] [--members N]
                                  [--start edges.npz]

Renders synthetic joints of the training maps for the given minutes, segments them with the first pass of the built-in
model, and stores the profiles in FOLDER. Then it fits the networks to all profiles in FOLDER and writes
FOLDER/edges.npz. Resumes when started again: collected profiles are kept. Several processes may collect into one
folder, each with a different seed. Fitting needs 10 MB of memory per joint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.digest import sha256_of
from pipeline.segmentation.edges.network import Ensemble, ProfileNetwork, read_ensemble, write_ensemble
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Resources
from training.edges.errors import errors, first_pass_errors
from training.edges.examples import collect, is_held_out, load
from training.edges.fit import fit
from training.edges.synthesize import generate, synthesize
from training.generator.pool import AnatomyPool
from training.knee_unet.built_in import first_pass_with
from training.knee_unet.collection import Collection, split_maps

VIEWS: Final = 4
"""Each joint is used once unchanged and in three variations, with a different part of its rays in each."""


GENERATED: Final = 0.6
"""Fraction of joints from the generator of clinical scans; the others have random contrasts of the bare maps."""
JOINTS_PER_ANATOMY: Final = 3


def gather(maps: Collection, pool: AnatomyPool, folder: Path, minutes: float, seed: int, weights: Path | None) -> None:
    """Render synthetic joints and collect their profiles for `minutes`."""
    model = first_pass_with(knee_unet(), weights)
    network = model.load(Resources())
    end = time.monotonic() + 60.0 * minutes
    number = 0
    while time.monotonic() < end:
        path = folder / f"{seed:03d}_{number:05d}.npz"
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            if rng.random() < GENERATED:  # anatomies become more with time, because each takes as long as a joint
                joint = generate(pool.anatomy(int(rng.integers(1 + number // JOINTS_PER_ANATOMY))), rng)
            else:
                joint = synthesize(maps.specimen(maps.maps[int(rng.integers(len(maps.maps)))]), rng)
            counts = collect(joint, network, model, path)
            print(f"{path.name}: {joint.family}, rays {' '.join(map(str, counts))}", flush=True)
        number += 1


def learn(folder: Path, minutes: float, seed: int, members: int, start: Ensemble | None = None) -> None:
    """Fit `members` networks to the collected profiles, each to other rays and variations; write the ensemble.

    start: networks to continue from, in turn; None: random weights
    """
    paths = sorted(folder.glob("[0-9]*_[0-9]*.npz"))
    apart = load([path for path in paths if is_held_out(path)] or paths[-1:], np.random.default_rng(seed))
    # A run takes about an hour: print its progress and the accuracy so far.
    print(f"{len(paths)} synthetic joints; first-pass errors, held-out: {first_pass_errors(apart)}", flush=True)
    fitted: list[ProfileNetwork] = []
    for number in range(members):
        examples = load([path for path in paths if not is_held_out(path)], np.random.default_rng([seed, number]), VIEWS)
        first = None if start is None else start.members[number % len(start.members)]
        fitted.append(fit(examples, minutes, seed + number, _loss_printer(), first))
        rays = len(examples.features)
        del examples  # memory does not hold two sets
        ensemble = Ensemble(members=tuple(fitted))
        # one line per network, every half hour: shows whether one more network still helps on held-out joints
        print(f"{len(fitted)} of {members}, {rays} rays: {errors(ensemble, apart)}", flush=True)
        write_ensemble(ensemble, folder / "edges.npz")


def _loss_printer() -> Callable[[int, float], None]:
    """Print the mean loss of every thousand steps."""
    losses: list[float] = []

    def on_step(step: int, loss: float) -> None:
        losses.append(loss)
        if step % 1000 == 0:
            print(f"step {step}: loss {np.mean(losses[-1000:]):.4f}", flush=True)

    return on_step


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of expert label maps, or one with train/ and validation/")
    parser.add_argument("--output", type=Path, default=Path("data/training/edges"))
    parser.add_argument("--specimens", type=Path, default=Path("data/training/specimens"))
    parser.add_argument("--anatomies", type=Path, default=Path("data/training/anatomies"))
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--collect", type=float, default=30.0, metavar="MINUTES")
    parser.add_argument("--fit", type=float, default=25.0, metavar="MINUTES", help="per network (default: 25)")
    parser.add_argument("--members", type=int, default=3, help="networks in the ensemble (default: 3)")
    parser.add_argument("--weights", type=Path, help="first pass to use: a file, or a folder with card.json")
    parser.add_argument("--start", type=Path, help="file of edge networks to continue from")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    maps, _ = split_maps(given.maps)
    if given.collect > 0:
        collection = Collection(maps=maps, numbering=given.numbering, cache=given.specimens)
        pool = AnatomyPool(maps=maps, numbering=given.numbering, folder=given.anatomies)
        gather(collection, pool, given.output, given.collect, given.seed, given.weights)
    if given.fit > 0:
        start = None if given.start is None else read_ensemble(given.start, sha256_of(given.start))
        learn(given.output, given.fit, given.seed, given.members, start)


if __name__ == "__main__":
    main()
