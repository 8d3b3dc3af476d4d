"""Tissue signals of one synthetic scan: a random protocol and tissue properties that vary between people.

Water-excited DESS from its signal equation, spin echo with and without fat suppression (proton density to T2), and
random contrasts of no particular sequence, so that the network learns shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.knee_unet.specimen import BONE_CLASSES, CARTILAGE_CLASSES, CLASS_COUNT, KINDS
from training.limb import Field
from training.signal import TISSUES, Kind, Properties, SignalModel, dess_model, spin_echo_model

FAMILIES: Final = {"dess": 0.54, "fat_suppressed": 0.12, "fat_bright": 0.24, "random": 0.1}
"""Probability of each contrast family."""
DESS_RANGES: Final = {
    "repetition_ms": (14.5, 18.5),
    "echo_ms": (4.2, 5.4),
    "flip_deg": (20.0, 30.0),
    "fat_left": (0.0, 0.14),
}
"""Parameter ranges of training; evaluation uses values outside them (training/knee_unet/evaluate.py)."""
DESS_FLUID: Final = (1.3, 1.8)
"""Minimum signal of fluid relative to cartilage."""
DESS_MARROW: Final = (0.75, 1.05)
"""Maximum signal of marrow relative to cartilage."""
ECHO_MS: Final = {"fat_suppressed": (10.0, 75.0), "fat_bright": (8.0, 85.0)}
REPETITION_MS: Final = (1200.0, 4500.0)
FAT_SUPPRESSED_LEFT: Final = (0.02, 0.3)
DENSITY_JITTER: Final = 0.15
TIME_JITTER: Final = 0.18
"""SD of the log of proton density, and of T1 and T2, per tissue."""
UNTOLD: Final = {
    Kind.VESSEL: (0.0, 0.25),
    Kind.FLUID: (0.0, 0.25),
    Kind.SYNOVIUM: (0.0, 0.25),
    Kind.MARROW: (0.15, 0.4),
}
"""Mean and SD of the log of the signal variation that the table of tissues does not describe. Marrow varies most: if it
is dark, the bone plate under the cartilage is barely visible; if it is bright, a dark line separates the two."""
CARTILAGE_SHADE: Final = 0.05
MARROW_SHADE: Final = 0.06
"""SD of the signal differences between cartilage plates, and between bones."""
CLUSTERS: Final = 6
"""Number of additional grey values for non-anatomical backgrounds."""
LEVEL_COUNT: Final = len(KINDS) + CLUSTERS + CLASS_COUNT - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """Grey value of every tissue, cartilage about 1.

    levels (LEVEL_COUNT,): of KINDS, then of the clusters, then of the network's classes 1, 2, ...
    """

    family: str
    levels: Field

    def of(self, kind: Kind) -> float:
        """Grey value of a tissue."""
        return float(self.levels[KINDS.index(kind)])


def cluster_place(cluster: int) -> int:
    """Index of a cluster's grey value in the levels."""
    return len(KINDS) + cluster


def class_place(first: int = 1) -> int:
    """Index of a class's grey value in the levels."""
    return len(KINDS) + CLUSTERS + first - 1


def draw_contrast(rng: np.random.Generator, family: str | None = None, *, model: SignalModel | None = None) -> Contrast:
    """A contrast of the given family, or of a random one (FAMILIES); model: a fixed instead of a random protocol."""
    if family is None:
        family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    kinds = _random_kinds(rng) if family == "random" else _physical_kinds(rng, family, model)
    levels = np.empty(LEVEL_COUNT, np.float32)
    levels[: len(KINDS)] = kinds
    levels[len(KINDS) : class_place()] = rng.uniform(0.02, 1.8, CLUSTERS)
    for classes, kind, shade in (
        (CARTILAGE_CLASSES, Kind.CARTILAGE, CARTILAGE_SHADE),
        (BONE_CLASSES, Kind.MARROW, MARROW_SHADE),
    ):
        for k in classes:
            levels[class_place(k)] = kinds[KINDS.index(kind)] * (1.0 + shade * rng.standard_normal())
    return Contrast(family=family, levels=levels)


def _physical_kinds(rng: np.random.Generator, family: str, named: SignalModel | None) -> Field:
    model, fat_left = _protocol(rng, family) if named is None else (named, 1.0)
    signals = [_signal(_jittered(TISSUES[kind], rng), model, fat_left) for kind in KINDS]
    kinds = np.array(signals, np.float32) / max(signals[KINDS.index(Kind.CARTILAGE)], 1e-4)
    # not in the table of tissues: flow, synovitis, haemorrhage, red and yellow marrow, incomplete water excitation
    for kind, (middle, spread) in UNTOLD.items():
        kinds[KINDS.index(kind)] *= np.exp(middle + spread * rng.standard_normal())
    if family == "dess":  # keeps the differences due to the long T2 of fluid and to fat suppression
        kinds[KINDS.index(Kind.FLUID)] = max(kinds[KINDS.index(Kind.FLUID)], rng.uniform(*DESS_FLUID))
        kinds[KINDS.index(Kind.MARROW)] = min(kinds[KINDS.index(Kind.MARROW)], rng.uniform(*DESS_MARROW))
    return np.clip(kinds, 0.0, 6.0)


def _protocol(rng: np.random.Generator, family: str) -> tuple[SignalModel, float]:
    """A signal model, and the fraction of the fat signal that remains."""
    if family == "dess":
        return dess_model(**{name: float(rng.uniform(*bounds)) for name, bounds in DESS_RANGES.items()}), 1.0
    echo = float(rng.uniform(*ECHO_MS[family]))
    model = spin_echo_model((echo,), repetition_ms=float(rng.uniform(*REPETITION_MS)))
    return model, float(rng.uniform(*FAT_SUPPRESSED_LEFT)) if family == "fat_suppressed" else 1.0


def _jittered(tissue: Properties, rng: np.random.Generator) -> Properties:
    density, t1, t2 = np.exp(np.array([DENSITY_JITTER, TIME_JITTER, TIME_JITTER]) * rng.standard_normal(3))
    fat = float(np.clip(tissue.fat * (1.0 + 0.06 * rng.standard_normal()), 0.0, 0.98))
    return replace(tissue, density=tissue.density * density, t1_ms=tissue.t1_ms * t1, t2_ms=tissue.t2_ms * t2, fat=fat)


def _signal(tissue: Properties, model: SignalModel, fat_left: float) -> float:
    seen = replace(tissue, density=tissue.density * (1.0 - tissue.fat * (1.0 - fat_left)))
    return float(model(seen, np.array([seen.t2_ms]))[0, 0])


def _random_kinds(rng: np.random.Generator) -> Field:
    """Random grey values with a difference between bone and cartilage."""
    kinds = rng.uniform(0.0, 1.0, len(KINDS)).astype(np.float32)
    cartilage, marrow = rng.uniform(0.1, 1.0), rng.uniform(0.0, 1.0)
    while abs(marrow - cartilage) < 0.12:
        marrow = rng.uniform(0.0, 1.0)
    kinds[KINDS.index(Kind.CARTILAGE)], kinds[KINDS.index(Kind.MARROW)] = cartilage, marrow
    kinds[KINDS.index(Kind.CORTEX)] = rng.uniform(0.0, 0.4)
    kinds[KINDS.index(Kind.AIR)] = rng.uniform(0.0, 0.1)
    return kinds
