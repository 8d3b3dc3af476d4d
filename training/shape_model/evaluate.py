"""Measure a shape model on unseen knees, fitted as in the pipeline, in comparison with a PCA of the same femora.

python -m training.shape_model.evaluate FEMORA --model FOLDER --output FILE [--knees KNEE ...]: FOLDER is an output of
training; the PCA is fitted by the same search to the same points, with the same fields and latent size (limited by the
number of training femora); its modes are those of the training femora alone. Prints one line per map and writes all to
FILE.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from pipeline.shape.built_in.decoder import FieldDecoder
from pipeline.shape.built_in.weights_file import read_decoder
from pipeline.shape.fit import distances_apart, fit_built_in
from training.shape_model.collection import Femur, load_femora


def measure(decoder: FieldDecoder, femur: Femur, *, cartilage: bool = True) -> dict[str, float]:
    """Mean surface distances in mm, CPU seconds of the fit with its surfaces, length of the latent vector."""
    targets = (femur.bone, femur.cartilage) if cartilage else (femur.bone,)
    began = time.process_time()
    latent, _, made = fit_built_in(decoder, targets, femur.alignment)
    seconds = time.process_time() - began
    names = ("bone_mm", "cartilage_mm")
    found = dict(zip(names, distances_apart(targets, made, femur.alignment), strict=False))
    return found | {"cpu_s": seconds, "latent_length": float(np.linalg.norm(latent))}


def by_knee(rows: list[dict[str, object]], name: str) -> float:
    """Mean over knees of the mean over each knee's visits."""
    knees: dict[str, list[float]] = {}
    for row in rows:
        knees.setdefault(str(row["map"]).split("_")[0], []).append(float(str(row[name])))
    return float(np.mean([np.mean(values) for values in knees.values()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("femora", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--knees", nargs="*", default=None)
    given = parser.parse_args()
    decoders = {"": read_decoder(given.model / "decoder.npz"), "pca_": read_decoder(given.model / "pca.npz")}
    rows: list[dict[str, object]] = []
    for femur in load_femora(given.femora):
        if given.knees is not None and femur.knee not in given.knees:
            continue
        row: dict[str, object] = {"map": femur.name}
        for prefix, decoder in decoders.items():
            row |= {prefix + name: round(value, 4) for name, value in measure(decoder, femur).items()}
        row["bone_only_mm"] = round(measure(decoders[""], femur, cartilage=False)["bone_mm"], 4)
        print(json.dumps(row), flush=True)
        rows.append(row)
    given.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for name in ("bone_mm", "cartilage_mm", "bone_only_mm", "pca_bone_mm", "pca_cartilage_mm", "cpu_s"):
        print(f"{name:18} {by_knee(rows, name):.3f}")


if __name__ == "__main__":
    main()
