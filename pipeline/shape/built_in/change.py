"""Change score (experimental): how far a femur lies along the direction in which knees changed between two visits.

0 is the mean first visit of the training knees, 1 the mean change after it (3 to 8 years). Knees differ among each
other as well, so only the difference between two visits of one knee means anything. Whether it is disease, age, or how
the later maps were drawn, the training knees cannot tell. No B-score.
"""

from __future__ import annotations

import numpy as np

from pipeline.grid import FloatArray
from pipeline.shape.built_in.model import BuiltInShape


def change_score(model: BuiltInShape, latent: FloatArray) -> float | None:
    """None where the model has no such direction, or was fitted to bone alone, where it was not measured."""
    change = model.card.get("change")
    if not change or model.kind != "bone_and_cart" or len(change["vector"]) != len(latent):
        return None
    return float(latent @ np.asarray(change["vector"], dtype=np.float64) - change["first_visits"])
