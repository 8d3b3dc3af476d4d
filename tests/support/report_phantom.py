"""A knee of three spheres with known geometry, on an oblique anisotropic grid, for the tests of the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.acquisition import PulseSequence
from pipeline.anatomy import ALL, BONES, PATELLA_WHOLE, PLATE_ON, TIBIA_LATERAL, TIBIA_MEDIAL, Side, Structure
from pipeline.anatomy.subregions import CENTRAL, CONDYLE, MP, TIBIA
from pipeline.flags import FlagCode, QualityFlag
from pipeline.grid import FloatArray, Grid
from pipeline.progress import StepRecord, StepState
from pipeline.quantities import Method
from pipeline.report import write_maps, write_report
from pipeline.types import (
    Alignment,
    AnalysisResult,
    Measurement,
    Provenance,
    Scan,
    Segmentation,
    Surface,
    ThicknessMap,
)

CENTRES_MM = {
    Structure.FEMUR: np.array([0.0, 0.0, 20.0]),
    Structure.TIBIA: np.array([0.0, 0.0, -20.0]),
    Structure.PATELLA: np.array([0.0, -30.0, 22.0]),
}
"""In the anatomical frame (x left, y posterior, z superior), relative to the joint centre."""

RADII_MM = {Structure.FEMUR: 15.0, Structure.TIBIA: 15.0, Structure.PATELLA: 9.0}
THICKNESS_MM = {Structure.FEMUR: 2.5, Structure.TIBIA: 2.0, Structure.PATELLA: 3.0}
TOWARDS_JOINT = {
    Structure.FEMUR: np.array([0.0, 0.0, -1.0]),
    Structure.TIBIA: np.array([0.0, 0.0, 1.0]),
    Structure.PATELLA: np.array([0.0, 1.0, 0.0]),
}
MIDDLE_MM = np.array([31.0, -12.0, 240.0])
FOLDER = "/srv/knees/job-17/input"
"""A folder that must not appear in a result."""


def rotation(degrees: float, axis: tuple[float, float, float]) -> FloatArray:
    """Rotation matrix (Rodrigues)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def oblique_grid() -> Grid:
    """Sagittal slices (z towards left), tilted by 17 degrees, 2.1 x 0.9 x 0.8 mm."""
    sagittal = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    direction = rotation(17.0, (0.3, 1.0, -0.4)) @ sagittal
    shape, spacing = (24, 104, 96), (2.1, 0.9, 0.8)
    centre = np.array([(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)])
    return Grid(shape=shape, spacing_mm=spacing, origin_mm=MIDDLE_MM - direction[:, ::-1] @ centre, direction=direction)


def sphere(structure: Structure, rings: int = 40) -> Surface:
    """A bone's surface in LPS, triangles outward."""
    polar, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, rings), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False), indexing="ij"
    )
    normals = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    columns = 2 * rings
    i, j = (a.reshape(-1) for a in np.meshgrid(np.arange(rings - 1), np.arange(columns), indexing="ij"))
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    faces = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)]).astype(np.int64)
    unit = normals.reshape(-1, 3)
    points = MIDDLE_MM + CENTRES_MM[structure] + RADII_MM[structure] * unit
    areas = np.sin(polar).reshape(-1)
    areas *= 4 * np.pi * RADII_MM[structure] ** 2 / areas.sum()
    return Surface(points_mm=points, faces=faces, normals=unit, vertex_areas_mm2=areas, structure=structure)


def label_map(grid: Grid) -> np.ndarray:
    """Canonical labels at the voxel centres; right knee: medial is positive x."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    local = grid.to_mm(index) - MIDDLE_MM
    labels = np.zeros(len(local), dtype=np.uint8)
    for bone in BONES:
        offset = local - CENTRES_MM[bone]
        radius = np.linalg.norm(offset, axis=1)
        faces_joint = offset @ TOWARDS_JOINT[bone] > 0.4 * radius
        shell = (radius > RADII_MM[bone]) & (radius <= RADII_MM[bone] + THICKNESS_MM[bone]) & faces_joint
        labels[radius <= RADII_MM[bone]] = bone
        if bone is Structure.FEMUR:
            labels[shell] = Structure.FEMORAL_CARTILAGE
        elif bone is Structure.TIBIA:
            labels[shell & (local[:, 0] > 0)] = Structure.MEDIAL_TIBIAL_CARTILAGE
            labels[shell & (local[:, 0] <= 0)] = Structure.LATERAL_TIBIAL_CARTILAGE
        else:
            labels[shell] = Structure.PATELLAR_CARTILAGE
    return labels.reshape(grid.shape)


def divided(regions: np.ndarray) -> np.ndarray:
    """One subregion of each plate for the numbers of its regions."""
    known = {TIBIA_MEDIAL.label: TIBIA[0], TIBIA_LATERAL.label: TIBIA[1], PATELLA_WHOLE.label: {CENTRAL: MP}}
    numbers = np.full(256, CONDYLE[0][CENTRAL].label, dtype=np.uint8)
    numbers[0] = 0
    for label, parts in known.items():
        numbers[label] = parts[CENTRAL].label
    return numbers[regions]


def thickness_map(surface: Surface, method: Method) -> ThicknessMap:
    """Constant thickness on the cap facing the joint, NaN elsewhere; a small denuded spot on the femur."""
    bone = surface.structure
    facing = surface.normals @ TOWARDS_JOINT[bone]
    inside = facing > 0.4
    value = THICKNESS_MM[bone] - (0.125 if method is Method.TWO_CROSSING else 0.0)
    thickness = np.where(inside, value, np.nan)
    labels = PLATE_ON[bone].labels
    if bone is Structure.TIBIA:
        region = np.where(surface.normals[:, 0] > 0, TIBIA_MEDIAL.label, TIBIA_LATERAL.label)
    else:
        angle = np.arctan2(surface.normals[:, 1], surface.normals[:, 0])
        region = np.array(labels)[((angle + np.pi) / (2 * np.pi + 1e-9) * len(labels)).astype(int)]
    if bone is Structure.FEMUR:
        thickness[facing > 0.995] = 0.0
    return ThicknessMap(
        surface=surface,
        thickness_mm=thickness,
        region=np.where(inside, region, 0).astype(np.uint8),
        subregion=divided(np.where(inside, region, 0)),
        method=method,
    )


def measurements(maps: tuple[ThicknessMap, ...]) -> tuple[Measurement, ...]:
    """Rows of every kind; the last one has no value."""
    rows = []

    def add(quantity: str, method: str, plate: str, region: str, statistic: str, value: float, unit: str) -> None:
        n = 0 if np.isnan(value) else 100
        rows.append(
            Measurement(
                quantity=quantity,
                method=method,
                structure=plate,
                region=region,
                statistic=statistic,
                value=value,
                unit=unit,
                n=n,
            )
        )

    for item in maps:
        plate = PLATE_ON[item.surface.structure]
        for k, name in enumerate([*(part.name for part in plate.parts), ALL]):
            value = float(np.nanmax(item.thickness_mm)) + k / 7
            for quantity in ("ThC", "ThCtAB"):
                for statistic, number in (("mean", value), ("std", 0.31), ("median", value - 1 / 3)):
                    add(quantity, item.method, plate, name, statistic, number, "mm")
            add("tAB", item.method, plate, name, "total", 812.75 + k, "mm2")
            add("dAB", item.method, plate, name, "share", 1.25, "%")
            if item.method == "union":
                add("volume", "voxel_count", plate, name, "total", 2345.5, "mm3")
    add("T2", "multi_echo", "femoral_cartilage", "anterior", "mean", 41.7, "ms")
    add("T2", "multi_echo", "patellar_cartilage", ALL, "mean", float("nan"), "ms")
    return tuple(rows)


CUT = QualityFlag(
    code=FlagCode.CUT_BY_FIELD_OF_VIEW,
    reason="tibial cartilage cut at the medial border of the image",
    message="Tibia ends at the lower edge of the image, found 900 mm², expected at most 500 mm².",
    structure="tibia",
)
THICK_SLICES = QualityFlag(
    code=FlagCode.CARTILAGE_NOT_USABLE, reason="slices of 4 mm", message="Slices are 4 mm thick; expected less."
)


def phantom(flags: tuple[QualityFlag, ...] = (CUT,)) -> AnalysisResult:
    """A right knee with all results except T2 and shape."""
    grid = oblique_grid()
    labels = label_map(grid)
    maps = tuple(
        thickness_map(sphere(bone), method) for bone in BONES for method in (Method.UNION, Method.TWO_CROSSING)
    )
    brightness = np.array([0.35, 0.15, 0.15, 0.15, 0.8, 0.8, 0.8, 0.8], dtype=np.float32)
    noise = np.random.default_rng(5).normal(0, 0.02, labels.shape).astype(np.float32)
    frame = np.eye(4)
    frame[:3, 3] = -MIDDLE_MM
    steps = (
        StepRecord(name="segment", title="Outline bones and cartilage", state=StepState.DONE, seconds=12.25),
        StepRecord(name="t2", title="Fit T2", state=StepState.SKIPPED, reason="1 echo; T2 needs at least 2"),
    )
    return AnalysisResult(
        input_name=f"{FOLDER}/Doe Jane 1961.nii.gz",
        scan=Scan(echoes=(brightness[labels] + noise)[None] * 800, grid=grid, sequence=PulseSequence.DESS),
        segmentation=Segmentation(
            labels=labels,
            grid=grid,
            model_id="nnunet_fullres",
            confidence={Structure.FEMUR: 0.97, Structure.MEDIAL_TIBIAL_CARTILAGE: 0.81},
            surface_entropy_bits={Structure.FEMUR: 0.64},
        ),
        subregions=np.where(labels == 4, 12, np.where(labels > 4, labels, 0)).astype(np.uint8),
        divided=divided(np.where(labels == 4, 12, np.where(labels > 4, labels, 0))),
        alignment=Alignment(matrix=frame, side=Side.RIGHT, residual_mm=0.8, residual_other_mm=1.9),
        thickness=maps,
        t2=None,
        shapes=(),
        measurements=tuple(row.judged(flags) for row in measurements(maps)),
        flags=flags,
        warnings=("Shape model was skipped: <no shape model> installed.",),
        steps=steps,
        provenance=Provenance(
            program={"version": "0.1.0"},
            steps={"read_scan": 1},
            input_sha256="9c" * 32,
            options={"segmentation_model": "nnunet_fullres", "side": "auto", "cartilage_smoothing": 0.3125},
            model={
                "id": "nnunet_fullres",
                "title": "Knee U-Net",
                "caution": "Validated on synthetic images only.",
                "citation": "Knee U-Net weights",
                "licence": "Apache-2.0",
                "accuracy": {"femur": {"dice": 0.961, "dice_sd": None}, "tibia": {"dice": 0.957, "dice_sd": None}},
                "weights_sha256": "ab" * 32,
            },
            shape_models=(),
            packages={"numpy": "2.3.0"},
            host={"cpu_count": 2, "python": "3.11.9"},
            seconds={"segment": 12.25},
        ),
    )


def stored_otherwise(result: AnalysisResult, order: tuple[int, int, int], flipped: tuple[int, ...]) -> AnalysisResult:
    """The same knee with its array axes permuted and some of them reversed."""
    grid = result.segmentation.grid

    def turned(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(array.transpose(order), flipped))

    steps = grid.affine[:3, :3][:, list(order)]
    origin = grid.origin_mm.copy()
    for axis in flipped:
        origin += steps[:, axis] * (grid.shape[order[axis]] - 1)
        steps[:, axis] *= -1
    spacing = tuple(grid.spacing_mm[axis] for axis in order)
    there = Grid(
        shape=tuple(grid.shape[axis] for axis in order),
        spacing_mm=spacing,
        origin_mm=origin,
        direction=(steps / np.array(spacing))[:, ::-1],
    )
    return replace(
        result,
        scan=Scan(echoes=turned(result.scan.echoes[0])[None], grid=there),
        segmentation=replace(result.segmentation, labels=turned(result.segmentation.labels), grid=there),
        subregions=turned(result.subregions),
    )


def write_tree(result: AnalysisResult, files_dir: Path) -> None:
    """The whole results tree."""
    write_maps(result, files_dir)
    write_report(result, files_dir)
