"""Synthetic knee scans from label maps: a second renderer, independent of the one used in training.

Uses only numpy and scipy; the same labels, grid and seed give a bit-identical image. The joint is rendered from the
labels (training/joint.py), the surroundings from analytical shapes (training/soft_tissues.py), and the contrast follows
the signal equations of the sequence (training/signal.py). Signals: 1000 x the equilibrium magnetisation of water.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Box, Grid
from pipeline.types import LabelArray
from training.canvas import Canvas, Insert, Lattice
from training.joint import render_labels, with_whole_shafts
from training.signal import TISSUES, Kind, Properties, SignalModel, dess_model, qdess_model, spin_echo_model
from training.soft_tissues import render_soft_tissues

SIGNAL_SCALE = 1000.0
BIAS_MM = 80.0
"""Length scale of the receive field."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """Properties of the acquisition.

    psf_voxels  SD of the point spread along (z, y, x), in voxels
    bias        SD of the logarithm of the receive field, smooth over about BIAS_MM
    noise       SD of the noise in each of the two receiver channels, in units of the signal
    """

    psf_voxels: tuple[float, float, float] = (0.35, 0.5, 0.5)
    bias: float = 0.12
    noise: float = 4.0


QUIET = Scanner(psf_voxels=(0.0, 0.0, 0.0), bias=0.0, noise=0.0)
"""A scanner without blur, bias or noise, for tests."""


def render_dess(
    labels: LabelArray,
    grid: Grid,
    seed: int,
    *,
    scanner: Scanner | None = None,
    model: SignalModel | None = None,
    receiver: np.random.Generator | None = None,
    drawn: Drawn | None = None,
) -> NDArray[np.float32]:
    """(z, y, x): a water-excited DESS scan, echoes added, of canonical labels (z, y, x) on any grid.

    model: a signal model of one echo; default: dess_model with its default protocol. receiver: generator of noise and
    receive field, if they should differ for the same seed and thus the same person.
    """
    echoes = _render(labels, grid, seed, model or dess_model(), scanner or Scanner(), {}, receiver, drawn)
    return np.asarray(echoes[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What a scan shows in addition to its labels.

    around   drawn over the soft tissues; the labelled structures cover it
    inside   drawn over the labelled structures
    tissues  the table of tissues
    """

    around: tuple[Insert, ...] = ()
    inside: tuple[Insert, ...] = ()
    tissues: Mapping[Kind, Properties] = field(default_factory=lambda: TISSUES)


def render_sequence(
    labels: LabelArray,
    grid: Grid,
    seed: int,
    model: SignalModel,
    *,
    scanner: Scanner | None = None,
    drawn: Drawn | None = None,
) -> NDArray[np.float32]:
    """(z, y, x): a scan of canonical labels (z, y, x) with a signal model of one echo."""
    return np.asarray(_render(labels, grid, seed, model, scanner or Scanner(), {}, drawn=drawn)[0])


def render_qdess(labels: LabelArray, grid: Grid, seed: int, *, scanner: Scanner | None = None) -> NDArray[np.float32]:
    """(2, z, y, x): the two echoes of quantitative DESS."""
    return _render(labels, grid, seed, qdess_model(), scanner or Scanner(), {})


def render_multi_echo(
    labels: LabelArray,
    grid: Grid,
    echo_times_ms: tuple[float, ...],
    t2_ms_by_structure: Mapping[Structure, float],
    seed: int,
    *,
    scanner: Scanner | None = None,
) -> NDArray[np.float32]:
    """(e, z, y, x): a multi-echo spin-echo scan; structures in t2_ms_by_structure have exactly that T2 (ms)."""
    model = spin_echo_model(echo_times_ms)
    return _render(labels, grid, seed, model, scanner or Scanner(noise=8.0), t2_ms_by_structure)


def _render(
    labels: LabelArray,
    grid: Grid,
    seed: int,
    model: SignalModel,
    scanner: Scanner,
    t2_ms: Mapping[Structure, float],
    receiver: np.random.Generator | None = None,
    drawn: Drawn | None = None,
) -> NDArray[np.float32]:
    """(e, z, y, x). Each stage has a separate random stream, so that a change in one does not affect the others."""
    if labels.shape != grid.shape:
        raise ValueError(f"labels are {labels.shape}; expected the grid's {grid.shape}")
    drawn = drawn or Drawn()
    soft, bone, texture, own_receiver = np.random.default_rng(seed).spawn(4)
    echo_count = len(model(TISSUES[Kind.FLUID], np.array([50.0])))
    canvas = Canvas(
        echoes=np.zeros((echo_count, *labels.shape), np.float32),
        model=model,
        grain=_grain(grid, texture),
        t2_ms=t2_ms,
        tissues=drawn.tissues,
    )
    labels = with_whole_shafts(labels, grid)
    render_soft_tissues(canvas, labels, grid, soft)
    for item in drawn.around:
        canvas.insert(item)
    render_labels(canvas, labels, grid, bone)
    for item in drawn.inside:
        canvas.insert(item)
    echoes = canvas.echoes
    echoes *= np.float32(SIGNAL_SCALE)
    return _acquire(echoes, grid, scanner, receiver or own_receiver)


def _grain(grid: Grid, rng: np.random.Generator) -> NDArray[np.float32]:
    """(z, y, x) texture, mean 0, SD about 1: a mixture of scales of about 2 mm and 9 mm."""
    lattice = Lattice(grid)
    field = 0.75 * lattice.noise(rng, 2.0) + 0.65 * lattice.noise(rng, 9.0)
    return lattice.to_grid(field, _whole(grid))


def _whole(grid: Grid) -> Box:
    z, y, x = grid.shape
    return slice(0, z), slice(0, y), slice(0, x)


def _acquire(
    echoes: NDArray[np.float32], grid: Grid, scanner: Scanner, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Receive field, point spread and Rician noise (the magnitude of a complex signal with noise in both parts)."""
    if scanner.bias > 0:
        lattice = Lattice(grid)
        field = lattice.noise(rng, BIAS_MM)
        echoes *= lattice.to_grid(np.exp(np.float32(scanner.bias) * field), _whole(grid))
    for echo in echoes:
        if max(scanner.psf_voxels) > 0:
            ndimage.gaussian_filter(echo, scanner.psf_voxels, output=echo, mode="nearest", truncate=3.0)
        if scanner.noise > 0:
            real = rng.standard_normal(echo.shape, dtype=np.float32)
            real *= np.float32(scanner.noise)
            real += echo
            imaginary = rng.standard_normal(echo.shape, dtype=np.float32)
            imaginary *= np.float32(scanner.noise)
            np.hypot(real, imaginary, out=echo)
    return echoes


def thick_slices(volume: NDArray[np.float32], grid: Grid, factor: int) -> tuple[NDArray[np.float32], Grid]:
    """Average `factor` neighbouring slices (axis z) of (..., z, y, x) into one, and return the matching grid."""
    count = grid.shape[0] // factor
    kept = volume[..., : count * factor, :, :]
    merged = kept.reshape(*kept.shape[:-3], count, factor, *kept.shape[-2:]).mean(-3, dtype=np.float32)
    thick = replace(
        grid,
        shape=(count, *grid.shape[1:]),
        spacing_mm=(grid.spacing_mm[0] * factor, *grid.spacing_mm[1:]),
        origin_mm=grid.to_mm([((factor - 1) / 2.0, 0.0, 0.0)])[0],
    )
    return merged, thick
