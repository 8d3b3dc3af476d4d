"""The 3D scene of the viewer: values are stored correctly, and the knee has the right orientation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import BONES, REGIONS, SUBREGION_SCHEME, Side, Structure
from pipeline.flat_maps.reference import reference_plate
from pipeline.quantities import Method
from pipeline.report import write_view
from pipeline.report.colours import GREYS, VIRIDIS
from pipeline.report.knee_scene import denuded_channel, knee_meshes, soft_surface
from pipeline.report.meshes import bone_maps
from pipeline.report.scene import LARGEST_STEP_MM, Scalar, SceneMesh, write_scene
from pipeline.report.scene_layout import GAP_MM
from pipeline.types import AnalysisResult, RelaxationMap
from tests.support.report_phantom import CENTRES_MM, MIDDLE_MM, RADII_MM, THICK_SLICES, THICKNESS_MM, phantom
from tests.support.scene_file import ReadMesh, read_scene

HALF_STEP_MM = LARGEST_STEP_MM / 2


@pytest.fixture(scope="module")
def result() -> AnalysisResult:
    return phantom()


@pytest.fixture(scope="module")
def written(result: AnalysisResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job") / "view"
    write_view(result, folder)
    return folder / "scene.bin.gz"


@pytest.fixture(scope="module")
def scene(written: Path) -> tuple[dict, dict[str, ReadMesh]]:
    return read_scene(written)


def test_thickness_that_must_not_be_used_is_grey_with_the_reason_in_the_legend(result: AnalysisResult) -> None:
    usable, excluded = (
        next(channel for channel in knee_meshes(knee)[0].channels if channel.name == "thickness")
        for knee in (replace(result, flags=()), replace(result, flags=(THICK_SLICES,)))
    )
    assert (usable.note, usable.usable, usable.colours) == ("", True, VIRIDIS)
    assert (excluded.note, excluded.usable, excluded.colours) == ("Do not use: slices of 4 mm", False, GREYS)


def as_left(result: AnalysisResult) -> AnalysisResult:
    """The same shapes as a left knee, which is mirrored in the reference frame."""
    matrix = np.diag([-1.0, 1.0, 1.0, 1.0]) @ result.alignment.matrix
    return replace(result, alignment=replace(result.alignment, matrix=matrix, side=Side.LEFT))


def placed(mesh: ReadMesh, header: dict, layout: str) -> np.ndarray:
    """(n, 3): the mesh's points in a layout, in the knee's axes."""
    chosen = next(entry for entry in header["layouts"] if entry["id"] == layout)
    matrix = np.array(chosen["placed"][mesh.header["key"]]).reshape(4, 4)
    assert matrix[:3, :3] @ matrix[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0), "a knee is moved, never mirrored"
    return mesh.points @ np.array(header["axes"]).T @ matrix[:3, :3].T + matrix[:3, 3]


def test_every_triangle_corner_is_decoded_within_half_a_step(result: AnalysisResult, scene) -> None:
    for item in result.thickness[::2]:
        surface = item.surface
        mesh = scene[1][surface.structure.key]
        assert mesh.faces.shape == surface.faces.shape
        off = np.abs((mesh.points[mesh.faces] - surface.points_mm[surface.faces]) @ result.segmentation.grid.direction)
        assert off.max() <= HALF_STEP_MM


def test_thickness_and_region_are_decoded_at_every_corner(result: AnalysisResult, scene) -> None:
    for item in result.thickness[::2]:
        mesh = scene[1][item.surface.structure.key]
        found, truth = mesh.channels["thickness"][mesh.faces], item.thickness_mm[item.surface.faces]
        assert (np.isnan(found) == np.isnan(truth)).all()
        assert np.nanmax(np.abs(found - truth)) <= 0.0005 + 1e-9
        assert (mesh.channels["region"][mesh.faces] == item.region[item.surface.faces]).all()
        assert (mesh.channels["subregion"][mesh.faces] == item.subregion[item.surface.faces]).all()
    femur = scene[1]["femur"].channels["thickness"]
    assert (femur == 0.0).any(), "denuded bone has the thickness 0, not none"


def test_covered_denuded_and_lost_bone_have_different_labels(result: AnalysisResult) -> None:
    (bone, *_) = bone_maps(result.thickness)
    worn = np.zeros(len(bone.region), dtype=np.uint8)
    worn[np.flatnonzero(bone.region == 0)[:5]] = REGIONS[0].label
    channel = denuded_channel(replace(bone, worn=worn))
    titles = {label: title for label, title, _ in channel.entries}
    assert {titles[label] for label in np.unique(channel.labels[bone.thickness_mm > 0])} == {"Covered"}
    assert {titles[label] for label in np.unique(channel.labels[bone.thickness_mm == 0])} == {"Denuded"}
    assert {titles[label] for label in np.unique(channel.labels[worn > 0])} == {"Lost from the rim"}
    assert not channel.labels[(bone.region == 0) & (worn == 0)].any()
    unknown = denuded_channel(replace(bone, worn=None))
    assert not unknown.labels[bone.region == 0].any()


def test_the_header_uses_the_region_and_structure_names_of_the_table(scene) -> None:
    header, meshes = scene
    thickness, region, subregion, denuded, _ = header["channels"]
    assert (thickness["name"], thickness["unit"], thickness["range"]) == ("thickness", "mm", [0.0, 5.0])
    assert [(e["label"], e["title"], tuple(e["colour"])) for e in region["entries"]] == [
        (r.label, r.title, r.colour) for r in REGIONS
    ]
    assert [e["title"] for e in subregion["entries"]] == [r.title for r in SUBREGION_SCHEME.numbered]
    assert [channel["divides"] for channel in (region, subregion, denuded)] == [True, True, False]
    for key, mesh in meshes.items():
        structure = Structure[key.upper()]
        assert mesh.header["title"] == structure.title
        assert tuple(mesh.header["colour"]) == structure.colour
    assert [key for key, mesh in meshes.items() if mesh.header["shown"]] == [bone.key for bone in BONES]


def test_cartilage_is_a_closed_surface_around_its_plate(result: AnalysisResult, scene) -> None:
    mesh = scene[1]["patellar_cartilage"]
    assert mesh.header["bone"] == "patella"
    a, b, c = (mesh.points[mesh.faces[:, k]] - MIDDLE_MM for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    labels = result.segmentation.mask(Structure.PATELLAR_CARTILAGE).sum() * result.segmentation.grid.voxel_volume_mm3
    assert volume == pytest.approx(labels, rel=0.12), "outward faces enclose about the plate's volume"
    radius = np.linalg.norm(mesh.points - MIDDLE_MM - CENTRES_MM[Structure.PATELLA], axis=1)
    bone, outside = RADII_MM[Structure.PATELLA], THICKNESS_MM[Structure.PATELLA]
    assert (radius > bone - 1.2).all()
    assert (radius < bone + outside + 1.2).all()
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_structures_missing_in_the_labels_are_left_out(result: AnalysisResult, scene) -> None:
    assert soft_surface(Structure.MEDIAL_MENISCUS, result.segmentation) is None
    assert "medial_meniscus" not in scene[1]


@pytest.mark.parametrize(("side", "medial"), [(Side.RIGHT, 1.0), (Side.LEFT, -1.0)])
def test_views_have_the_named_direction_on_both_sides(
    result: AnalysisResult, tmp_path: Path, side: Side, medial: float
) -> None:
    knee = result if side is Side.RIGHT else as_left(result)
    write_view(knee, tmp_path)
    header, _ = read_scene(tmp_path / "scene.bin.gz")
    axes = np.array(header["axes"])
    assert np.linalg.det(axes) == pytest.approx(1.0), "the picture is never mirrored"
    towards = {view["title"]: np.array(view["towards"]) @ axes for view in header["views"]}
    lps = {"Anterior": (0, -1, 0), "Posterior": (0, 1, 0), "Superior": (0, 0, 1), "Inferior": (0, 0, -1)}
    lps |= {"Medial": (medial, 0, 0), "Lateral": (-medial, 0, 0)}
    assert towards.keys() == lps.keys()
    for title, direction in lps.items():
        assert towards[title] == pytest.approx(direction), title


@pytest.mark.parametrize("side", list(Side))
def test_in_the_opened_layout_joint_surfaces_face_the_viewer_without_overlap(
    result: AnalysisResult, tmp_path: Path, side: Side
) -> None:
    knee = result if side is Side.RIGHT else as_left(result)
    write_view(knee, tmp_path)
    header, meshes = read_scene(tmp_path / "scene.bin.gz")
    boxes = []
    for bone in BONES:
        points = placed(meshes[bone.key], header, "opened")
        boxes.append((points[:, :2].min(axis=0), points[:, :2].max(axis=0)))
        covered = ~np.isnan(meshes[bone.key].channels["thickness"])
        assert points[covered, 2].mean() > points[:, 2].mean() + RADII_MM[bone] / 3
    for k, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[k + 1 :]:
            assert np.maximum(low - other_high, other_low - high).max() >= GAP_MM - 0.01
    patella, femur = boxes[2][0][0], boxes[0][0][0]
    assert (patella < femur) == (side is Side.RIGHT), "the patella is on the lateral side"


def test_bones_moved_apart_keep_their_directions(scene) -> None:
    header, meshes = scene
    together = {bone: placed(meshes[bone.key], header, "together") for bone in BONES}
    apart = {bone: placed(meshes[bone.key], header, "apart") for bone in BONES}
    for bone in BONES:
        moved = apart[bone] - together[bone]
        assert moved == pytest.approx(np.tile(moved[0], (len(moved), 1)), abs=1e-9)
    assert apart[Structure.TIBIA][:, 1].max() < apart[Structure.FEMUR][:, 1].min()
    assert apart[Structure.PATELLA][:, 2].min() > apart[Structure.FEMUR][:, 2].max()


def test_t2_is_at_the_vertices_where_it_was_measured(result: AnalysisResult, tmp_path: Path) -> None:
    grid = result.segmentation.grid
    t2 = RelaxationMap(
        time_ms=np.full(grid.shape, 41.5, dtype=np.float32),
        r2=np.full(grid.shape, 0.95, dtype=np.float32),
        method=Method.MULTI_ECHO,
        grid=grid,
    )
    write_view(replace(result, t2=t2), tmp_path)
    header, meshes = read_scene(tmp_path / "scene.bin.gz")
    names = ["thickness", "t2", "t2_deep", "t2_superficial", "region", "subregion", "denuded", "joint_space"]
    assert [channel["name"] for channel in header["channels"]] == names
    values = meshes["tibia"].channels["t2"]
    there = np.isfinite(values)
    assert values[there] == pytest.approx(np.full(there.sum(), 41.5), abs=0.006)
    assert there.sum() > 0.8 * (meshes["tibia"].channels["thickness"] > 0).sum()


def test_the_joint_space_is_a_colour_of_the_tibia_alone(scene) -> None:
    header, meshes = scene
    channel = header["channels"][-1]
    assert (channel["title"], channel["unit"], channel["usable"]) == ("Joint space", "mm", True)
    assert "not a radiograph's joint space" in channel["note"]
    assert [key for key, mesh in meshes.items() if "joint_space" in mesh.channels] == ["tibia"]
    tibia = meshes["tibia"]
    between = np.linalg.norm(CENTRES_MM[Structure.FEMUR] - CENTRES_MM[Structure.TIBIA])
    assert (np.isfinite(tibia.channels["joint_space"]) == np.isfinite(tibia.channels["thickness"])).all()
    gap = between - RADII_MM[Structure.FEMUR] - RADII_MM[Structure.TIBIA]
    assert np.nanmin(tibia.channels["joint_space"]) == pytest.approx(gap, abs=0.05)


def test_the_femur_has_the_frame_of_its_flat_map(result: AnalysisResult, scene) -> None:
    header, meshes = scene
    femur, tibia = (meshes[bone.key] for bone in (Structure.FEMUR, Structure.TIBIA))
    flat = femur.header["flat"]
    frame = reference_plate(Structure.FEMUR).frame
    assert flat["upwards"] == list(frame.upwards)
    assert flat["radius"] == frame.radius_mm
    matrix = np.array(flat["matrix"]).reshape(4, 4)
    in_axes = femur.points @ np.array(header["axes"]).T
    across, up, out = (in_axes @ matrix[:3, :3].T + matrix[:3, 3]).T
    expected = frame.coordinates(result.alignment.to_reference(femur.points))
    np.testing.assert_allclose(np.stack([across, np.degrees(np.arctan2(up, out))], axis=1), expected, atol=1e-6)
    assert "flat" not in tibia.header, "a sphere is no tibia"


def test_signed_values_with_custom_colours_are_supported(result: AnalysisResult, tmp_path: Path) -> None:
    bone = result.thickness[0].surface
    change = np.where(bone.normals[:, 2] > 0, 1.25 * bone.normals[:, 0], np.nan)
    channel = Scalar(
        name="change",
        title="Change",
        unit="mm",
        values=change,
        range=(-1.0, 1.0),
        colours=((33, 102, 172), (247, 247, 247), (178, 24, 43)),
        missing_title="Not compared",
    )
    mesh = SceneMesh(
        key="femur",
        title="Femur",
        bone="femur",
        group="Bones",
        colour=(241, 214, 145),
        points_mm=bone.points_mm,
        faces=bone.faces,
        channels=(channel,),
    )
    path = tmp_path / "scene.bin.gz"
    write_scene(path, [mesh], alignment=result.alignment, grid=result.segmentation.grid)
    header, meshes = read_scene(path)
    assert header["channels"][0]["colours"] == [list(colour) for colour in channel.colours]
    found = meshes["femur"].channels["change"][meshes["femur"].faces]
    truth = change[bone.faces]
    assert (np.isnan(found) == np.isnan(truth)).all()
    assert np.nanmax(np.abs(found - truth)) <= 0.0005 + 1e-9


def test_values_outside_the_range_of_the_format_are_rejected(result: AnalysisResult, tmp_path: Path) -> None:
    mesh = knee_meshes(result)[0]
    wide = replace(mesh.channels[0], values=np.linspace(0.0, 70.0, len(mesh.points_mm)))
    with pytest.raises(ValueError, match="femur, thickness: values must span less than"):
        write_scene(
            tmp_path / "scene.bin.gz",
            [replace(mesh, channels=(wide,))],
            alignment=result.alignment,
            grid=result.segmentation.grid,
        )


def test_the_same_result_gives_the_same_bytes(result: AnalysisResult, written: Path, tmp_path: Path) -> None:
    write_view(result, tmp_path)
    assert (tmp_path / "scene.bin.gz").read_bytes() == written.read_bytes()
