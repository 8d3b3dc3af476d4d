"""MR signal: signal equations of the sequences, and tissue properties at 3 T.

Times in ms, angles in degrees, signals in units of the equilibrium magnetisation of pure water.

DESS: steady state with one cycle of dephasing per repetition (FID S+ and echo S-): M. L. Gyngell, Magn.
Reson. Imaging 6, 1988; H. Bruder et al., Magn. Reson. Med. 7, 1988; in the form of B. A. Hargreaves, J. Magn. Reson.
Imaging 36, 2012. Relaxation times: G. E. Gold et al., Am. J. Roentgenol. 183, 2004 (cartilage, fluid, muscle, marrow,
fat at 3 T); the other tissues are chosen to match scans of the Osteoarthritis Initiative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


class Kind(StrEnum):
    """Tissue class of a position in the limb."""

    AIR = "air"
    SKIN = "skin"
    FAT = "fat"
    FAT_PAD = "fat_pad"
    MUSCLE = "muscle"
    TENDON = "tendon"
    VESSEL = "vessel"
    FLUID = "fluid"
    SYNOVIUM = "synovium"
    MENISCUS = "meniscus"
    CARTILAGE = "cartilage"
    MARROW = "marrow"
    CORTEX = "cortex"


@dataclass(frozen=True, kw_only=True)
class Properties:
    """MR properties of a tissue.

    density      of the visible protons relative to water; includes the effects of magnetisation transfer and flow
    t1_ms, t2_ms relaxation times of the water; in mostly fatty tissue, of the mixture
    fat          fraction of the protons that belongs to fat
    """

    density: float
    t1_ms: float
    t2_ms: float
    fat: float = 0.0


TISSUES: Final[dict[Kind, Properties]] = {
    Kind.AIR: Properties(density=0.0, t1_ms=1000.0, t2_ms=10.0),
    Kind.SKIN: Properties(density=0.55, t1_ms=900.0, t2_ms=22.0, fat=0.2),
    Kind.FAT: Properties(density=0.95, t1_ms=371.0, t2_ms=133.0, fat=0.95),
    Kind.FAT_PAD: Properties(density=0.95, t1_ms=400.0, t2_ms=120.0, fat=0.90),
    Kind.MUSCLE: Properties(density=0.62, t1_ms=1420.0, t2_ms=31.7),
    Kind.TENDON: Properties(density=0.28, t1_ms=900.0, t2_ms=9.0),
    Kind.VESSEL: Properties(density=0.36, t1_ms=1650.0, t2_ms=120.0),
    Kind.FLUID: Properties(density=0.60, t1_ms=3620.0, t2_ms=767.0),
    Kind.SYNOVIUM: Properties(density=0.62, t1_ms=1200.0, t2_ms=50.0, fat=0.35),
    Kind.MENISCUS: Properties(density=0.32, t1_ms=1000.0, t2_ms=11.0),
    Kind.CARTILAGE: Properties(density=0.85, t1_ms=1240.0, t2_ms=36.9),
    Kind.MARROW: Properties(density=0.80, t1_ms=365.0, t2_ms=70.0, fat=0.90),
    Kind.CORTEX: Properties(density=0.10, t1_ms=400.0, t2_ms=3.0),
}
FREE_FLUID: Final = replace(TISSUES[Kind.FLUID], density=0.95)
"""Effusion. The density of the table is lower: it includes the loss by motion in the thin film of a steady state."""

SignalModel = Callable[[Properties, FloatArray], FloatArray]
"""(properties, t2_ms (n,)) -> signal (echoes, n); t2_ms replaces the T2 of the properties."""


def steady_state(
    t1_ms: ArrayLike, t2_ms: ArrayLike, *, repetition_ms: float, flip_deg: float
) -> tuple[FloatArray, FloatArray]:
    """(S+, S-): transverse magnetisation directly after and before the RF pulse of an unbalanced steady state.

    With E1 = exp(-TR/T1), E2 = exp(-TR/T2), c = cos(flip), p = 1 - E1 c - E2^2 (E1 - c), q = E2 (1 - E1)(1 + c) and
    r = (1 - E2^2) / sqrt(p^2 - q^2): S+ = tan(flip/2) (1 - (E1 - c) r), S- = tan(flip/2) (1 - (1 - E1 c) r).
    """
    e1 = np.exp(-repetition_ms / np.asarray(t1_ms, np.float64))
    e2 = np.exp(-repetition_ms / np.asarray(t2_ms, np.float64))
    c = np.cos(np.radians(flip_deg))
    p = 1.0 - e1 * c - e2**2 * (e1 - c)
    q = e2 * (1.0 - e1) * (1.0 + c)
    r = (1.0 - e2**2) / np.sqrt(p**2 - q**2)
    half = np.tan(np.radians(flip_deg) / 2.0)
    return half * (1.0 - (e1 - c) * r), half * (1.0 - (1.0 - e1 * c) * r)


def dess_echoes(
    tissue: Properties, t2_ms: FloatArray, *, repetition_ms: float, echo_ms: float, flip_deg: float, fat_left: float
) -> FloatArray:
    """(2, n): the two echoes of water-excited DESS, at echo_ms after and echo_ms before an RF pulse.

    fat_left: the fraction of the fat signal that water excitation leaves.
    """
    after, before = steady_state(tissue.t1_ms, t2_ms, repetition_ms=repetition_ms, flip_deg=flip_deg)
    excited = tissue.density * (1.0 - tissue.fat * (1.0 - fat_left))
    return excited * np.stack([after * np.exp(-echo_ms / t2_ms), before * np.exp(echo_ms / t2_ms)])


def dess_model(
    *, repetition_ms: float = 16.3, echo_ms: float = 4.7, flip_deg: float = 25.0, fat_left: float = 0.06
) -> SignalModel:
    """Both echoes added, as the Osteoarthritis Initiative's SAG 3D DESS WE delivers them (defaults: its protocol)."""

    def model(tissue: Properties, t2_ms: FloatArray) -> FloatArray:
        echoes = dess_echoes(
            tissue, t2_ms, repetition_ms=repetition_ms, echo_ms=echo_ms, flip_deg=flip_deg, fat_left=fat_left
        )
        return np.asarray(echoes.sum(0, keepdims=True))

    return model


def qdess_model(
    *, repetition_ms: float = 18.2, echo_ms: float = 5.7, flip_deg: float = 20.0, fat_left: float = 0.06
) -> SignalModel:
    """The two echoes separately, as in quantitative DESS."""

    def model(tissue: Properties, t2_ms: FloatArray) -> FloatArray:
        return dess_echoes(
            tissue, t2_ms, repetition_ms=repetition_ms, echo_ms=echo_ms, flip_deg=flip_deg, fat_left=fat_left
        )

    return model


def spin_echo_model(
    echo_times_ms: tuple[float, ...], *, repetition_ms: float = 2700.0, fat_left: float = 1.0
) -> SignalModel:
    """Multi-echo spin echo: density (1 - exp(-TR/T1)) exp(-TE/T2).

    fat_left: the fraction of the fat signal that fat suppression leaves; 1: no suppression
    """
    times = np.asarray(echo_times_ms, np.float64)[:, None]

    def model(tissue: Properties, t2_ms: FloatArray) -> FloatArray:
        excited = tissue.density * (1.0 - tissue.fat * (1.0 - fat_left))
        recovered = excited * (1.0 - np.exp(-repetition_ms / tissue.t1_ms))
        return np.asarray(recovered * np.exp(-times / t2_ms))

    return model
