"""Training examples: profiles of a synthetic joint, and the true classes along each ray.

One file per synthetic joint with a few hundred thousand half-precision numbers; features are computed on reading.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import BONE_OF
from pipeline.segmentation.edges import profiles
from pipeline.segmentation.edges.profiles import DEPTHS_MM, Profiles
from pipeline.segmentation.edges.rays import Rays, cast
from pipeline.segmentation.knee_unet import KneeUnet
from pipeline.segmentation.runtime import Network
from training.edges.synthesize import SyntheticJoint, first_pass
from training.edges.vary import varied
from training.knee_unet.specimen import CLASS_OF
from training.limb import Field

SHARE: Final = {"dess": 0.5}
OTHER_SHARE: Final = 0.25
"""Fraction of a synthetic joint's rays used for training, by contrast family."""
GROUP: Final = 50
"""Joints concatenated at once: the memory of arrays this large is returned to the system when they are freed."""
HELD_EVERY: Final = 10
"""One synthetic joint in this many is held out."""


def surfaces() -> list[tuple[int, int]]:
    """(bone, cartilage) classes of the network, in the order of the bones."""
    return sorted({(int(CLASS_OF[bone]), int(CLASS_OF[cartilage])) for cartilage, bone in BONE_OF.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """One surface of a synthetic joint; number: its index in surfaces().

    truth  (n, ANSWERS, depths): the fractions of bone, its cartilage and the remainder along each ray
    """

    number: int
    family: str
    spacing_mm: tuple[float, float, float]
    rays: Rays
    profiles: Profiles
    truth: Field

    def features(self, chosen: NDArray[np.intp] | slice = slice(None)) -> Field:
        """(n, f) features of all rays, or of the chosen ones."""
        blur = profiles.blur_along(self.rays, self.spacing_mm)
        return profiles.features(self.profiles, self.rays, blur, self.number, chosen)

    def varied(self, rng: np.random.Generator) -> Surface:
        """The surface with a random variation, as in another joint and scan (vary.py)."""
        seen, truth = varied(self.profiles, self.truth, rng)
        return replace(self, profiles=seen, truth=truth)


def collect(joint: SyntheticJoint, network: Network, model: KneeUnet, path: Path) -> list[int]:
    """Write the profiles of a joint; returns the number of rays per surface."""
    spacing = joint.spacing_mm
    kept, frame = first_pass(network, model, joint)
    pairs = surfaces()
    arrays: dict[str, np.ndarray] = {}
    counts = []
    for number, (bone, cartilage) in enumerate(pairs):
        rays = cast(kept, frame.resolution_mm, bone, cartilage)
        counts.append(0 if rays is None else len(rays))
        if rays is None:
            continue
        found = profiles.read(joint.image, spacing, kept, frame.resolution_mm, rays, pairs)
        for part in fields(found):
            arrays[f"{part.name}{number}"] = getattr(found, part.name).astype(np.float16)
        places = rays.at(DEPTHS_MM)
        shares = [profiles.sampled(joint.targets[k], places, spacing) for k in (bone, cartilage)]
        arrays[f"truth{number}"] = np.rint(255 * np.clip(np.stack(shares, axis=1), 0, 1)).astype(np.uint8)
        arrays[f"starts{number}"] = rays.starts_mm
        arrays[f"normals{number}"] = rays.normals
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, allow_pickle=False, family=np.array(joint.family), spacing_mm=np.array(spacing), **arrays)
    unfinished.replace(path)
    return counts


def read_surfaces(path: Path) -> list[Surface]:
    """The surfaces of one synthetic joint."""
    result = []
    with np.load(path, allow_pickle=False) as stored:
        family = str(stored["family"])
        a, b, c = (float(mm) for mm in stored["spacing_mm"])
        for number, (bone, cartilage) in enumerate(surfaces()):
            if f"truth{number}" not in stored.files:
                continue
            rays = Rays(
                bone=bone,
                cartilage=cartilage,
                starts_mm=stored[f"starts{number}"],
                normals=stored[f"normals{number}"],
            )
            seen = Profiles(
                **{part.name: stored[f"{part.name}{number}"].astype(np.float32) for part in fields(Profiles)}
            )
            shares = stored[f"truth{number}"].astype(np.float32) / np.float32(255)
            rest = np.clip(1.0 - shares.sum(axis=1, keepdims=True), 0.0, 1.0)
            truth = np.concatenate([shares, rest], axis=1)
            truth /= truth.sum(axis=1, keepdims=True)
            result.append(
                Surface(number=number, family=family, spacing_mm=(a, b, c), rays=rays, profiles=seen, truth=truth)
            )
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """features (n, f) float16; truth (n, ANSWERS, depths) uint8, fractions times 255."""

    features: NDArray[np.float16]
    truth: NDArray[np.uint8]


def load(paths: list[Path], rng: np.random.Generator, views: int = 1) -> Examples:
    """A random part of the rays of synthetic joints, in `views` versions: unchanged, then with variations (vary.py)."""
    features, truth = [], []
    for first in range(0, len(paths), GROUP):
        group = _load_group(paths[first : first + GROUP], rng, views)
        features.append(group.features)
        truth.append(group.truth)
        del group
    return Examples(features=_joined(features), truth=_joined(truth))


def _load_group(paths: list[Path], rng: np.random.Generator, views: int) -> Examples:
    features, truth = [], []
    for path in paths:
        for surface in read_surfaces(path):
            share = SHARE.get(surface.family, OTHER_SHARE) / views
            for view in range(views):
                seen = surface.varied(rng) if view else surface
                chosen = rng.permutation(len(seen.rays))[: max(1, round(share * len(seen.rays)))]
                features.append(seen.features(chosen).astype(np.float16))
                truth.append(np.rint(255 * seen.truth[chosen]).astype(np.uint8))
    return Examples(features=np.concatenate(features), truth=np.concatenate(truth))


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate the parts, and free each one after copying: memory does not hold both."""
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
        del part
    return whole


def is_held_out(path: Path) -> bool:
    """Whether a synthetic joint is held out of training."""
    return int(path.stem.split("_")[1]) % HELD_EVERY == HELD_EVERY - 1


def shares_of(truth: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, ANSWERS, depths) 8-bit values -> fractions that sum to 1."""
    shares = truth.astype(np.float32)
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0))
