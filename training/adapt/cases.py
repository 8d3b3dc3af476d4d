"""A lab's labelled scans, prepared for training: pairs by name, in the network's axes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.digest import sha256_of
from pipeline.image_io import read_label_map, read_scan
from pipeline.labels import given_segmentation
from pipeline.regions import split_compartments
from pipeline.report.volumes import write_nifti
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.sampling import to_isotropic
from pipeline.surface import bone_surface
from pipeline.types import LabelArray, Scan, Segmentation
from training.adapt.pairs import Pair
from training.knee_unet.collection import SAMPLE
from training.knee_unet.specimen import AXES, CLASS_OF, RESOLUTION_MM, in_network_axes
from training.limb import Field


@dataclass(frozen=True, kw_only=True, eq=False)
class LabCase:
    """A prepared pair in the network's axes; both arrays start at the same lower edges.

    image    (i, j, k) float32 at RESOLUTION_MM, as the pipeline gives it to the network, not yet standardised
    classes  (a, b, c) uint8 class of the network at spacing_mm
    """

    name: str
    image: Field
    classes: LabelArray
    spacing_mm: tuple[float, float, float]

    @property
    def extent_mm(self) -> NDArray[np.float64]:
        """(3,) size of the field of view."""
        return np.array(self.classes.shape) * np.array(self.spacing_mm)


def read_pair(pair: Pair, numbering: str) -> tuple[Scan, Segmentation]:
    """The scan and the expert's outlines on its grid. Raises the errors of read_scan, read_label_map and
    given_segmentation.
    """
    scan = read_scan(pair.scan)
    return scan, given_segmentation(read_label_map(pair.labels), numbering, scan.grid)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return sha256_of(path)
    lines = [f"{one.relative_to(path)} {sha256_of(one)}" for one in sorted(path.rglob("*")) if one.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


FILES: Final = ("image", "classes")


def prepared(pair: Pair, numbering: str, folder: Path) -> LabCase:
    """Read from `folder`, or prepared there first. Raises as read_pair."""
    key = {"scan": content_digest(pair.scan), "labels": content_digest(pair.labels), "numbering": numbering}
    own = folder / pair.name
    facts = own / "case.json"
    if not facts.is_file() or json.loads(facts.read_text(encoding="utf-8"))["key"] != key:
        scan, expert = read_pair(pair, numbering)
        order = nearest_order(scan.grid, AXES)
        spacing = order.spacing_mm(scan.grid)
        image = to_isotropic(order.to_network(scan.anatomical), spacing, RESOLUTION_MM)
        labels, _ = in_network_axes(expert.labels, expert.grid)
        own.mkdir(parents=True, exist_ok=True)
        np.save(own / "image.npy", np.asarray(image, np.float32), allow_pickle=False)
        np.save(own / "classes.npy", CLASS_OF[labels], allow_pickle=False)
        facts.write_text(json.dumps({"key": key, "spacing_mm": spacing}), encoding="utf-8")  # last: complete
    image, classes = (np.load(own / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in FILES)
    a, b, c = json.loads(facts.read_text(encoding="utf-8"))["spacing_mm"]
    return LabCase(name=pair.name, image=image, classes=classes, spacing_mm=(a, b, c))


def known_classes(cases: Sequence[LabCase]) -> tuple[int, ...]:
    """The network's classes that the lab labelled, with the background. Voxels of all others are background in its
    maps, and must not be learned as such.
    """
    found = {int(k) for case in cases for k in np.unique(case.classes)}
    return tuple(sorted(found | {0}))


def whole_maps(pairs: Sequence[Pair], numbering: str, folder: Path) -> list[Path]:
    """Canonical label maps that the generator can draw: the sample's, and the lab's with all bones and plates."""
    found = []
    for pair in pairs:
        target = folder / f"{pair.name}-{content_digest(pair.labels)[:12]}.nii.gz"
        if not target.is_file():
            _, expert = read_pair(pair, numbering)
            if not _is_whole(expert):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"partial-{target.name}")
            write_nifti(partial, _divided(expert).labels, expert.grid)
            partial.replace(target)
        found.append(target)
    return [SAMPLE, *found]


def _divided(expert: Segmentation) -> Segmentation:
    """With separate medial and lateral plates."""
    if expert.compartments_apart:
        return expert
    return split_compartments(expert, align_knee(bone_surface(expert, Structure.FEMUR)))


def _is_whole(expert: Segmentation) -> bool:
    needed = set(Structure) - {Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS}
    if not expert.compartments_apart:
        needed.discard(Structure.LATERAL_TIBIAL_CARTILAGE)
    return needed <= set(expert.boxes)
