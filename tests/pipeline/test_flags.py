"""What each flag says about the use of which numbers; one flag per cause."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import BONES, Side
from pipeline.anatomy.regions import FEMUR_MEDIAL_POSTERIOR
from pipeline.field_of_view import cut_flags
from pipeline.flags import FLAGS, FlagCode, QualityFlag, Use, settled, use_of
from pipeline.grid import Grid
from pipeline.quantities import QUANTITIES
from pipeline.types import Alignment, Measurement, Segmentation
from pipeline.uses import Uses

ROOT = Path(__file__).resolve().parents[2]


def flag(code: str, structure: str = "", **values: object) -> QualityFlag:
    return QualityFlag(code=FlagCode(code), reason=code.lower(), message="x", structure=structure, **values)


SLICES = flag("CARTILAGE_NOT_USABLE")


@pytest.mark.parametrize(
    ("quantity", "structure", "region", "use"),
    [
        ("ThC", "femoral_cartilage", "all", "no"),
        ("ThCtAB", "patellar_cartilage", "all", "no"),
        ("ThC_matched", "tibial_cartilage", "medial", "no"),
        ("tAB", "tibial_cartilage", "medial", "no"),
        ("dAB", "femoral_cartilage", "anterior", "no"),
        ("volume", "femoral_cartilage", "all", "no"),
        ("T2", "femoral_cartilage", "all", "caution"),
        ("T2", "tibial_cartilage", "medial", "caution"),
        ("T2", "femoral_cartilage", "anterior", "no"),
        ("T2_deep", "femoral_cartilage", "all", "no"),
        ("T2_superficial", "patellar_cartilage", "all", "no"),
        ("bone_volume", "femur", "all", "yes"),
    ],
)
def test_slices_of_4_mm_leave_t2_of_whole_plates_alone(quantity: str, structure: str, region: str, use: str) -> None:
    assert use_of(quantity, structure, region, [SLICES]) == (use, "" if use == "yes" else "CARTILAGE_NOT_USABLE")


@pytest.mark.parametrize(
    ("raised", "quantity", "place", "use"),
    [
        (flag("STRUCTURE_MISSING", "patella"), "volume", ("patellar_cartilage", "all"), "no"),
        (flag("STRUCTURE_MISSING", "patella"), "ThC", ("femoral_cartilage", "all"), "yes"),
        (flag("STRUCTURE_MISSING", "medial_tibial_cartilage"), "ThC", ("tibial_cartilage", "medial"), "no"),
        (flag("STRUCTURE_MISSING", "medial_tibial_cartilage"), "ThC", ("tibial_cartilage", "all"), "no"),
        (flag("STRUCTURE_MISSING", "medial_tibial_cartilage"), "ThC", ("tibial_cartilage", "lateral"), "yes"),
        (flag("SIDE_UNCERTAIN"), "ThC", ("tibial_cartilage", "medial"), "caution"),
        (flag("SIDE_UNCERTAIN"), "T2", ("femoral_cartilage", "lateral_posterior"), "caution"),
        (flag("SIDE_UNCERTAIN"), "ThC", ("femoral_cartilage", "all"), "yes"),
        (flag("SPACING_TOO_COARSE"), "ThC", ("femoral_cartilage", "all"), "caution"),
        (flag("UNUSUAL_FEMUR", "femur"), "ThC", ("tibial_cartilage", "all"), "yes"),
    ],
)
def test_a_flag_concerns_the_rows_of_its_structure(
    raised: QualityFlag, quantity: str, place: tuple[str, str], use: str
) -> None:
    assert use_of(quantity, *place, [raised])[0] == use


def test_only_the_cut_regions_and_the_whole_plate_are_incomplete() -> None:
    cut = flag("CUT_BY_FIELD_OF_VIEW", "femoral_cartilage", regions=("anterior", "all"))
    for region in ("anterior", "all"):
        assert use_of("tAB", "femoral_cartilage", region, [cut]) == (Use.NO, "CUT_BY_FIELD_OF_VIEW")
        assert use_of("volume", "femoral_cartilage", region, [cut])[0] is Use.NO
        assert use_of("ThC", "femoral_cartilage", region, [cut])[0] is Use.CAUTION
    assert use_of("tAB", "femoral_cartilage", "medial_posterior", [cut]) == (Use.YES, "")


def test_the_gravest_flag_decides() -> None:
    unsure = flag("LOW_CONFIDENCE")
    assert use_of("ThC", "femoral_cartilage", "all", [unsure, SLICES]) == (Use.NO, "CARTILAGE_NOT_USABLE")
    assert use_of("ThC", "femoral_cartilage", "all", [unsure]) == (Use.CAUTION, "LOW_CONFIDENCE")


def test_one_cause_has_one_flag_and_the_gravest_is_first() -> None:
    rows = {("ThC", "tibial_cartilage", "lateral"), ("T2", "tibial_cartilage", "lateral")}
    outside = flag("OUTSIDE_EXPERT_RANGE", "tibial_cartilage", rows=(("ThC", "lateral"),))
    raised = [flag("LOW_CONFIDENCE"), flag("SPACING_TOO_COARSE"), outside, flag("SIDE_UNCERTAIN"), SLICES, SLICES]
    assert [found.code for found in settled(raised, rows)] == ["CARTILAGE_NOT_USABLE", "SIDE_UNCERTAIN"]
    assert [found.code for found in settled([outside, flag("SPACING_TOO_COARSE")], rows)] == [
        "SPACING_TOO_COARSE",
        "OUTSIDE_EXPERT_RANGE",
    ]


def test_a_flag_survives_json_and_has_one_short_line() -> None:
    cut = flag("CUT_BY_FIELD_OF_VIEW", "femoral_cartilage", regions=("all",), rows=(("tAB", "all"),))
    document = cut.to_dict()
    assert QualityFlag.from_dict(document | {"rows": [["tAB", "all"]], "regions": ["all"]}) == cut
    assert (document["use"], document["code"]) == ("no", "CUT_BY_FIELD_OF_VIEW")
    for code in FLAGS:
        line = flag(code).summary
        assert line.endswith(".")
        assert "\n" not in line
        assert len(line) < 110


def test_the_table_has_every_flag_and_known_quantities_only() -> None:
    assert set(FLAGS) == set(FlagCode)
    named = {quantity for kind in FLAGS.values() for effect in kind.effects for quantity in effect.quantities}
    assert named == set(QUANTITIES)


def test_a_row_carries_its_use_and_the_code_of_the_flag() -> None:
    row = Measurement(
        quantity="ThC",
        method="union",
        structure="femoral_cartilage",
        region="all",
        statistic="mean",
        value=2.0,
        unit="mm",
        n=5,
    )
    assert (row.judged([SLICES]).use, row.judged([SLICES]).flag) == ("no", "CARTILAGE_NOT_USABLE")
    assert (row.judged([]).use, row.judged([]).flag) == ("yes", "")


def test_notes_name_each_reason_once_and_exclusions_first() -> None:
    uses = Uses(flags=(SLICES,))
    rows = [("T2", "femoral_cartilage", "all"), ("ThC", "femoral_cartilage", "all"), ("ThC", "tibial_cartilage", "all")]
    assert uses.notes(rows) == [
        "Do not use values in grey: cartilage_not_usable",
        "Use the others with caution: cartilage_not_usable",
    ]
    assert Uses(flags=()).notes(rows) == []


SIZE = 20


def knee(**places: tuple[slice, slice, slice]) -> Segmentation:
    """Boxes of labels; array axes: z towards superior, y posterior, x medial (right knee in the reference frame)."""
    labels = np.zeros((SIZE, SIZE, SIZE), np.uint8)
    for name, box in places.items():
        labels[box] = {"femur": 1, "patella": 3, "femoral": 4, "medial": 5, "meniscus": 8}[name.partition("_")[0]]
    grid = Grid(shape=labels.shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=np.zeros(3), direction=np.eye(3))
    return Segmentation(labels=labels, grid=grid, model_id="x")


def cuts(segmentation: Segmentation) -> list[QualityFlag]:
    labels = segmentation.labels
    regions = np.where(labels == 4, 11, np.where(labels > 4, labels, 0)).astype(np.uint8)
    regions[..., SIZE // 2 :][labels[..., SIZE // 2 :] == 4] = 12
    alignment = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=1.0, residual_other_mm=2.0)
    return cut_flags(segmentation, regions, alignment)


@pytest.mark.parametrize(
    ("axis", "end", "border"),
    [
        (0, 0, "inferior"),
        (0, -1, "superior"),
        (1, 0, "anterior"),
        (1, -1, "posterior"),
        (2, 0, "lateral"),
        (2, -1, "medial"),
    ],
)
def test_cartilage_cut_on_each_of_six_sides_is_named_with_the_border(axis: int, end: int, border: str) -> None:
    box = [slice(6, 9)] * 3
    box[axis] = slice(0, 3) if end == 0 else slice(SIZE - 3, SIZE)
    (found,) = cuts(knee(femoral=tuple(box)))
    assert found.reason == f"femoral cartilage cut at the {border} border of the image"
    assert found.regions == (("medial_weight_bearing" if border == "medial" else "anterior"), "all")


def test_a_cut_posterior_condyle_makes_weight_bearing_incomplete_too() -> None:
    segmentation = knee(femoral=(slice(6, 9), slice(SIZE - 3, SIZE), slice(6, 9)))
    regions = np.where(segmentation.labels == 4, FEMUR_MEDIAL_POSTERIOR.label, 0).astype(np.uint8)
    alignment = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=1.0, residual_other_mm=2.0)
    (found,) = cut_flags(segmentation, regions, alignment)
    assert found.regions == ("medial_weight_bearing", "medial_posterior", "all")


def test_a_meniscus_cut_by_the_border_has_measures_that_must_not_be_used() -> None:
    (found,) = cuts(knee(meniscus=(slice(6, 9), slice(6, 9), slice(SIZE - 3, SIZE))))
    assert found.reason == "medial meniscus cut at the medial border of the image"
    for quantity in ("volume", "meniscus_thickness", "meniscus_coverage", "meniscus_extrusion"):
        assert use_of(quantity, "medial_meniscus", "all", [found])[0] is Use.NO
        assert use_of(quantity, "lateral_meniscus", "all", [found])[0] is Use.YES
    assert use_of("joint_space", "tibial_cartilage", "medial", [found])[0] is Use.YES


def test_a_bone_is_named_where_it_is_cut_beside_its_cartilage_but_not_at_its_shaft() -> None:
    cartilage = (slice(2, 4), slice(4, 16), slice(4, 19))
    assert cuts(knee(femur=(slice(4, SIZE), slice(5, 15), slice(5, 18)), femoral=cartilage)) == []
    wide = knee(femur=(slice(3, SIZE), slice(5, 15), slice(5, SIZE)), femoral_cartilage=cartilage)
    (found,) = cuts(wide)
    assert (found.code, found.structure) == ("BONE_CUT_BY_FIELD_OF_VIEW", "femur")
    assert "medial" in found.reason
    assert use_of("tAB", "femoral_cartilage", "all", [found])[0] is Use.CAUTION


def repr_of(code: FlagCode) -> str:
    return f"FlagCode.{code.name}"


def test_every_flag_of_the_pipeline_is_raised_by_its_code_in_the_table() -> None:
    raised = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "QualityFlag":
                raised |= {ast.unparse(word.value) for word in node.keywords if word.arg == "code"}
    by_bone = {f"FlagCode.UNUSUAL_{bone.name}" for bone in BONES}
    assert (raised - {"FlagCode[f'UNUSUAL_{alignment.structure.name}']"}) | by_bone == set(map(repr_of, FlagCode))


def cut(key: str, title: str) -> QualityFlag:
    reason = f"{title} cut at the posterior border of the image"
    return QualityFlag(code=FlagCode.CUT_BY_FIELD_OF_VIEW, structure=key, reason=reason, message="x")


def test_one_cause_that_concerns_several_plates_is_one_line():
    plates = ("femoral", "medial_tibial", "lateral_tibial")
    flags = tuple(cut(f"{plate}_cartilage", f"{plate.replace('_', ' ')} cartilage") for plate in plates)
    assert Uses(flags=(SLICES, *flags)).summaries() == [
        SLICES.summary,
        "Femoral, medial tibial and lateral tibial cartilage cut at the posterior border of the image: "
        + flags[0].summary.partition(": ")[2],
    ]
    rows = [("volume", "femoral_cartilage", "all"), ("volume", "tibial_cartilage", "medial")]
    assert Uses(flags=flags).notes(rows) == [
        "Do not use: femoral and medial tibial cartilage cut at the posterior border of the image"
    ]


def test_what_holds_for_every_scan_of_a_model_is_no_point_to_check_but_is_a_note_on_its_numbers():
    experimental = flag("EXPERIMENTAL_STRUCTURE", "medial_meniscus")
    assert Uses(flags=(experimental,)).summaries() == []
    assert Uses(flags=(experimental,)).notes([("volume", "medial_meniscus", "all")]) == [
        "Use with caution: experimental_structure"
    ]
