"""All products of the analysis, and all facts given before it. Steps read and produce only these.

NIfTI is not suitable as a codec for images: it changes direction cosines by 1.4e-8.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.correction import Correction
from pipeline.flags import QualityFlag
from pipeline.grid import Grid
from pipeline.image_codec import (
    alignment_of,
    alignment_values,
    label_map_of,
    label_map_values,
    scan_of,
    scan_values,
    segmentation_of,
    segmentation_values,
)
from pipeline.product import Given, Parts, Product, Stored, arrays_and_json, folder, json_only
from pipeline.progress import StepRecord
from pipeline.quantities import Method
from pipeline.results import Manifest, Results
from pipeline.results_tree import OVERLAY, ViewFile
from pipeline.scan_header import ScanHeader
from pipeline.types import (
    LabelArray,
    LabelMap,
    Measurement,
    RelaxationMap,
    Resources,
    Scan,
    Segmentation,
    ShapeFit,
    Surface,
    ThicknessMap,
)
from pipeline.workspace import Workspace, write_json

_SURFACE_ARRAYS: Final = ("points_mm", "faces", "normals", "vertex_areas_mm2")
_SHAPE_ARRAYS: Final = ("latent", "icp_transform", "center")
_SHAPE_VALUES: Final = ("model", "kind", "sha256", "scale", "assd_mm", "bscore")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The input of an analysis: a scan, a label map, or both (also in one file or folder). sha256: over all files."""

    scan: Path | None
    labels: Path | None
    sha256: str


UPLOAD: Final = Given[Upload](name="upload")
INPUT_NAME: Final = Given[str](name="input_name")
"""The user's name of the input."""
RESOURCES: Final = Given[Resources](name="resources")
MODEL: Final = Given[dict[str, Any]](name="model")
"""Card, identity and runtime of the segmentation model."""
RECORDS: Final = Given[tuple[StepRecord, ...]](name="records")
"""Records of the previous steps."""

CORRECTION: Final = Given[Correction | None](name="correction")
"""The outlines as a reader corrected them; None for those of the model or of the user's label map."""


def _encode_scan(scan: Scan) -> Parts:
    return scan_values(scan), {"echoes": scan.echoes}


def _decode_scan(stored: Stored) -> Scan:
    return scan_of(stored.meta, stored.mapped_array("echoes"))


def _encode_label_map(label_map: LabelMap) -> Parts:
    return label_map_values(label_map), {"labels": label_map.labels}


def _decode_label_map(stored: Stored) -> LabelMap:
    return label_map_of(stored.meta, stored.array("labels"))


def _encode_segmentation(segmentation: Segmentation) -> Parts:
    return segmentation_values(segmentation), {"labels": segmentation.labels}


def _decode_segmentation(stored: Stored) -> Segmentation:
    return segmentation_of(stored.meta, stored.array("labels"))


def _surface_arrays(surface: Surface, prefix: str) -> dict[str, NDArray[Any]]:
    return {f"{prefix}_{name}": getattr(surface, name) for name in _SURFACE_ARRAYS}


def _surface(stored: Stored, prefix: str, structure: str) -> Surface:
    arrays = {name: stored.array(f"{prefix}_{name}") for name in _SURFACE_ARRAYS}
    return Surface(**arrays, structure=Structure[structure.upper()])


def _encode_surfaces(surfaces: tuple[Surface, ...]) -> Parts:
    arrays: dict[str, NDArray[Any]] = {}
    for surface in surfaces:
        arrays |= _surface_arrays(surface, surface.structure.key)
    return [surface.structure.key for surface in surfaces], arrays


def _decode_surfaces(stored: Stored) -> tuple[Surface, ...]:
    return tuple(_surface(stored, key, key) for key in stored.meta)


def _labels_of(item: ThicknessMap) -> list[str]:
    """Labels at the vertices of a thickness map that analyses of earlier versions do not have."""
    return ["subregion", *([] if item.worn is None else ["worn"])]


def _encode_thickness(maps: tuple[ThicknessMap, ...]) -> Parts:
    arrays: dict[str, NDArray[Any]] = {}
    for index, item in enumerate(maps):
        arrays |= {f"{index}_thickness_mm": item.thickness_mm, f"{index}_region": item.region}
        arrays |= {f"{index}_{name}": getattr(item, name) for name in _labels_of(item)}
    meta = [
        {"structure": item.surface.structure.key, "method": item.method, "labels": _labels_of(item)} for item in maps
    ]
    return meta, arrays


def _decode_thickness(stored: Stored) -> tuple[ThicknessMap, ...]:
    """The maps refer to SURFACES, which are not stored a second time."""
    surfaces = {surface.structure.key: surface for surface in SURFACES.load(stored.workspace)}
    return tuple(
        ThicknessMap(
            surface=surfaces[meta["structure"]],
            thickness_mm=stored.array(f"{index}_thickness_mm"),
            region=stored.array(f"{index}_region"),
            method=Method(meta["method"]),
            **{name: stored.array(f"{index}_{name}") for name in meta.get("labels", ())},
        )
        for index, meta in enumerate(stored.meta)
    )


def _encode_t2(t2: RelaxationMap) -> Parts:
    return {"method": t2.method, "grid": t2.grid.to_dict()}, {"t2_ms": t2.time_ms, "r2": t2.r2}


def _decode_t2(stored: Stored) -> RelaxationMap:
    return RelaxationMap(
        time_ms=stored.array("t2_ms"),
        r2=stored.array("r2"),
        method=Method(stored.meta["method"]),
        grid=Grid.from_dict(stored.meta["grid"]),
    )


def _encode_shapes(shapes: tuple[ShapeFit, ...]) -> Parts:
    arrays: dict[str, NDArray[Any]] = {}
    meta = []
    for index, shape in enumerate(shapes):
        arrays |= {f"{index}_{name}": getattr(shape, name) for name in _SHAPE_ARRAYS}
        for number, surface in enumerate(shape.reconstructions):
            arrays |= _surface_arrays(surface, f"{index}_{number}")
        plain = {name: getattr(shape, name) for name in _SHAPE_VALUES}
        meta.append(plain | {"structures": [surface.structure.key for surface in shape.reconstructions]})
    return meta, arrays


def _decode_shapes(stored: Stored) -> tuple[ShapeFit, ...]:
    return tuple(
        ShapeFit(
            model=meta["model"],
            kind=meta["kind"],
            sha256=meta["sha256"],
            latent=stored.array(f"{index}_latent"),
            icp_transform=stored.array(f"{index}_icp_transform"),
            center=stored.array(f"{index}_center"),
            scale=meta["scale"],
            bscore=meta["bscore"],
            assd_mm=tuple(meta["assd_mm"]),
            reconstructions=tuple(
                _surface(stored, f"{index}_{number}", key) for number, key in enumerate(meta["structures"])
            ),
        )
        for index, meta in enumerate(stored.meta)
    )


def _encode_rows(rows: tuple[Measurement, ...]) -> object:
    return [asdict(row) for row in rows]


def _decode_rows(meta: list[dict[str, Any]]) -> tuple[Measurement, ...]:
    return tuple(Measurement(**row) for row in meta)


def _encode_flags(flags: tuple[QualityFlag, ...]) -> object:
    return [flag.to_dict() for flag in flags]


def _decode_flags(meta: list[dict[str, Any]]) -> tuple[QualityFlag, ...]:
    return tuple(QualityFlag.from_dict(row) for row in meta)


def _encode_labels(labels: LabelArray) -> Parts:
    return {}, {"labels": labels}


def _decode_labels(stored: Stored) -> LabelArray:
    return stored.array("labels")


def _save_results(workspace: Workspace, results: Results) -> None:
    """Move the files to their final location, with the manifest last."""
    workspace.results_dir.mkdir(parents=True, exist_ok=True)
    workspace.manifest_path.unlink(missing_ok=True)
    shutil.rmtree(workspace.files_dir, ignore_errors=True)
    results.files_dir.rename(workspace.files_dir)
    results.archive_path.replace(workspace.archive_path)
    write_json(workspace.manifest_path, results.manifest.to_dict())


def _load_results(workspace: Workspace) -> Results:
    manifest = json.loads(workspace.manifest_path.read_text(encoding="utf-8"))
    return Results(
        files_dir=workspace.files_dir,
        archive_path=workspace.archive_path,
        manifest=Manifest.from_dict(manifest),
    )


SCAN: Final = arrays_and_json("scan", _encode_scan, _decode_scan)
SCAN_HEADER: Final = json_only("scan_header", ScanHeader.to_dict, ScanHeader.from_dict)
LABEL_MAP: Final = arrays_and_json("label_map", _encode_label_map, _decode_label_map)
"""The user's label map as stored in its file."""
GIVEN_SEGMENTATION: Final = arrays_and_json("given_segmentation", _encode_segmentation, _decode_segmentation)
"""The user's label map in canonical labels: the same as RAW_SEGMENTATION, without a model."""
RAW_SEGMENTATION: Final = arrays_and_json("raw_segmentation", _encode_segmentation, _decode_segmentation)
"""The model's output: medial and lateral tibial cartilage may share a label."""
CORRECTED: Final = arrays_and_json("corrected", _encode_segmentation, _decode_segmentation)
"""The outlines as a reader corrected them, which replace those of the model or of the label map."""
SEGMENTATION: Final = arrays_and_json("segmentation", _encode_segmentation, _decode_segmentation)
"""With separate compartments of the tibial cartilage."""
SURFACES: Final = arrays_and_json("surfaces", _encode_surfaces, _decode_surfaces)
ALIGNMENT: Final = json_only("alignment", alignment_values, alignment_of)
SUBREGIONS: Final = arrays_and_json("subregions", _encode_labels, _decode_labels)
"""(z, y, x) uint8: the region (anatomy.REGIONS) of every cartilage voxel."""
DIVIDED: Final = arrays_and_json("divided", _encode_labels, _decode_labels)
"""(z, y, x) uint8: the subregion (anatomy.SUBREGION_SCHEME) of every cartilage voxel."""
THICKNESS: Final = arrays_and_json("thickness", _encode_thickness, _decode_thickness)
T2: Final = arrays_and_json("t2", _encode_t2, _decode_t2)
T2_ROWS: Final = json_only("t2_rows", _encode_rows, _decode_rows)
SHAPES: Final = arrays_and_json("shape", _encode_shapes, _decode_shapes)
MEASUREMENTS: Final = json_only("measurements", _encode_rows, _decode_rows)
FLAGS: Final = json_only("quality", _encode_flags, _decode_flags)
VIEW: Final = folder("view", "results/view", ViewFile.SLICES.at(Path()).name)
"""The files that the viewers of the pages read."""
MAPS: Final = folder("maps", "work/maps", OVERLAY.path)
"""The part of the results tree that shows the knee."""
DELIVERY: Final = Product(name="delivery", save=_save_results, load=_load_results, marker="results/manifest.json")
"""The results tree, the zip and the manifest."""


def outlines_files(workspace: Workspace) -> tuple[dict[str, object], Path]:
    """The outlines of a finished analysis: as JSON values without the labels, and the .npy of these.

    Raises FileNotFoundError.
    """
    path = workspace.work_dir / f"{SEGMENTATION.name}.labels.npy"
    path.stat()
    return json.loads((workspace.root / SEGMENTATION.marker).read_text(encoding="utf-8")), path
