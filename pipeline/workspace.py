"""The folder of one analysis: every file name in one place, written whole or not at all, read back bit for bit.

input/     what the user gave (deleted by the service when the job ends)
work/      hand-offs between steps (arrays as .npy beside their geometry as JSON: lossless, NIfTI moves direction
           cosines by 1.4e-8)
results/   files/ (the tree of the zip), view/ (what the pages' viewers read, gzip), results.zip, manifest.json (last:
           its presence means complete)
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side, Structure
from pipeline.grid import Grid
from pipeline.quantities import Method
from pipeline.types import (
    Alignment,
    LabelArray,
    Measurement,
    QualityFlag,
    Scan,
    Segmentation,
    ShapeFit,
    Surface,
    T2Map,
    ThicknessMap,
)

_SURFACE_ARRAYS: Final = ("points_mm", "faces", "normals", "vertex_areas_mm2")
_SHAPE_VALUES: Final = ("model", "kind", "sha256", "scale", "assd_mm", "bscore")


class Workspace:
    """Typed access to the folder of one analysis. Raises FileNotFoundError where a step's product is not there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.input_dir = root / "input"
        self.work_dir = root / "work"
        self.results_dir = root / "results"
        self.files_dir = self.results_dir / "files"
        self.view_dir = self.results_dir / "view"
        self.archive_path = self.results_dir / "results.zip"
        self.manifest_path = self.results_dir / "manifest.json"
        self.log_path = root / "log.txt"
        self.request_path = self.work_dir / "request.json"

    def create(self) -> None:
        """Make the folders; those that exist stay as they are."""
        for folder in (self.input_dir, self.work_dir, self.results_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def has(self, product: str) -> bool:
        """Whether a step's product (a name of steps.STEPS[...].produces) is complete on disk."""
        return (self.work_dir / f"{product}.json").exists()

    def discard(self, product: str) -> None:
        """Forget a product, so that its step runs again."""
        (self.work_dir / f"{product}.json").unlink(missing_ok=True)

    # One product = NAME.npz or NAME.*.npy with the arrays, then NAME.json (last) with the rest.

    def _write(self, product: str, meta: object, **arrays: NDArray[Any]) -> None:
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self.discard(product)
        for name, array in arrays.items():
            with atomic_file(self.work_dir / f"{product}.{name}.npy") as stream:
                np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
        write_json(self.work_dir / f"{product}.json", meta)

    def _array(self, product: str, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.work_dir / f"{product}.{name}.npy", allow_pickle=False)
        return array

    def read_json(self, product: str) -> Any:
        """The JSON beside a product."""
        return json.loads((self.work_dir / f"{product}.json").read_text(encoding="utf-8"))

    def write_json(self, product: str, meta: object) -> None:
        """A product that is JSON alone."""
        self._write(product, meta)

    def write_scan(self, scan: Scan) -> None:
        meta = {
            "grid": scan.grid.to_dict(),
            "sequence": scan.sequence,
            "echo_times_ms": scan.echo_times_ms,
            "side": scan.side,
            "modality": scan.modality,
            "acquisition": asdict(scan.acquisition),
            "warnings": scan.warnings,
        }
        self._write("scan", meta, echoes=scan.echoes)

    def read_scan(self) -> Scan:
        meta = self.read_json("scan")
        return Scan(
            echoes=self._array("scan", "echoes"),
            grid=Grid.from_dict(meta["grid"]),
            sequence=PulseSequence(meta["sequence"]),
            echo_times_ms=tuple(meta["echo_times_ms"]),
            side=Side(meta["side"]) if meta["side"] else None,
            modality=meta["modality"],
            acquisition=Acquisition(**meta["acquisition"]),
            warnings=tuple(meta["warnings"]),
        )

    def write_segmentation(self, product: str, segmentation: Segmentation) -> None:
        """`product` is `raw_segmentation` (as the model answered) or `segmentation` (compartments apart)."""
        meta = {
            "grid": segmentation.grid.to_dict(),
            "model_id": segmentation.model_id,
            "compartments_apart": segmentation.compartments_apart,
            "confidence": {structure.key: value for structure, value in segmentation.confidence.items()},
            "surface_entropy_bits": {s.key: value for s, value in segmentation.surface_entropy_bits.items()},
        }
        self._write(product, meta, labels=segmentation.labels)

    def read_segmentation(self, product: str) -> Segmentation:
        meta = self.read_json(product)
        return Segmentation(
            labels=self._array(product, "labels"),
            grid=Grid.from_dict(meta["grid"]),
            model_id=meta["model_id"],
            compartments_apart=meta["compartments_apart"],
            confidence={Structure[key.upper()]: value for key, value in meta["confidence"].items()},
            surface_entropy_bits={Structure[k.upper()]: v for k, v in meta.get("surface_entropy_bits", {}).items()},
        )

    def write_alignment(self, alignment: Alignment) -> None:
        meta = asdict(alignment) | {"matrix": alignment.matrix.tolist()}
        self._write("alignment", meta)

    def read_alignment(self) -> Alignment:
        meta = self.read_json("alignment")
        return Alignment(**meta | {"matrix": np.array(meta["matrix"]), "side": Side(meta["side"])})

    def write_surfaces(self, surfaces: tuple[Surface, ...]) -> None:
        arrays = {
            f"{surface.structure.key}_{name}": getattr(surface, name)
            for surface in surfaces
            for name in _SURFACE_ARRAYS
        }
        self._write("surfaces", [surface.structure.key for surface in surfaces], **arrays)

    def read_surfaces(self) -> tuple[Surface, ...]:
        return tuple(
            Surface(
                points_mm=self._array("surfaces", f"{key}_points_mm"),
                faces=self._array("surfaces", f"{key}_faces"),
                normals=self._array("surfaces", f"{key}_normals"),
                vertex_areas_mm2=self._array("surfaces", f"{key}_vertex_areas_mm2"),
                structure=Structure[key.upper()],
            )
            for key in self.read_json("surfaces")
        )

    def write_thickness(self, maps: tuple[ThicknessMap, ...], subregions: LabelArray) -> None:
        """The maps (on the surfaces of `write_surfaces`) and the region of every cartilage voxel."""
        arrays: dict[str, NDArray[Any]] = {"subregions": subregions}
        for index, item in enumerate(maps):
            arrays |= {f"{index}_thickness_mm": item.thickness_mm, f"{index}_region": item.region}
        meta = [{"structure": item.surface.structure.key, "method": item.method} for item in maps]
        self._write("thickness", meta, **arrays)

    def read_thickness(self) -> tuple[ThicknessMap, ...]:
        surfaces = {surface.structure.key: surface for surface in self.read_surfaces()}
        return tuple(
            ThicknessMap(
                surface=surfaces[meta["structure"]],
                thickness_mm=self._array("thickness", f"{index}_thickness_mm"),
                region=self._array("thickness", f"{index}_region"),
                method=Method(meta["method"]),
            )
            for index, meta in enumerate(self.read_json("thickness"))
        )

    def read_subregions(self) -> LabelArray:
        return self._array("thickness", "subregions")

    def write_t2(self, t2: T2Map) -> None:
        self._write("t2", {"method": t2.method, "grid": t2.grid.to_dict()}, t2_ms=t2.t2_ms, r2=t2.r2)

    def read_t2(self) -> T2Map:
        meta = self.read_json("t2")
        return T2Map(
            t2_ms=self._array("t2", "t2_ms"),
            r2=self._array("t2", "r2"),
            method=Method(meta["method"]),
            grid=Grid.from_dict(meta["grid"]),
        )

    def write_shapes(self, shapes: tuple[ShapeFit, ...]) -> None:
        """What each shape model made of the knee; an empty tuple where none applied."""
        arrays: dict[str, NDArray[Any]] = {}
        meta = []
        for index, shape in enumerate(shapes):
            arrays |= {f"{index}_{name}": getattr(shape, name) for name in ("latent", "icp_transform", "center")}
            for number, surface in enumerate(shape.reconstructions):
                arrays |= {f"{index}_{number}_{name}": getattr(surface, name) for name in _SURFACE_ARRAYS}
            plain = {name: getattr(shape, name) for name in _SHAPE_VALUES}
            meta.append(plain | {"structures": [surface.structure.key for surface in shape.reconstructions]})
        self._write("shape", meta, **arrays)

    def read_shapes(self) -> tuple[ShapeFit, ...]:
        return tuple(
            ShapeFit(
                model=meta["model"],
                kind=meta["kind"],
                sha256=meta["sha256"],
                latent=self._array("shape", f"{index}_latent"),
                icp_transform=self._array("shape", f"{index}_icp_transform"),
                center=self._array("shape", f"{index}_center"),
                scale=meta["scale"],
                bscore=meta["bscore"],
                assd_mm=tuple(meta["assd_mm"]),
                reconstructions=tuple(
                    Surface(
                        **{name: self._array("shape", f"{index}_{number}_{name}") for name in _SURFACE_ARRAYS},
                        structure=Structure[key.upper()],
                    )
                    for number, key in enumerate(meta["structures"])
                ),
            )
            for index, meta in enumerate(self.read_json("shape"))
        )

    def write_measurements(self, product: str, rows: tuple[Measurement, ...]) -> None:
        self._write(product, [asdict(row) for row in rows])

    def read_measurements(self, product: str) -> tuple[Measurement, ...]:
        return tuple(Measurement(**row) for row in self.read_json(product))

    def write_flags(self, flags: tuple[QualityFlag, ...]) -> None:
        self._write("quality", [asdict(flag) for flag in flags])

    def read_flags(self) -> tuple[QualityFlag, ...]:
        return tuple(QualityFlag(**row) for row in self.read_json("quality"))


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content appears under `path` whole, or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: object, *, default: Callable[[object], object] | None = None) -> None:
    """JSON, atomically; NaN is written as Python reads it back."""
    with atomic_file(path) as stream:
        stream.write(json.dumps(data, indent=1, ensure_ascii=False, default=default).encode())
