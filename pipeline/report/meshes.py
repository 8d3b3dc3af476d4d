"""Bone surfaces with their cartilage thickness as files: VTP (ParaView, 3D Slicer) and PLY (others). LPS, mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.grid import FloatArray
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import PRIMARY, SECOND, Method
from pipeline.report.colours import thickness_rgb
from pipeline.results_tree import SURFACE_PLY, SURFACE_VTP
from pipeline.types import LabelArray, Surface, ThicknessMap

ZLIB_LEVEL: Final = 1
"""Coordinates hardly compress: higher levels take seconds longer and save 3 %."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneMap:
    """One bone with the results of both methods at its n vertices; all NaN if a method was not run. worn: see
    ThicknessMap.
    """

    surface: Surface
    thickness_mm: FloatArray
    two_crossing_mm: FloatArray
    region: LabelArray
    subregion: LabelArray
    worn: LabelArray | None = None


def bone_maps(maps: Iterable[ThicknessMap]) -> tuple[BoneMap, ...]:
    """The maps of one analysis, grouped by bone, in the order of the bones.

    Raises ValueError if two maps of a bone have different vertices.
    """
    found: dict[int, dict[Method, ThicknessMap]] = {}
    for item in maps:
        found.setdefault(int(item.surface.structure), {})[item.method] = item
    return tuple(_bone_map(found[structure]) for structure in sorted(found))


def _bone_map(by_method: dict[Method, ThicknessMap]) -> BoneMap:
    first = by_method.get(PRIMARY) or next(iter(by_method.values()))
    nowhere = np.full(len(first.surface.points_mm), np.nan)
    if any(len(item.thickness_mm) != len(nowhere) for item in by_method.values()):
        raise ValueError("the thickness maps of one bone must have the same surface")
    return BoneMap(
        surface=first.surface,
        thickness_mm=by_method[PRIMARY].thickness_mm if PRIMARY in by_method else nowhere,
        two_crossing_mm=by_method[SECOND].thickness_mm if SECOND in by_method else nowhere,
        region=first.region,
        subregion=first.subregion,
        worn=first.worn,
    )


def write_vtp(path: Path, bone: BoneMap) -> None:
    """Points and normals float32, thickness_mm (active scalars), thickness_two_crossing_mm, region, subregion; zlib."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    def array(name: str, values: NDArray[Any]) -> Any:
        data = numpy_to_vtk(values, deep=True)
        data.SetName(name)
        return data

    points = vtkPoints()
    points.SetData(array("Points", bone.surface.points_mm.astype(np.float32)))
    cells = vtkCellArray()
    offsets = np.arange(0, 3 * len(bone.surface.faces) + 1, 3, dtype=np.int64)
    connectivity = np.ascontiguousarray(bone.surface.faces.reshape(-1), dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(connectivity, deep=True))
    cells.ConvertTo32BitStorage()
    mesh = vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    data = mesh.GetPointData()
    data.SetScalars(array("thickness_mm", bone.thickness_mm.astype(np.float32)))
    data.AddArray(array("thickness_two_crossing_mm", bone.two_crossing_mm.astype(np.float32)))
    data.AddArray(array("region", bone.region))
    data.AddArray(array("subregion", bone.subregion))
    data.SetNormals(array("Normals", bone.surface.normals.astype(np.float32)))
    space = vtkStringArray()  # 3D Slicer reads the coordinate system from here
    space.SetName("SPACE")
    space.InsertNextValue("LPS")
    mesh.GetFieldData().AddArray(space)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(mesh)
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()
    writer.SetCompressorTypeToZLib()
    writer.SetCompressionLevel(ZLIB_LEVEL)
    if not writer.Write():
        raise OSError(f"could not write {path.name}")


def write_ply(path: Path, bone: BoneMap) -> None:
    """Binary little-endian PLY: coordinates float32, thickness as colour and as value, region, subregion."""
    vertex = np.dtype(
        [
            ("x", "<f4"),
            ("y", "<f4"),
            ("z", "<f4"),
            ("red", "u1"),
            ("green", "u1"),
            ("blue", "u1"),
            ("thickness_mm", "<f4"),
            ("thickness_two_crossing_mm", "<f4"),
            ("region", "u1"),
            ("subregion", "u1"),
        ]
    )
    vertices = np.empty(len(bone.region), dtype=vertex)
    colours = thickness_rgb(bone.thickness_mm)
    for axis, (coordinate, channel) in enumerate((("x", "red"), ("y", "green"), ("z", "blue"))):
        vertices[coordinate] = bone.surface.points_mm[:, axis]
        vertices[channel] = colours[:, axis]
    vertices["thickness_mm"] = bone.thickness_mm
    vertices["thickness_two_crossing_mm"] = bone.two_crossing_mm
    vertices["region"] = bone.region
    vertices["subregion"] = bone.subregion
    faces = np.empty(len(bone.surface.faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    faces["count"] = 3
    faces["index"] = bone.surface.faces
    kinds = {"<f4": "float", "|u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", "comment SPACE=LPS", "comment unit mm"]
    header += [f"element vertex {len(vertices)}"]
    header += [f"property {kinds[vertex[name].str]} {name}" for name in vertex.names or ()]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    path.write_bytes("\n".join(header).encode("ascii") + vertices.tobytes() + faces.tobytes())


def write_surfaces(bones: Iterable[BoneMap], files_dir: Path, parts: Parts = COMPUTED) -> None:
    """Write each bone as VTP and as PLY."""
    for bone in bones:
        parts.file(write_vtp, SURFACE_VTP.target(files_dir, bone=bone.surface.structure.key), bone)
        parts.file(write_ply, SURFACE_PLY.target(files_dir, bone=bone.surface.structure.key), bone)
