"""The second pass: it sees the first one's answer in the right place, and leaves alone what it does not look at."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.segmentation.frame import Frame, whole
from pipeline.segmentation.second_pass import blended, joint_box, look_again, recorded

SHAPE = (60, 50, 70)
SPACING = (0.7, 0.4, 0.35)
CARTILAGE = (2,)


def frame_of_scan() -> Frame:
    return Frame(shape=SHAPE, spacing_mm=SPACING, box=whole(SHAPE), resolution_mm=0.7)


def ball(centre_mm: tuple[float, ...], radius_mm: float, shape, spacing) -> np.ndarray:
    axes = np.ix_(*((np.arange(n) + 0.5) * s - c for n, s, c in zip(shape, spacing, centre_mm, strict=True)))
    return np.sqrt(sum(axis**2 for axis in axes)) < radius_mm


def first_answer(centre_mm: tuple[float, ...], radius_mm: float) -> np.ndarray:
    """(2, d, h, w) what a first pass keeps: class 2 is a ball, class 1 nowhere."""
    kept = np.zeros((2, *frame_of_scan().isotropic), np.uint8)
    kept[1] = 255 * ball(centre_mm, radius_mm, kept.shape[1:], (0.7,) * 3)
    return kept


@pytest.mark.parametrize("spacing", [(0.7, 0.4, 0.35), (3.0, 0.5, 0.5)])
def test_places_in_a_part_of_the_scan_and_in_the_whole_are_the_same_mm(spacing) -> None:
    outer = Frame(shape=SHAPE, spacing_mm=spacing, box=whole(SHAPE), resolution_mm=0.7)
    box = (slice(11, 40), slice(3, 44), slice(20, 61))
    inner = Frame(shape=SHAPE, spacing_mm=spacing, box=box, resolution_mm=0.45)
    for axis in range(3):
        edge_mm = box[axis].start * spacing[axis]
        fine_mm = (np.arange(inner.isotropic[axis]) + 0.5) * 0.45 + edge_mm
        assert np.allclose((outer.of_frame(inner)[axis] + 0.5) * 0.7, fine_mm)
        scan_mm = (np.arange(box[axis].start, box[axis].stop) + 0.5) * spacing[axis]
        assert np.allclose((inner.of_scan(box)[axis] + 0.5) * 0.45 + edge_mm, scan_mm)


def test_the_network_sees_the_first_answer_where_it_belongs_and_its_own_answer_is_written() -> None:
    centre, radius = (21.0, 10.0, 12.0), 5.0
    truth = ball(centre, radius, SHAPE, SPACING)
    labels, certainty = truth * np.uint8(2), np.zeros(SHAPE, np.uint8)
    told: list[float] = []

    def repeats_the_guidance(window: np.ndarray) -> np.ndarray:
        assert window.shape[0] == 3
        return np.concatenate([1.0 - window[1:].sum(0, keepdims=True), window[1:]])

    look_again(
        repeats_the_guidance,
        np.random.default_rng(0).random(SHAPE, dtype=np.float32),
        frame_of_scan(),
        first_answer(centre, radius),
        cartilage=CARTILAGE,
        resolution_mm=0.45,
        window_voxels=32,
        labels=labels,
        certainty=certainty,
        on_share=told.append,
    )
    found = labels == 2
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95
    shift = (np.argwhere(found).mean(0) - np.argwhere(truth).mean(0)) * SPACING
    assert np.abs(shift).max() < 0.05, "half a voxel of the first pass would be 0.35 mm"
    assert told[-1] == 1.0
    assert certainty[truth].mean() > 200


def test_far_from_cartilage_the_first_pass_stands_and_the_network_is_not_asked() -> None:
    labels = np.ones(SHAPE, np.uint8)
    labels[ball((8.0, 6.0, 6.0), 2.0, SHAPE, SPACING)] = 2
    before, asked = labels.copy(), []

    def says_background(window: np.ndarray) -> np.ndarray:
        asked.append(float(window[2].max()))
        return np.stack([np.ones(window.shape[1:], np.float32), *np.zeros((2, *window.shape[1:]), np.float32)])

    look_again(
        says_background,
        np.random.default_rng(0).random(SHAPE, dtype=np.float32),
        frame_of_scan(),
        first_answer((8.0, 6.0, 6.0), 2.0),
        cartilage=CARTILAGE,
        resolution_mm=0.45,
        window_voxels=16,
        labels=labels,
        certainty=np.zeros(SHAPE, np.uint8),
        on_share=lambda _: None,
    )
    assert asked
    assert min(asked) >= 0.05
    assert labels[11, 15, 17] == 0
    assert np.array_equal(labels[40:], before[40:])


def test_at_the_seam_one_pass_passes_into_the_other() -> None:
    said = np.full((2, 4, 3, 5), 0.4, np.float32)
    answer = np.zeros((3, 4, 3, 5), np.float32)
    answer[1] = 1.0
    ramps = [np.array([0.0, 0.5, 1.0, 1.0], np.float32), np.ones(3, np.float32), np.ones(5, np.float32)]
    ((_, mixed),) = blended(iter([(0, answer)]), said, ramps)
    assert np.allclose(mixed.sum(0), 1.0)
    assert np.allclose(mixed[:, 0, 0, 0], (0.2, 0.4, 0.4)), "the first pass at the end of the box"
    assert np.allclose(mixed[:, 1, 0, 0], (0.1, 0.7, 0.2))
    assert np.allclose(mixed[:, 2, 0, 0], (0.0, 1.0, 0.0)), "the second one inside it"


def test_without_cartilage_nothing_changes() -> None:
    labels = np.ones(SHAPE, np.uint8)
    look_again(
        lambda _: pytest.fail("asked"),
        np.zeros(SHAPE, np.float32),
        frame_of_scan(),
        np.zeros((2, *frame_of_scan().isotropic), np.uint8),
        cartilage=CARTILAGE,
        resolution_mm=0.45,
        window_voxels=16,
        labels=labels,
        certainty=np.zeros(SHAPE, np.uint8),
        on_share=lambda _: None,
    )
    assert (labels == 1).all()


def test_recording_keeps_every_class_but_the_background() -> None:
    answer = np.random.default_rng(1).dirichlet(np.ones(3), (9, 4, 5)).transpose(3, 0, 1, 2).astype(np.float32)
    kept = np.zeros((2, 9, 4, 5), np.uint8)
    slabs = list(recorded(iter([(0, answer[:, :4]), (4, answer[:, 4:])]), kept))
    assert np.array_equal(np.concatenate([slab for _, slab in slabs], 1), answer)
    assert np.abs(kept / 255 - answer[1:]).max() <= 0.5 / 255 + 1e-6


def test_the_joint_is_where_most_cartilage_lies() -> None:
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[20:40, 15:45, 10:50] = 2
    labels[0, 0, 0] = labels[59, 59, 59] = 2
    labels[50:, 50:, 50:-1] = 1
    assert joint_box(labels, (2, 4)) == (slice(20, 40), slice(15, 45), slice(10, 50))
    assert joint_box(labels, (4,)) is None
