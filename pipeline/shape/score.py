"""B-score: position of a shape between healthy knees and knees with osteoarthritis, in standard deviations.

score = (latent . vector - mean of healthy knees) / their standard deviation. The method is that of Bowes et al. (Ann
Rheum Dis 2021, 80:502). A vector belongs to one set of weights and is meaningless with others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError

KEYS: Final = ("bscore_vector", "mean_healthy", "std_healthy")


@dataclass(frozen=True, kw_only=True, eq=False)
class BScoreModel:
    """vector (d,) in latent space; mean and deviation of the projections of healthy knees."""

    vector: NDArray[np.float64]
    mean_healthy: float
    std_healthy: float

    def score(self, latent: NDArray[np.generic]) -> float:
        """The score of a knee, latent (d,). 0: average of healthy knees; 1: one of their standard deviations above."""
        return float((np.asarray(latent, dtype=np.float64) @ self.vector - self.mean_healthy) / self.std_healthy)


def find_score(folder: Path) -> Path | None:
    """The JSON file with a B-score in a model's folder or one level below; None if there is none.

    Raises ModelError if there are several.
    """
    found = [path for path in sorted((*folder.glob("*.json"), *folder.glob("*/*.json"))) if _is_score(path)]
    if len(found) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found)
        raise ModelError(f"{len(found)} B-score files ({names}); expected the one that belongs to this model.")
    return found[0] if found else None


def read_score(path: Path, latent_size: int) -> BScoreModel:
    """Read a B-score. Raises ModelError if a value is not a number or the vector has another latent size."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        vector = np.asarray(data["bscore_vector"], dtype=np.float64).reshape(-1)
        mean, deviation = (float(np.asarray(data[key]).reshape(())) for key in KEYS[1:])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The B-score {path.name} cannot be read: {type(error).__name__}.") from error
    if len(vector) != latent_size:
        raise ModelError(
            f"The B-score {path.name} is for latent vectors of {len(vector)} numbers; this model has {latent_size}."
        )
    if not (np.isfinite(vector).all() and np.isfinite(mean) and np.isfinite(deviation) and deviation > 0):
        raise ModelError(f"The B-score {path.name} has a value that is not finite, or zero deviation.")
    return BScoreModel(vector=vector, mean_healthy=mean, std_healthy=deviation)


def _is_score(path: Path) -> bool:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and set(KEYS) <= set(data)
