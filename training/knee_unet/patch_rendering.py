"""From tissues to grey values: a patch of one synthetic scan before the degradation by the scanner.

The ranges are chosen, not measured. They are wider than in real scans, so that the network does not rely on properties
that vary between scans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.types import LabelArray
from training.knee_unet.contrast import CLUSTERS, LEVEL_COUNT, Contrast, class_place, cluster_place
from training.knee_unet.fields import Shape, smooth_noise, soft_step
from training.knee_unet.specimen import BONE_CLASSES, CARTILAGE_CLASSES, KINDS
from training.limb import Field
from training.signal import Kind

ONLY_CLUSTERS: Final = {"dess": 0.12}
SOME_CLUSTERS: Final = 0.25
"""Probability that random tissues replace the soft tissues entirely (default 0.3) or partly."""
FILM: Final = 0.6
FILM_MM: Final = (0.05, 0.6)
"""Probability and thickness of a fluid film on the cartilage: thinner than a voxel, but it shifts the visible edge."""
PLATE_MM: Final = (0.2, 0.9)
PLATE_SPREAD: Final = 0.3
"""Subchondral bone plate: range of thickness, and SD of the log of its variation between bones."""
RIM_RAMP_MM: Final = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """The content of a patch, per voxel (a, b, c).

    samples      four arrays of classes, one per sub-voxel position
    tissues      index into KINDS where there is no class
    bone_mm      signed distance to the nearest bone, negative inside; cartilage_mm: distance to the nearest cartilage
    voxel_mm     side of a voxel
    """

    samples: tuple[LabelArray, ...]
    tissues: LabelArray
    bone_mm: Field
    cartilage_mm: Field
    voxel_mm: float

    @property
    def shape(self) -> Shape:
        """Shape of the patch."""
        a, b, c = self.tissues.shape
        return a, b, c

    def noise(self, rng: np.random.Generator, least_mm: float, most_mm: float) -> Field:
        """Smooth noise in the patch with a random cell size between the two limits."""
        return smooth_noise(rng, self.shape, rng.uniform(least_mm, most_mm) / self.voxel_mm)

    def share(self, classes: tuple[int, ...]) -> Field:
        """(a, b, c): the fraction of each voxel that belongs to the given classes."""
        table = np.zeros(256, np.float32)
        table[list(classes)] = 1.0 / len(self.samples)
        return np.asarray(sum(table[sample] for sample in self.samples))


def render_patch(view: View, contrast: Contrast, rng: np.random.Generator) -> Field:
    """Grey values (a, b, c): partial volumes of the four samples, then texture, layers, lesions, cortical rim."""
    coarse = view.noise(rng, 7, 17.5)
    fine = view.noise(rng, 2.8, 5.6)
    places = _soft_tissues(view, rng, coarse, fine, ONLY_CLUSTERS.get(contrast.family, 0.3))
    image = np.zeros(view.shape, np.float32)
    for sample in view.samples:
        image += contrast.levels[np.where(sample > 0, sample + np.uint8(class_place() - 1), places)]
    image /= np.float32(len(view.samples))
    cartilage, bone = view.share(CARTILAGE_CLASSES), view.share(BONE_CLASSES)
    if rng.random() < FILM:
        _film(image, view, contrast, cartilage, bone, rng)
    _texture(image, view, places, cartilage, bone, rng)
    if rng.random() < 0.95:  # layers: T2 and the signal rise from the bone to the surface
        depth = np.maximum(view.bone_mm, 0.0) / np.float32(rng.uniform(0.5, 1.9))
        image *= 1.0 - cartilage * np.float32(rng.uniform(0.0, 0.6)) * np.exp(-depth)
    _marrow(image, view, bone, contrast, rng)
    if rng.random() < 0.92:
        _rim(image, view, contrast, bone, rng)
    return image


def _soft_tissues(
    view: View, rng: np.random.Generator, coarse: Field, fine: Field, clusters_alone: float
) -> NDArray[np.uint8]:
    """(a, b, c) indices into the levels: the soft tissues, with random changes in the joint."""
    places = view.tissues.copy()
    near = view.cartilage_mm + 0.5 * fine
    shifted = np.roll(coarse, (7, 11, 5), (0, 1, 2))

    def put(where: NDArray[np.bool_], kind: Kind) -> None:
        places[where] = KINDS.index(kind)

    menisci = places == KINDS.index(Kind.MENISCUS)
    if rng.random() < 0.2:
        put(menisci, Kind.SYNOVIUM if rng.random() < 0.5 else Kind.FLUID)
    if rng.random() < 0.5:  # effusion of varying thickness, in places
        put(~menisci & (near < rng.uniform(0.4, 4.0)) & (shifted > rng.uniform(-0.5, 1.2)), Kind.FLUID)
    if rng.random() < 0.3:
        put(~menisci & (view.cartilage_mm < rng.uniform(0.5, 1.1)), Kind.FLUID)
    if rng.random() < 0.35:  # ligament, tendon or meniscus in contact with the cartilage
        put((view.cartilage_mm < rng.uniform(0.5, 2.5)) & (coarse > rng.uniform(-0.3, 0.9)), Kind.TENDON)
    style = rng.random()
    if style < clusters_alone + SOME_CLUSTERS:
        count = int(rng.integers(2, CLUSTERS + 1))
        fields = [view.noise(rng, 5.6, 21) for _ in range(count)]
        clusters = np.argmax(fields, axis=0).astype(np.uint8) + np.uint8(cluster_place(0))
        air = places == KINDS.index(Kind.AIR)
        replaced = ~air if style < clusters_alone else ~air & (coarse > 0.3)
        places[replaced] = clusters[replaced]
    return places


def _film(
    image: Field, view: View, contrast: Contrast, cartilage: Field, bone: Field, rng: np.random.Generator
) -> None:
    """Add synovial fluid on the surface of the cartilage where no other labelled structure is in contact."""
    beyond = np.maximum(ndimage.distance_transform_edt(cartilage < 0.5) - 1.0, 0.0).astype(np.float32)
    thickness = np.float32(rng.uniform(*FILM_MM) / view.voxel_mm) * (1.0 + 0.7 * view.noise(rng, 4.0, 10.0))
    share = np.clip(thickness - beyond, 0.0, 1.0) * (1.0 - cartilage - bone)
    image += share * (np.float32(contrast.of(Kind.FLUID)) - image)


def _texture(
    image: Field,
    view: View,
    places: NDArray[np.uint8],
    cartilage: Field,
    bone: Field,
    rng: np.random.Generator,
) -> None:
    """Add grain, different for each tissue."""
    amplitudes = rng.uniform(0.0, 0.16, LEVEL_COUNT).astype(np.float32)
    grain = 0.7 * view.noise(rng, 0.84, 2.1) + 0.6 * view.noise(rng, 2.8, 6.3)
    strength = amplitudes[places] * (1.0 - cartilage - bone)
    strength += np.float32(rng.uniform(0.02, 0.14)) * cartilage + np.float32(rng.uniform(0.03, 0.2)) * bone
    image *= 1.0 + strength * grain


def _marrow(image: Field, view: View, bone: Field, contrast: Contrast, rng: np.random.Generator) -> None:
    """Add lesions with the signal of fluid or muscle, and a change of marrow signal towards the joint."""
    if rng.random() < 0.45:
        target = contrast.of(Kind.FLUID if rng.random() < 0.5 else Kind.MUSCLE)
        patches = view.noise(rng, 7, 17.5)
        weight = bone * soft_step(patches - np.float32(rng.uniform(0.8, 1.8)), 0.25) * np.float32(rng.uniform(0.2, 0.9))
        image += weight * (np.float32(target) - image)
    if rng.random() < 0.4:
        depth = np.maximum(-view.bone_mm, 0.0) / np.float32(rng.uniform(3, 12))
        image *= 1.0 + bone * np.float32(rng.uniform(-0.4, 0.4)) * np.exp(-depth)


def _rim(image: Field, view: View, contrast: Contrast, bone: Field, rng: np.random.Generator) -> None:
    """Add the dark plate of cortical bone: part of the bone, ending at the expert's edge or slightly outside.

    With the plate at a random position around the edge, the trained network segmented bones too small.
    """
    bumps = np.clip(view.noise(rng, 7, 17.5), -1.2, 1.2)
    width = np.float32(rng.uniform(*PLATE_MM)) * (1.0 + 0.5 * bumps) * _each_bone(view, bone, rng)
    if rng.random() < 0.5:  # thicker where it is not covered by cartilage
        width *= 1.0 + soft_step(view.cartilage_mm - np.float32(4.0), 1.0)
    weight = bone * soft_step(view.bone_mm + width, RIM_RAMP_MM)
    beyond = rng.uniform(-0.3, 0.12)
    if beyond > 0:  # chemical shift
        weight += (1.0 - bone) * soft_step(np.float32(beyond) - view.bone_mm, RIM_RAMP_MM)
    weight *= np.float32(rng.uniform(0.6, 1.0))
    image += weight * (np.float32(contrast.of(Kind.CORTEX)) - image)


def _each_bone(view: View, bone: Field, rng: np.random.Generator) -> Field:
    """(a, b, c): a separate factor for every bone, 0 outside."""
    factors = np.exp(PLATE_SPREAD * rng.standard_normal(len(BONE_CLASSES)))
    parts = sum(np.float32(factor) * view.share((k,)) for k, factor in zip(BONE_CLASSES, factors, strict=True))
    return np.asarray(parts / np.maximum(bone, np.float32(0.1)), np.float32)
