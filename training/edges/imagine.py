"""Imagined scans of a whole joint, painted as for the networks on voxels, and what those answer to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.catalogue import ModelCard
from pipeline.segmentation.first_pass import recorded
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.runtime import Network
from pipeline.segmentation.sampling import standardise, to_isotropic
from pipeline.segmentation.unet import OVERLAP
from pipeline.segmentation.windows import averaged, plan
from training.knee_unet.acquisition import acquire
from training.knee_unet.fields import Shape
from training.knee_unet.patches import draw_matrix, pose
from training.knee_unet.specimen import CARTILAGE_CLASSES, Specimen
from training.limb import Field

VOXEL_MM: Final = 0.45
JOINT: Final[Shape] = (184, 160, 184)
"""Voxels: 83 x 72 x 83 mm, the joint with what lies around it."""
OFF_CENTRE_MM: Final = 6.0
SCALE: Final = 0.35
"""Half the range of the logarithm of the size, much wider than knees are: a ray sees how thick cartilage is and not how
large the knee, and a network that has seen little but 2 mm draws every other thickness towards that.
"""
MORE_DESS: Final = 0.45
"""How often the contrast is water-excited DESS whatever contrast.FAMILIES would draw."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImaginedJoint:
    """image (a, b, c) on isotropic voxels of VOXEL_MM; targets (classes, a, b, c): the part that each class fills."""

    image: Field
    targets: Field
    family: str


def imagine(specimen: Specimen, rng: np.random.Generator, shape: Shape = JOINT) -> ImaginedJoint:
    """A joint in a random pose, contrast and acquisition; the same generator state, the same joint."""
    family = "dess" if rng.random() < MORE_DESS else None
    posed = pose(specimen, rng, draw_matrix(rng, SCALE), _centre(specimen, rng), shape, VOXEL_MM, family)
    return ImaginedJoint(
        image=acquire(posed.image, rng, VOXEL_MM, posed.family), targets=posed.targets, family=posed.family
    )


def first_answer(network: Network, card: ModelCard, image: Field) -> tuple[NDArray[np.uint8], Frame]:
    """(classes - 1, a, b, c) probabilities as the product keeps them, and their grid."""
    spacing = (VOXEL_MM,) * 3
    shape = image.shape[0], image.shape[1], image.shape[2]
    frame = Frame(shape=shape, spacing_mm=spacing, resolution_mm=card.resolution_mm)
    volume = standardise(to_isotropic(image, spacing, card.resolution_mm))[None]
    slabs = averaged(volume, plan(frame.isotropic, card.window_voxels, OVERLAP), network.classes, network, lambda: None)
    kept = np.empty((network.classes - 1, *frame.isotropic), dtype=np.uint8)
    for _ in recorded(slabs, kept):
        pass
    return kept, frame


def _centre(specimen: Specimen, rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) mm: the middle of the cartilage, a little off."""
    step = 4
    found = np.argwhere(np.isin(specimen.classes[::step, ::step, ::step], CARTILAGE_CLASSES))
    places = found * step * np.array(specimen.spacing_mm)
    middle = 0.5 * (np.percentile(places, 1, axis=0) + np.percentile(places, 99, axis=0))
    return np.asarray(middle + rng.uniform(-OFF_CENTRE_MM, OFF_CENTRE_MM, 3))
