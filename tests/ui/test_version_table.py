"""What a version changed, as a table: only figures that differ as they are shown."""

from __future__ import annotations

from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL
from pipeline.edits import StructureEdit
from pipeline.quantities import PRIMARY, THC, VOLUME, Method
from ui.analysis.version_table import changed_regions, edits_in_words


def row(quantity, region, value, method):
    return {
        "quantity": quantity.id, "structure": str(region.plate), "region": region.name, "method": method.value,
        "statistic": quantity.main.value, "value": value,
    }  # fmt: skip


def test_only_regions_whose_shown_figure_differs_are_listed():
    before = [
        row(THC, TIBIA_MEDIAL, 2.0, PRIMARY),
        row(THC, TIBIA_LATERAL, 2.5, PRIMARY),
        row(VOLUME, TIBIA_MEDIAL, 900.0, Method.VOXEL_COUNT),
    ]
    now = [
        row(THC, TIBIA_MEDIAL, 2.25, PRIMARY),
        row(THC, TIBIA_LATERAL, 2.500001, PRIMARY),
        row(VOLUME, TIBIA_MEDIAL, 850.0, Method.VOXEL_COUNT),
    ]
    frame = changed_regions(before, now)
    assert frame["Region"].tolist() == [TIBIA_MEDIAL.short] * 2
    assert frame["Difference"].tolist() == ["+0.25", "-50"]


def test_a_figure_that_is_gone_is_called_not_measured():
    (line,) = changed_regions([row(THC, TIBIA_MEDIAL, 2.0, PRIMARY)], [row(THC, TIBIA_MEDIAL, None, PRIMARY)]).to_dict(
        "records"
    )
    assert (line["Now"], line["Difference"]) == ("not measured", "")


def test_edits_are_stated_in_words():
    edit = StructureEdit(structure="femoral_cartilage", added=1200, removed=30, dice=0.98123)
    assert edits_in_words([edit]) == ["Femoral cartilage: 1,200 voxels added, 30 removed, Dice 0.981"]
