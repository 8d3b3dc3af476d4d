"""Copy a trained shape model to models/femur_shape, and update the figures of its card.

python -m training.shape_model.export FOLDER: an output of training, with left_out.json and validation.json written by
training.shape_model.evaluate. The text of the card is kept; it names no knee.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any, Final

from pipeline.digest import sha256_of
from pipeline.shape.built_in.model import CARD, FOLDER
from pipeline.shape.built_in.weights_file import read_decoder
from training.shape_model.evaluate import by_knee

MEASURED: Final = ("left_out.json", "validation.json")
STRUCTURES: Final = {"femur": "bone_mm", "femoral_cartilage": "cartilage_mm"}


def accuracy(rows: list[dict[str, object]]) -> dict[str, Any]:
    """The card's figures: mean over knees, and the worst map."""
    knees = {str(row["map"]).split("_")[0] for row in rows}
    return {
        "made_by": "make evaluate-shape",
        "measured_on": (
            f"{len(rows)} expert maps of {len(knees)} knees not used in training, to which the model was fitted: mean "
            "surface distance to the reconstruction and back, mean over knees"
        ),
        "structures": {
            structure: {"mean_surface_distance_mm": round(by_knee(rows, name), 3)}
            for structure, name in STRUCTURES.items()
        },
        "worst_mm": {structure: max(float(str(row[name])) for row in rows) for structure, name in STRUCTURES.items()},
        "bone_only_mm": round(by_knee(rows, "bone_only_mm"), 3),
        "pca_mm": {structure: round(by_knee(rows, f"pca_{name}"), 3) for structure, name in STRUCTURES.items()},
        "maps": [{name: value for name, value in row.items() if name != "map"} for row in rows],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / CARD
    card = json.loads(path.read_text(encoding="utf-8"))
    weights = FOLDER / card["weights"]
    if weights.resolve() != (given.trained / "decoder.npz").resolve():
        shutil.copyfile(given.trained / "decoder.npz", weights)
    rows = [row for name in MEASURED for row in json.loads((given.trained / name).read_text("utf-8"))]
    changed = {
        "sha256": sha256_of(weights),
        "latent_size": read_decoder(weights).latent_size,
        "accuracy": accuracy(rows),
    }
    path.write_text(json.dumps(card | changed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
