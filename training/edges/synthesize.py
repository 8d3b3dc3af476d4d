"""Synthetic scans of a whole joint, as for the training of the voxel networks, and their first pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.segmentation.first_pass import recorded
from pipeline.segmentation.frame import Frame
from pipeline.segmentation.knee_unet import KneeUnet
from pipeline.segmentation.runtime import Network
from pipeline.segmentation.sampling import standardise, to_isotropic
from pipeline.segmentation.unet import OVERLAP
from pipeline.segmentation.windows import averaged, plan
from training.generator.anatomy import Anatomy
from training.generator.families import FAMILIES, draw_protocol
from training.generator.scan import make_view, plate_centre
from training.knee_unet.acquisition import acquire
from training.knee_unet.fields import Shape
from training.knee_unet.patches import draw_matrix, pose
from training.knee_unet.specimen import CARTILAGE_CLASSES, Specimen
from training.limb import Field

VOXEL_MM: Final = 0.45
JOINT: Final[Shape] = (184, 160, 184)
"""Voxels: 83 x 72 x 83 mm, the joint and its surroundings."""
OFF_CENTRE_MM: Final = 6.0
SCALE: Final = 0.35
"""Half-range of the log of the size factor, much wider than in real knees: a ray shows the cartilage thickness but not
the size of the knee, and a network trained mostly on 2 mm biases every other thickness towards 2 mm.
"""
EXTENT_MM: Final = (83.0, 72.0, 83.0)
THIN_MM: Final = (0.45, 1.6)
IN_PLANE_MM: Final = (0.3, 0.75)
"""Slice thickness and voxel size of joints from the generator: edges are located in slices under 2 mm."""
MORE_DESS: Final = 0.45
"""Probability of a water-excited DESS contrast before contrast.FAMILIES is consulted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticJoint:
    """image (a, b, c) on voxels of spacing_mm; targets (classes, a, b, c): the fraction of each class."""

    image: Field
    targets: Field
    family: str
    spacing_mm: tuple[float, float, float] = (VOXEL_MM,) * 3


def synthesize(specimen: Specimen, rng: np.random.Generator, shape: Shape = JOINT) -> SyntheticJoint:
    """A joint in a random pose, contrast and acquisition; deterministic for a given generator state."""
    family = "dess" if rng.random() < MORE_DESS else None
    posed = pose(specimen, rng, draw_matrix(rng, SCALE), _centre(specimen, rng), shape, VOXEL_MM, family)
    return SyntheticJoint(
        image=acquire(posed.image, rng, VOXEL_MM, posed.family), targets=posed.targets, family=posed.family
    )


def generate(anatomy: Anatomy, rng: np.random.Generator) -> SyntheticJoint:
    """A joint of the generator of clinical scans, with slices thin enough for located edges, sharp or blurred."""
    family = str(rng.choice(list(FAMILIES)))
    drawn = draw_protocol(rng, family)
    voxels = np.exp(rng.uniform(*np.log(THIN_MM))), np.exp(rng.uniform(*np.log(IN_PLANE_MM)))
    protocol = replace(drawn, slice_mm=float(voxels[0]), gap_mm=0.0, in_plane_mm=float(voxels[1]))
    centre = plate_centre(anatomy) + rng.uniform(-OFF_CENTRE_MM, OFF_CENTRE_MM, 3)
    found = make_view(anatomy, protocol, rng, EXTENT_MM, draw_matrix(rng, SCALE), centre)
    return SyntheticJoint(
        image=found.image, targets=found.targets, family=f"generated_{family}", spacing_mm=found.spacing_mm
    )


def first_pass(network: Network, model: KneeUnet, joint: SyntheticJoint) -> tuple[NDArray[np.uint8], Frame]:
    """(classes - 1, a, b, c) first-pass probabilities as the pipeline stores them (8-bit), and their grid."""
    a, b, c = joint.image.shape
    frame = Frame(shape=(a, b, c), spacing_mm=joint.spacing_mm, resolution_mm=model.resolution_mm)
    volume = standardise(to_isotropic(joint.image, joint.spacing_mm, model.resolution_mm))[None]
    axes = plan(frame.isotropic, model.window_voxels, OVERLAP)
    slabs = averaged(volume, axes, network.classes, network, lambda: None)
    kept = np.empty((network.classes - 1, *frame.isotropic), dtype=np.uint8)
    for _ in recorded(slabs, kept):
        pass
    return kept, frame


def _centre(specimen: Specimen, rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) mm: the centre of the cartilage with a random offset."""
    step = 4
    found = np.argwhere(np.isin(specimen.classes[::step, ::step, ::step], CARTILAGE_CLASSES))
    places = found * step * np.array(specimen.spacing_mm)
    middle = 0.5 * (np.percentile(places, 1, axis=0) + np.percentile(places, 99, axis=0))
    return np.asarray(middle + rng.uniform(-OFF_CENTRE_MM, OFF_CENTRE_MM, 3))
