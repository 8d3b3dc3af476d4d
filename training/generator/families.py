"""The families of sequences: signal equation, and the ranges from which a protocol is drawn. One table: FAMILIES.

Sources of the ranges, which are meant to enclose the protocols named there. The citations and their values were written
from memory and have not been compared with the papers yet: check them before you quote them.
  [OAI]    C. G. Peterfy, E. Schneider, M. Nevitt, Osteoarthritis Cartilage 16, 2008: sagittal DESS-WE, TR 16.3, TE 4.7,
           flip 25 deg, 0.7 x 0.365 x 0.456 mm; FLASH-WE, TR 20, TE 7.57, flip 12 deg, 1.5 mm; TSE-FS, TR 3200, TE 30,
           3 mm; PD TSE coronal, TR 3700, TE 29, 3 mm; MESE, TR 2700, TE 10 to 70, 3 mm with gaps of 0.5 mm
  [Gold]   G. E. Gold et al., Am. J. Roentgenol. 183, 2004: protocols at 1.5 and 3 T
  [Kijo]   R. Kijowski et al., Radiology 250 and 252, 2009: clinical 2D FSE at 3 T and 3D FSE (CUBE)
  [Mugler] J. P. Mugler, J. Magn. Reson. Imaging 39, 2014: 3D TSE; its contrast follows an equivalent echo time, which
           is shorter than the nominal one
  [Henk]   R. M. Henkelman et al., J. Magn. Reson. Imaging 4, 1994: fat is bright in trains of refocusing pulses
Ranges of bandwidth, noise and gaps are chosen: they enclose usual clinical settings from 0.3 to 7 T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.generator.materials import FAT_COMPONENT, PROPERTIES, TABLE_TESLA, Material, Properties
from training.signal import steady_state

Range = tuple[float, float]
FAT_HZ_PER_TESLA: Final = 3.35 * 42.577
"""Frequency difference of water and fat."""
MOSTLY_FAT: Final = 0.7
"""Fraction of fat above which a material shares its density with the other fatty ones."""
MARROW_FAT: Final = (0.6, 0.92)
"""Fraction of fat in the marrow of different people, from red to yellow; chosen."""
TRAIN_FAT_T2: Final = 1.4
"""Factor of the T2 of fat in trains of refocusing pulses [Henk]."""


class Plane(StrEnum):
    """Orientation of the slices."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One drawn protocol. Times in ms, lengths in mm, angles in degrees.

    fat_left      fraction of the fat signal that suppression or water excitation leaves; 1 without
    bandwidth_hz  per voxel, along the frequency axis; determines the shift of fat
    snr           of a cartilage-like signal of 0.3 in one voxel
    coil          SD of the log of the receive field; dropoff: 1/e length of the coil's sensitivity, mm
    """

    family: str
    tesla: float
    repetition_ms: float
    echo_ms: float
    flip_deg: float
    fat_left: float
    plane: Plane
    in_plane_mm: float
    slice_mm: float
    gap_mm: float
    bandwidth_hz: float
    snr: float
    coil: float
    dropoff_mm: float

    @property
    def fat_shift_voxels(self) -> float:
        """Displacement of fat along the frequency axis, in voxels."""
        return FAT_HZ_PER_TESLA * self.tesla / self.bandwidth_hz

    @property
    def step_mm(self) -> float:
        """Distance between centres of slices."""
        return self.slice_mm + self.gap_mm


Equation = Callable[[Properties, Protocol], float]
"""Signal of one component of density 1."""


def scaled(tissue: Properties, tesla: float) -> Properties:
    """The relaxation times at another field strength."""
    ratio = tesla / TABLE_TESLA
    return Properties(
        density=tissue.density,
        t1_ms=tissue.t1_ms * ratio**tissue.t1_power,
        t2_ms=tissue.t2_ms * ratio**tissue.t2_power,
        prime_per_s=tissue.prime_per_s * ratio,
        fat=tissue.fat,
    )


def spin_echo(tissue: Properties, protocol: Protocol) -> float:
    """(1 - exp(-TR/T1)) exp(-TE/T2)."""
    recovered = 1.0 - np.exp(-protocol.repetition_ms / tissue.t1_ms)
    return float(recovered * np.exp(-protocol.echo_ms / tissue.t2_ms))


def spoiled(tissue: Properties, protocol: Protocol) -> float:
    """Spoiled gradient echo (Ernst), decaying with T2*."""
    e1, flip = np.exp(-protocol.repetition_ms / tissue.t1_ms), np.radians(protocol.flip_deg)
    rate = 1.0 / tissue.t2_ms + 1e-3 * tissue.prime_per_s
    return float(np.sin(flip) * (1.0 - e1) / (1.0 - e1 * np.cos(flip)) * np.exp(-protocol.echo_ms * rate))


def double_echo(tissue: Properties, protocol: Protocol) -> float:
    """DESS: the sum of both echoes of an unbalanced steady state (training/signal.py)."""
    after, before = steady_state(
        tissue.t1_ms, tissue.t2_ms, repetition_ms=protocol.repetition_ms, flip_deg=protocol.flip_deg
    )
    prime = np.exp(-protocol.echo_ms * 1e-3 * tissue.prime_per_s)
    echoes = after * np.exp(-protocol.echo_ms / tissue.t2_ms) + before * np.exp(protocol.echo_ms / tissue.t2_ms)
    return float(prime * echoes)


_ALL_PLANES: Final[dict[Plane, float]] = {Plane.SAGITTAL: 0.6, Plane.CORONAL: 0.25, Plane.AXIAL: 0.15}


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of the table: the equation and the ranges of a protocol.

    planes        probability of each plane; slice_mm and in_plane_mm: ranges; gap: share of the slice thickness
    equivalent    factor from the nominal to the equivalent echo time (3D TSE)
    refocused     a train of refocusing pulses: brighter fat
    """

    equation: Equation
    repetition_ms: Range
    echo_ms: Range
    flip_deg: Range = (90.0, 90.0)
    fat_left: Range = (1.0, 1.0)
    planes: dict[Plane, float] = field(default_factory=lambda: dict(_ALL_PLANES))
    in_plane_mm: Range = (0.27, 0.7)
    slice_mm: Range = (2.0, 5.0)
    gap: Range = (0.0, 0.3)
    bandwidth_hz: Range = (120.0, 400.0)
    snr: Range = (8.0, 50.0)
    equivalent: Range = (1.0, 1.0)
    refocused: bool = False


_MOSTLY_SAGITTAL: Final = {Plane.SAGITTAL: 0.9, Plane.CORONAL: 0.07, Plane.AXIAL: 0.03}
_SUPPRESSED: Final = (0.01, 0.2)
_THREE_D: Final[Range] = (0.0, 0.0)

FAMILIES: Final[dict[str, Family]] = {
    "dess": Family(  # [OAI]
        equation=double_echo,
        repetition_ms=(13.0, 22.0),
        echo_ms=(4.2, 6.5),
        flip_deg=(18.0, 40.0),
        fat_left=(0.03, 0.3),
        planes=_MOSTLY_SAGITTAL,
        in_plane_mm=(0.36, 0.7),
        slice_mm=(0.5, 1.5),
        gap=_THREE_D,
        bandwidth_hz=(150.0, 400.0),
    ),
    "gre": Family(  # [OAI], [Gold]: FLASH, SPGR, with water excitation or without
        equation=spoiled,
        repetition_ms=(15.0, 50.0),
        echo_ms=(3.0, 10.0),
        flip_deg=(10.0, 40.0),
        fat_left=(0.0, 1.0),
        planes=_MOSTLY_SAGITTAL,
        in_plane_mm=(0.3, 0.8),
        slice_mm=(0.6, 2.0),
        gap=_THREE_D,
    ),
    "t1": Family(equation=spin_echo, repetition_ms=(400.0, 800.0), echo_ms=(8.0, 20.0)),  # [Gold], [Kijo]
    "pd": Family(equation=spin_echo, repetition_ms=(2000.0, 4500.0), echo_ms=(10.0, 38.0), refocused=True),  # [OAI]
    "pd_fs": Family(  # [OAI], [Kijo]
        equation=spin_echo,
        repetition_ms=(2000.0, 4500.0),
        echo_ms=(15.0, 42.0),
        fat_left=_SUPPRESSED,
        refocused=True,
    ),
    "t2": Family(equation=spin_echo, repetition_ms=(2800.0, 6000.0), echo_ms=(65.0, 110.0), refocused=True),  # [Kijo]
    "t2_fs": Family(  # [Kijo]
        equation=spin_echo,
        repetition_ms=(2800.0, 6000.0),
        echo_ms=(45.0, 90.0),
        fat_left=_SUPPRESSED,
        refocused=True,
    ),
    "mese": Family(  # [OAI]: one echo of a train
        equation=spin_echo,
        repetition_ms=(1000.0, 3000.0),
        echo_ms=(9.0, 80.0),
        in_plane_mm=(0.31, 0.65),
        slice_mm=(2.0, 4.0),
        refocused=True,
    ),
    "tse_3d": Family(  # [Mugler], [Kijo]: SPACE, CUBE, VISTA, with fat suppression or without
        equation=spin_echo,
        repetition_ms=(1000.0, 2500.0),
        echo_ms=(25.0, 120.0),
        fat_left=(0.01, 1.0),
        planes=_MOSTLY_SAGITTAL,
        in_plane_mm=(0.4, 0.8),
        slice_mm=(0.4, 1.0),
        gap=_THREE_D,
        equivalent=(0.4, 0.6),
        bandwidth_hz=(250.0, 700.0),
        refocused=True,
    ),
}
FIELDS_TESLA: Final = {0.3: 0.04, 0.55: 0.06, 1.0: 0.05, 1.5: 0.35, 3.0: 0.45, 7.0: 0.05}
"""Probability of each field strength: mostly clinical scanners."""
COIL: Final[Range] = (0.0, 0.25)
DROPOFF_MM: Final[Range] = (60.0, 400.0)


def draw_protocol(
    rng: np.random.Generator, family: str, *, tesla: float | None = None, plane: Plane | None = None
) -> Protocol:
    """A protocol of a family; tesla, plane: fixed instead of random. Raises KeyError for an unknown family."""
    row = FAMILIES[family]
    field_t = float(rng.choice(list(FIELDS_TESLA), p=list(FIELDS_TESLA.values())))
    shown = list(row.planes)[int(rng.choice(len(row.planes), p=list(row.planes.values())))]
    field_t, shown = tesla or field_t, plane or shown
    slice_mm = float(rng.uniform(*row.slice_mm))
    coarse = float(np.clip((1.5 / field_t) ** 0.35, 0.75, 1.6))  # scanners trade resolution for signal
    suppression = _suppression(rng, row.fat_left)
    return Protocol(
        family=family,
        tesla=field_t,
        repetition_ms=float(rng.uniform(*row.repetition_ms)),
        echo_ms=float(rng.uniform(*row.echo_ms) * rng.uniform(*row.equivalent)),
        flip_deg=float(rng.uniform(*row.flip_deg)),
        fat_left=suppression,
        plane=shown,
        in_plane_mm=float(np.clip(rng.uniform(*row.in_plane_mm) * coarse, 0.25, 1.0)),
        slice_mm=slice_mm,
        gap_mm=slice_mm * float(rng.uniform(*row.gap)),
        bandwidth_hz=float(rng.uniform(*row.bandwidth_hz)) * float(np.clip(field_t / 1.5, 0.4, 2.5)),
        snr=float(np.exp(rng.uniform(*np.log(row.snr))) * np.clip(field_t / 1.5, 0.5, 1.6)),
        coil=float(rng.uniform(*COIL)),
        dropoff_mm=float(rng.uniform(*DROPOFF_MM)),
    )


def _suppression(rng: np.random.Generator, bounds: Range) -> float:
    """Fraction of fat left. Families that exist with and without suppression are either, never in between."""
    if bounds[1] < 1.0 or bounds[0] == 1.0:
        return float(rng.uniform(*bounds))
    return 1.0 if rng.random() < 0.35 else float(rng.uniform(bounds[0], _SUPPRESSED[1]))


def levels(
    protocol: Protocol, vary: np.random.Generator | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(water, fat), each (materials,): signal of every material's two components, before suppression of fat.

    vary: generator of the variation between people (log SD of .12 in density, .15 in T1 and T2); None: as in the table.
    Materials that are mostly fat share one density, so that marrow is never brighter than subcutaneous fat where fat
    is bright; red marrow has less fat than yellow marrow.
    """
    row = FAMILIES[protocol.family]
    fat = scaled(FAT_COMPONENT, protocol.tesla)
    if row.refocused:
        fat = Properties(density=1.0, t1_ms=fat.t1_ms, t2_ms=fat.t2_ms * TRAIN_FAT_T2, prime_per_s=fat.prime_per_s)
    fat_level = row.equation(fat, protocol)
    water, fatty = np.zeros(len(Material), np.float32), np.zeros(len(Material), np.float32)
    lipid = 1.0 if vary is None else float(np.exp(0.12 * vary.standard_normal()))
    marrow_fat = PROPERTIES[Material.MARROW].fat if vary is None else float(vary.uniform(*MARROW_FAT))
    for material, tissue in PROPERTIES.items():
        here = scaled(tissue, protocol.tesla)
        density, t1, t2 = np.ones(3) if vary is None else np.exp([0.12, 0.15, 0.15] * vary.standard_normal(3))
        if tissue.fat > MOSTLY_FAT:
            density = lipid
        fat_share = marrow_fat if material is Material.MARROW else tissue.fat
        moved = Properties(density=1.0, t1_ms=here.t1_ms * t1, t2_ms=here.t2_ms * t2, prime_per_s=here.prime_per_s)
        water[material] = tissue.density * density * (1.0 - fat_share) * row.equation(moved, protocol)
        prime = np.exp(-1e-3 * protocol.echo_ms * here.prime_per_s) if row.equation is not spin_echo else 1.0
        fatty[material] = tissue.density * density * fat_share * fat_level * prime
    return water, fatty
