"""The networks that locate edges in profiles: a few matrices each, evaluated in numpy."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.digest import sha256_of
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.segmentation.edges.profiles import DEPTHS_MM, FEATURES, STEP_MM
from pipeline.segmentation.sampling import FloatVolume

PRIOR: Final = 0.05
"""Added to the first-pass probabilities before their logarithm: limits their weight where they are 0 or 1."""
EXISTS: Final = 0.5
"""Least probability for cartilage on a ray. At 0.4 a spurious thin rim appeared."""
LEVEL: Final = 0.43
"""Share of the highest probability along a ray from which cartilage begins. At 0.5, the median edges, volumes of
held-out synthetic joints are off by -1, 0 and -4 %, and held-out knees of the second renderer are too small. At 0.43
the joints are off by 6, 7 and 2 %, the knees by -3, +5 and -5 %, with equal outlines (decision note 16).
"""
BACK_MM: Final = 0.5
"""Cartilage is searched from this distance before the expected bone edge: beyond a thin bone is another plate."""
ANSWERS: Final = 3
"""Bone, cartilage, anything else."""
AT_ONCE: Final = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class ProfileNetwork:
    """centre, scale (f,): of the features; layers: (matrix (in, out), bias (out,)), inner ones added to their input."""

    centre: FloatVolume
    scale: FloatVolume
    layers: tuple[tuple[FloatVolume, FloatVolume], ...]

    def logits(self, features: FloatVolume) -> FloatVolume:
        """(n, f) -> (n, ANSWERS, len(DEPTHS_MM)): what it adds to the logarithm of the first-pass probabilities."""
        x = (features - self.centre) / self.scale
        (first, bias), *inner, (last, last_bias) = self.layers
        x = np.maximum(x @ first + bias, 0)
        for matrix, offset in inner:
            x = x + np.maximum(x @ matrix + offset, 0)
        return np.asarray((x @ last + last_bias).reshape(-1, ANSWERS, len(DEPTHS_MM)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """Networks that were trained separately; their answers are averaged, because errors over a whole surface differ."""

    members: tuple[ProfileNetwork, ...]

    def __call__(self, features: FloatVolume) -> FloatVolume:
        """(n, f) -> probabilities (n, ANSWERS, len(DEPTHS_MM)): the geometric mean of the members'."""
        parts = [self._answer(features[start : start + AT_ONCE]) for start in range(0, len(features), AT_ONCE)]
        return np.concatenate(parts)

    def _answer(self, features: FloatVolume) -> FloatVolume:
        added = sum(member.logits(features) for member in self.members)
        logits = prior(features) + added * np.float32(1.0 / len(self.members))
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def prior(features: FloatVolume) -> FloatVolume:
    """(n, ANSWERS, len(DEPTHS_MM)): the logarithm of the first-pass probabilities, which the features contain."""
    count = len(DEPTHS_MM)
    bone, cartilage = features[:, count : 2 * count], features[:, 2 * count : 3 * count]
    rest = np.clip(1.0 - bone - cartilage, 0.0, 1.0)
    return np.asarray(np.log(np.stack([bone, cartilage, rest], axis=1) + np.float32(PRIOR)))


def edges_mm(probability: FloatVolume) -> tuple[FloatVolume, FloatVolume]:
    """(n,) depths of the bone edge and of the cartilage edge; equal without cartilage. Cartilage is where its
    probability is above LEVEL times the highest along the ray, which is close to its median edges. The highest one is
    the probability of cartilage; below EXISTS the bone is denuded and ends at its expected depth.
    """
    bone, cartilage, _ = np.moveaxis(probability, 1, 0)
    bare = DEPTHS_MM[0] + STEP_MM * (bone.sum(axis=1) - 0.5)
    beyond = np.where(bare[:, None] - BACK_MM <= DEPTHS_MM, cartilage, 0)
    peak, chance = beyond.argmax(axis=1), beyond.max(axis=1)
    above = beyond / np.maximum(chance, EXISTS)[:, None] - LEVEL
    places = np.arange(len(DEPTHS_MM))
    before = np.where((places < peak[:, None]) & (above < 0), places, -1).max(axis=1)
    after = np.where((places > peak[:, None]) & (above < 0), places, len(DEPTHS_MM)).min(axis=1)
    there = chance > EXISTS
    inner = np.where(there, _crossing(above, before, before + 1), bare)
    return inner, np.where(there, _crossing(above, after - 1, after), bare)


def _crossing(above: FloatVolume, one: NDArray[np.intp], two: NDArray[np.intp]) -> FloatVolume:
    """(n,) depth between two neighbouring samples of each ray at which `above` is 0; half a step out at the ends."""
    rows, last = np.arange(len(above)), len(DEPTHS_MM) - 1
    values = [np.where((at < 0) | (at > last), 0, above[rows, np.clip(at, 0, last)]) for at in (one, two)]
    rise = values[1] - values[0]
    share = np.where((one < 0) | (two > last) | (rise == 0), 0.5, -values[0] / np.where(rise == 0, 1, rise))
    return np.asarray(DEPTHS_MM[0] + STEP_MM * (one + share), np.float32)


def write_ensemble(ensemble: Ensemble, path: Path) -> None:
    """Write atomically; arrays only, no pickles."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, member in enumerate(ensemble.members):
        arrays |= {f"member{number}_centre": member.centre, f"member{number}_scale": member.scale}
        for layer, (matrix, bias) in enumerate(member.layers):
            name = f"member{number}_layer{layer}"
            arrays |= {f"{name}_matrix": matrix.astype(np.float16), f"{name}_bias": bias}
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(unfinished, allow_pickle=False, **arrays)
    unfinished.replace(path)


def read_ensemble(path: Path, sha256: str) -> Ensemble:
    """Read an ensemble. Raises WeightsMissing if the file is missing; WeightsCorrupt if its digest differs, or it is
    damaged or inconsistent.
    """
    if not path.is_file():
        raise WeightsMissing(f"The weights file {path.name} is not installed.", hint="Fetch models/ again.")
    try:
        if sha256_of(path) != sha256:
            raise _unreadable(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in stored.files}
        count = sum(name.endswith("_centre") for name in arrays)
        members = tuple(_member(arrays, f"member{number}") for number in range(count))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _unreadable(path) from error
    if not members or not all(map(_fits, members)):
        raise _unreadable(path)
    return Ensemble(members=members)


def _member(arrays: dict[str, FloatVolume], name: str) -> ProfileNetwork:
    """The network with this name. Raises KeyError if a part is missing."""
    count = sum(key.startswith(f"{name}_layer") and key.endswith("_matrix") for key in arrays)
    layers = ((arrays[f"{name}_layer{k}_matrix"], arrays[f"{name}_layer{k}_bias"]) for k in range(count))
    return ProfileNetwork(centre=arrays[f"{name}_centre"], scale=arrays[f"{name}_scale"], layers=tuple(layers))


def _fits(network: ProfileNetwork) -> bool:
    """Whether its parts have consistent shapes."""
    sizes = [len(network.centre), *(matrix.shape[-1] for matrix, _ in network.layers)]
    return (
        len(network.layers) > 1
        and sizes[0] == FEATURES
        and network.scale.shape == network.centre.shape
        and sizes[-1] == ANSWERS * len(DEPTHS_MM)
        and all(matrix.shape == pair for (matrix, _), pair in zip(network.layers, pairwise(sizes), strict=True))
        and all(bias.shape == matrix.shape[1:] for matrix, bias in network.layers)
    )


def _unreadable(path: Path) -> WeightsCorrupt:
    return WeightsCorrupt(
        f"The networks for edges ({path.name}) cannot be read; expected the file that came with this version.",
        hint="Install the product again, or restore the file.",
    )
