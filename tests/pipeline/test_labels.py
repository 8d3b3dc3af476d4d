"""Existing label maps: numberings, names, anatomy."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import AUTO, BONES, CARTILAGE_OF, NUMBERINGS, Structure, structure_of
from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.grid import Grid
from pipeline.label_anatomy import guess_numbering
from pipeline.labels import canonical_labels, given_segmentation
from pipeline.types import LabelMap
from tests.support.knees import coarse_knee, tibia_unsplit

GRID = Grid(shape=(10, 11, 12), spacing_mm=(0.7, 0.4, 0.4), origin_mm=np.zeros(3), direction=np.eye(3))

NUMBERS = {
    name: {s: n for n, s in sorted(numbering.to_canonical.items(), reverse=True) if s is not None}
    for name, numbering in NUMBERINGS.items()
}
"""Structure -> its lowest label, of every numbering."""


def map_of(values):
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    labels.reshape(-1)[: len(values)] = values
    return LabelMap(labels=labels, grid=GRID)


def knee_in(numbering, *, without=()):
    """The coarse knee in another numbering; structures that it does not declare are left out."""
    knee = coarse_knee() if NUMBERINGS[numbering].compartments_apart else tibia_unsplit(coarse_knee())
    table = np.zeros(256, dtype=np.uint16)
    for structure, label in NUMBERS[numbering].items():
        table[structure] = 0 if structure in without else label
    return LabelMap(labels=table[knee.labels], grid=knee.grid)


@pytest.mark.parametrize("numbering", NUMBERINGS.values(), ids=NUMBERINGS)
def test_every_declared_label_becomes_its_structure(numbering):
    declared = sorted(numbering.to_canonical)
    found = canonical_labels(map_of(declared), numbering)
    assert found.labels.reshape(-1)[: len(declared)].tolist() == [int(numbering.to_canonical[n] or 0) for n in declared]
    assert not found.labels.reshape(-1)[len(declared) :].any()
    assert found.compartments_apart == numbering.compartments_apart


def test_newer_maps_of_pymskt_have_menisci_and_a_fibula_that_is_ignored():
    found = canonical_labels(map_of((8, 9, 10)), NUMBERINGS["pymskt"]).labels.reshape(-1)[:3]
    assert found.tolist() == [0, Structure.LATERAL_MENISCUS, Structure.MEDIAL_MENISCUS]


def test_bone_lesions_of_expert_maps_belong_to_their_bones():
    found = canonical_labels(map_of((7, 8, 9)), NUMBERINGS["oai"]).labels.reshape(-1)[:3]
    assert found.tolist() == [Structure.FEMUR, Structure.TIBIA, Structure.PATELLA]


def test_an_undeclared_label_is_an_error_that_names_it():
    with pytest.raises(UnsupportedImage, match="contains 42, which the numbering 'oai' does not declare"):
        canonical_labels(map_of([42] * 100), NUMBERINGS["oai"])


def test_an_undeclared_label_is_answered_with_the_numbering_that_fits():
    with pytest.raises(UnsupportedImage, match="contains 5, 6, 7") as refused:
        canonical_labels(knee_in("pymskt"), NUMBERINGS["ski10"])
    assert refused.value.hint == "Choose the numbering that fits this map: pymskt."


def test_an_empty_label_map_is_rejected():
    with pytest.raises(EmptyImage, match="only background"):
        canonical_labels(map_of([0]), NUMBERINGS["canonical"])


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_the_anatomy_of_a_knee_shows_its_numbering(numbering):
    guess = guess_numbering(knee_in(numbering))
    assert numbering in guess
    reading = {tuple(NUMBERINGS[name].to_canonical.get(n) for n in range(1, 5)) for name in guess}
    assert len(reading) == 1


@pytest.mark.slow
@pytest.mark.parametrize("numbering", NUMBERINGS)
@pytest.mark.parametrize("bone", BONES)
def test_one_bone_with_its_cartilage_shows_its_numbering(numbering, bone):
    declared = NUMBERS[numbering]
    if bone not in declared:
        pytest.skip("not in this numbering")
    knee = knee_in(numbering, without=set(declared) - {bone, *CARTILAGE_OF[bone]})
    truth = canonical_labels(knee, NUMBERINGS[numbering])
    found = given_segmentation(knee, AUTO, None)
    assert np.array_equal(found.labels, truth.labels)
    assert found.compartments_apart == truth.compartments_apart or bone is not Structure.TIBIA


@pytest.mark.slow
@pytest.mark.parametrize("stored", NUMBERINGS)
@pytest.mark.parametrize("claimed", NUMBERINGS)
def test_no_knee_is_read_in_a_numbering_that_contradicts_it(stored, claimed):
    knee = knee_in(stored)
    truth = canonical_labels(knee, NUMBERINGS[stored])
    try:
        found = given_segmentation(knee, claimed, None)
    except UnsupportedImage as refused:
        assert stored in refused.hint  # noqa: PT017  either of two outcomes is right
    else:
        assert np.array_equal(found.labels, truth.labels)
        assert found.compartments_apart == truth.compartments_apart


def test_a_contradiction_says_what_is_wrong_and_what_fits():
    with pytest.raises(UnsupportedImage, match=r"label 5 \(patella\) is a thin plate") as refused:
        given_segmentation(knee_in("oai_zib_cm"), "oai", None)
    assert refused.value.hint == "Choose the numbering that fits this map: oai_zib_cm."


def test_a_numbering_is_chosen_by_anatomy_on_request():
    found = given_segmentation(knee_in("ski10"), AUTO, None)
    assert not found.compartments_apart
    assert np.array_equal(found.labels > 0, np.isin(coarse_knee().labels, [1, 2, 4, 5, 6]))
    assert "read with the numbering" in found.warnings[0]


def test_a_map_that_fits_several_numberings_needs_a_choice():
    with pytest.raises(UnsupportedImage, match="cannot be recognised"):
        given_segmentation(map_of([0]), AUTO, None)


def test_names_in_the_file_replace_the_numbering():
    knee = knee_in("canonical")
    shuffled = LabelMap(labels=np.where(knee.labels > 0, 20 - knee.labels, 0).astype(np.uint16), grid=knee.grid)
    names = {20 - int(s): s.title for s in Structure}
    found = given_segmentation(replace(shuffled, names=names), "canonical", None)
    assert np.array_equal(found.labels, coarse_knee().labels)
    assert found.model_id == "given:names"
    with pytest.raises(UnsupportedImage):
        given_segmentation(replace(shuffled, names=names | {19: "something"}), "canonical", None)


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("Right femur", Structure.FEMUR),
        ("FemoralCartilage", Structure.FEMORAL_CARTILAGE),
        ("Cartilage of the medial tibial plateau", Structure.MEDIAL_TIBIAL_CARTILAGE),
        ("LTC", Structure.LATERAL_TIBIAL_CARTILAGE),
        ("patella_bone", Structure.PATELLA),
        ("Fibula", None),
        ("Segment_1", None),
    ],
)
def test_names_are_recognised_in_any_spelling(name, structure):
    assert structure_of(name) is structure


def resampled(label_map, order):
    """On a grid 10 % coarser: order 0 nearest neighbour, 1 linear and rounded."""
    from scipy import ndimage

    labels = ndimage.zoom(label_map.labels.astype(np.float32), 0.9, order=order)
    spacing = tuple(s / 0.9 for s in label_map.grid.spacing_mm)
    grid = Grid(
        shape=labels.shape,
        spacing_mm=spacing,
        origin_mm=label_map.grid.origin_mm,
        direction=label_map.grid.direction,
    )
    return LabelMap(labels=np.rint(labels).astype(np.uint16), grid=grid)


@pytest.mark.slow
@pytest.mark.parametrize("numbering", ["canonical", "oai_zib_cm"])
def test_only_an_interpolated_map_is_flagged(numbering):
    knee = knee_in(numbering)
    for right in (knee, resampled(knee, 0)):
        assert given_segmentation(right, numbering, None).flags == ()
    (flag,) = given_segmentation(resampled(knee, 1), numbering, None).flags
    assert flag.code == "INTERPOLATED_LABELS"
    assert "nearest neighbour" in flag.message
