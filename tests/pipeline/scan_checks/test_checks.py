"""Each check finds its fault in a phantom that has it, and nothing in the knee without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from pipeline.alignment import align_knee
from pipeline.anatomy import CARTILAGE_OF, Side, Structure
from pipeline.scan_checks.checks import BY_ID, CHECKS
from pipeline.scan_checks.subject import Subject
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.surface import bone_surface
from pipeline.types import Scan, Segmentation
from tests.support.knees import coarse_knee, mirrored

Fault = Callable[[Subject], Subject]


@lru_cache(maxsize=1)
def sound() -> Subject:
    """A whole knee in an image in which cartilage is brighter than bone; its shafts reach the border."""
    knee = coarse_knee()
    rows = np.flatnonzero(knee.mask(Structure.FEMUR, Structure.TIBIA).any(axis=(0, 2)))
    low, high = np.array([0, rows[0], 0]), np.array([knee.labels.shape[0], rows[-1] + 1, knee.labels.shape[2]])
    labels = np.ascontiguousarray(knee.labels[:, rows[0] : rows[-1] + 1])
    knee = replace(knee, labels=labels, grid=knee.grid.crop(low, high))
    image = np.where(labels >= Structure.FEMORAL_CARTILAGE, 100.0, 40.0).astype(np.float32)
    image += np.random.default_rng(0).normal(0.0, 5.0, image.shape).astype(np.float32)
    return Subject(
        scan=Scan(echoes=image[None], grid=knee.grid),
        answer=knee,
        segmentation=knee,
        alignment=align_knee(bone_surface(knee, Structure.FEMUR)),
        card=knee_unet().card,
        others={"another model": knee},
    )


def relabelled(subject: Subject, labels: np.ndarray) -> Subject:
    return replace(subject, segmentation=replace(subject.segmentation, labels=labels.astype(np.uint8)))


def ball(knee: Segmentation, bone: Structure, radius_mm: float, shift_mm: float = 0.0) -> np.ndarray:
    """A ball around the voxel deepest inside a bone, moved along the slice's first axis."""
    spacing = np.array(knee.grid.spacing_mm)
    depth = ndimage.distance_transform_edt(knee.labels == bone, spacing)
    centre = np.array(np.unravel_index(np.argmax(depth), depth.shape)) * spacing + [0.0, shift_mm, 0.0]
    index = np.moveaxis(np.indices(knee.labels.shape), 0, -1) * spacing
    return np.asarray(((index - centre) ** 2).sum(axis=-1) < radius_mm**2)


def with_hole(subject: Subject) -> Subject:
    knee = subject.segmentation
    return relabelled(subject, np.where(ball(knee, Structure.TIBIA, 5.0), 0, knee.labels))


def with_cartilage_in_bone(subject: Subject) -> Subject:
    knee = subject.segmentation
    return relabelled(subject, np.where(ball(knee, Structure.FEMUR, 5.0), Structure.FEMORAL_CARTILAGE, knee.labels))


def with_open_hole(subject: Subject) -> Subject:
    """A bite out of the front of the femur: no slice surrounds it."""
    knee = subject.segmentation
    hole = ball(knee, Structure.FEMUR, 8.0)
    columns = np.flatnonzero(hole.any(axis=(0, 1)))
    channel = hole.any(axis=2, keepdims=True) & (np.arange(knee.labels.shape[2]) <= columns[-1])
    return relabelled(subject, np.where(hole | channel, 0, knee.labels))


def with_second_piece(subject: Subject) -> Subject:
    """A cut of 3 mm across the femur above the joint, in the network's answer."""
    knee = subject.answer
    rows = np.flatnonzero((knee.labels == Structure.FEMUR).any(axis=(0, 2)))
    cut = np.zeros(knee.labels.shape, bool)
    cut[:, rows[len(rows) // 4] : rows[len(rows) // 4] + 3] = True
    labels = np.where(cut & (knee.labels == Structure.FEMUR), 0, knee.labels).astype(np.uint8)
    return replace(subject, answer=replace(knee, labels=labels))


def with_gap_along_the_leg(subject: Subject) -> Subject:
    knee = subject.segmentation
    rows = np.flatnonzero((knee.labels == Structure.TIBIA).any(axis=(0, 2)))
    cut = np.zeros(knee.labels.shape, bool)
    middle = int(rows[len(rows) // 2])
    cut[:, middle : middle + 4] = True
    return relabelled(subject, np.where(cut & (knee.labels == Structure.TIBIA), 0, knee.labels))


def with_short_shaft(subject: Subject) -> Subject:
    knee = subject.segmentation
    above = np.arange(knee.labels.shape[1])[:, None] < 12 / knee.grid.spacing_mm[1]
    return relabelled(subject, np.where(above & (knee.labels == Structure.FEMUR), 0, knee.labels))


def without_patella(subject: Subject) -> Subject:
    knee = subject.segmentation
    return relabelled(subject, np.where(knee.mask(Structure.PATELLA), 0, knee.labels))


def with_patella_behind(subject: Subject) -> Subject:
    """Patella and its cartilage moved behind the femur."""
    knee = subject.segmentation
    parts = (Structure.PATELLA, Structure.PATELLAR_CARTILAGE)
    shift = round(70 / knee.grid.spacing_mm[2])
    moved = ndimage.shift(np.where(knee.mask(*parts), knee.labels, 0), (0, 0, shift), order=0)
    return relabelled(subject, np.where(moved > 0, moved, np.where(knee.mask(*parts), 0, knee.labels)))


def with_equal_sides(subject: Subject) -> Subject:
    alignment = subject.alignment
    return replace(subject, alignment=replace(alignment, residual_other_mm=1.05 * alignment.residual_mm))


def with_wrong_side_stated(subject: Subject) -> Subject:
    return replace(subject, scan=replace(subject.scan, side=Side.LEFT))


def with_unusual_femur(subject: Subject) -> Subject:
    return replace(subject, alignment=replace(subject.alignment, residual_mm=1.6, residual_other_mm=4.0))


def with_fluid(bone: Structure) -> Fault:
    def fault(subject: Subject) -> Subject:
        image = subject.scan.echoes.copy()
        plate = subject.segmentation.mask(*CARTILAGE_OF[bone])
        places = np.argwhere(plate)
        image[0][tuple(places[: int(0.3 * len(places))].T)] = 260.0
        return replace(subject, scan=replace(subject.scan, echoes=image))

    return fault


def with_other_cartilage(subject: Subject) -> Subject:
    other = subject.segmentation
    moved = ndimage.shift(np.where(other.mask(Structure.PATELLAR_CARTILAGE), other.labels, 0), (0, 5, 0), order=0)
    labels = np.where(other.mask(Structure.PATELLAR_CARTILAGE), 0, other.labels)
    labels = np.where((labels == 0) & (moved > 0), moved, labels).astype(np.uint8)
    return replace(subject, others={"another model": replace(other, labels=labels)})


FAULTS: tuple[tuple[str, Fault], ...] = (
    ("bone_holes", with_hole),
    ("bone_holes", with_cartilage_in_bone),
    ("missing_interior", with_open_hole),
    ("bone_pieces", with_second_piece),
    ("bone_interrupted", with_gap_along_the_leg),
    ("shaft_end", with_short_shaft),
    ("missing_structures", without_patella),
    ("patella_behind", with_patella_behind),
    ("side_uncertain", with_equal_sides),
    ("side_uncertain", with_wrong_side_stated),
    ("poor_fit", with_unusual_femur),
    ("fluid_in_patellar_cartilage", with_fluid(Structure.PATELLA)),
    ("fluid_in_femoral_cartilage", with_fluid(Structure.FEMUR)),
    ("fluid_in_tibial_cartilage", with_fluid(Structure.TIBIA)),
    ("disagreement", with_other_cartilage),
)


@pytest.mark.parametrize("name", BY_ID)
def test_a_sound_knee_passes(name: str) -> None:
    finding = BY_ID[name].function(sound())
    assert finding is not None
    assert not BY_ID[name].fails(finding.value), finding.words
    assert BY_ID[name].severity(finding.value) < 1


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_is_found_and_named(name: str, fault: Fault) -> None:
    finding = BY_ID[name].function(fault(sound()))
    assert finding is not None
    assert BY_ID[name].fails(finding.value), f"{finding.words} ({finding.value:.3g})"
    assert BY_ID[name].severity(finding.value) >= 1
    assert finding.words


def test_every_check_has_a_fault() -> None:
    assert {name for name, _ in FAULTS} == {check.id for check in CHECKS}


def test_the_place_of_a_hole_is_inside_it() -> None:
    hole = with_hole(sound())
    for name in ("bone_holes", "missing_interior"):
        finding = BY_ID[name].function(hole)
        assert finding is not None
        assert finding.place is not None
        assert ball(sound().segmentation, Structure.TIBIA, 5.0)[finding.place]


def test_a_mirrored_knee_gives_the_same_figures() -> None:
    one = sound()
    other = mirrored(one.segmentation)
    image = np.ascontiguousarray(one.scan.echoes[..., ::-1])
    same = replace(
        one,
        scan=Scan(echoes=image, grid=other.grid),
        answer=other,
        segmentation=other,
        alignment=align_knee(bone_surface(other, Structure.FEMUR)),
        others={"another model": other},
    )
    for check in CHECKS:
        here, there = check.function(one), check.function(same)
        assert here is not None
        assert there is not None
        assert there.value == pytest.approx(here.value, rel=0.03, abs=0.5 * (check.limit - check.usual) * 0.1), check.id


def test_a_check_of_what_is_absent_does_not_apply() -> None:
    alone = replace(sound(), others={})
    assert BY_ID["disagreement"].function(alone) is None
    assert BY_ID["patella_behind"].function(without_patella(sound())) is None
