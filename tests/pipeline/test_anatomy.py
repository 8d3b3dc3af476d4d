"""Plates and regions: names, order, compartments."""

from __future__ import annotations

from pipeline.anatomy import (
    COMPARTMENT_PAIRS,
    FEMUR_MEDIAL_POSTERIOR,
    FEMUR_WHOLE,
    PATELLA_WHOLE,
    REGIONS,
    TABLE_ORDER,
    TIBIA_MEDIAL,
    Compartment,
    Plate,
    Structure,
    pair_title,
    place_order,
    place_title,
    region_named,
)


def test_a_whole_plate_precedes_its_parts_and_is_their_parent() -> None:
    for plate in Plate:
        assert all(plate.whole.order < part.order for part in plate.parts)
        assert {part.parent for part in plate.parts} <= {plate.whole}
        assert plate.whole.parent is None
    assert FEMUR_MEDIAL_POSTERIOR.parent is FEMUR_WHOLE


def test_every_voxel_of_a_plate_has_a_number_of_its_regions() -> None:
    labels = [label for plate in Plate for label in plate.labels]
    assert labels == [region.label for region in REGIONS]
    assert len(set(labels)) == len(labels)
    assert 0 not in labels
    assert PATELLA_WHOLE.label == Structure.PATELLAR_CARTILAGE


def test_a_pair_is_the_same_part_of_a_plate_in_both_compartments() -> None:
    assert [pair_title(medial) for medial, _ in COMPARTMENT_PAIRS] == [
        "Femur, weight bearing",
        "Femur, posterior",
        "Tibia",
    ]
    for medial, lateral in COMPARTMENT_PAIRS:
        assert (medial.compartment, lateral.compartment) == (Compartment.MEDIAL, Compartment.LATERAL)
        assert (medial.plate, medial.part) == (lateral.plate, lateral.part)


def test_a_row_of_the_tables_finds_its_region_and_a_name_for_people() -> None:
    assert [region_named(region.plate, region.name) for region in TABLE_ORDER] == list(TABLE_ORDER)
    assert place_title("tibial_cartilage", "medial") == TIBIA_MEDIAL.short == "Tibia, medial"
    assert place_title("patellar_cartilage", "all") == "Patella, whole plate"
    assert place_title("medial_meniscus", "all") == "Medial meniscus"
    assert region_named("medial_meniscus", "all") is None
    assert TIBIA_MEDIAL.title == "Tibial cartilage: medial"


def test_places_are_sorted_as_tables_show_them() -> None:
    places = [("medial_meniscus", "all"), ("femur", "all"), ("tibial_cartilage", "medial"), ("tibial_cartilage", "all")]
    assert sorted(places, key=lambda place: place_order(*place)) == [
        ("tibial_cartilage", "all"),
        ("tibial_cartilage", "medial"),
        ("femur", "all"),
        ("medial_meniscus", "all"),
    ]
