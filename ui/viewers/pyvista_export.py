"""Write the surfaces of a results tree as one self-contained HTML page.

    python -m ui.viewers.pyvista_export FOLDER OUT.html [--side left]

Runs as a separate process (started by pyvista_view.py): VTK's wheel carries no GL and ends the whole process with a
segmentation fault where the machine has none, which must never be the web server.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvista as pv
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from vtkmodules.vtkFiltersCore import vtkBinnedDecimation

from pipeline.anatomy import BONES, Structure
from pipeline.report.colours import thickness_rgb
from pipeline.results_tree import SURFACE_VTP

CELL_MM: Final = 1.1
"""Edge of the cells whose points become one: 4 MB of HTML for a whole knee, no visible loss at the preview's size."""

BACKGROUND: Final = "#182127"

CLOSER: Final = 1.4
"""How much nearer than the distance that shows the sphere around the scene from every side."""

GAP_MM: Final = 10.0
"""Free space between two bones of the picture."""

TURNS: Final = {Structure.FEMUR: ("x", -62.0), Structure.TIBIA: ("x", 62.0), Structure.PATELLA: ("z", 180.0)}
"""Axis (LPS) and degrees that turn each joint surface to the front: where the bones lie, they hide each other."""


def decimated(surface: pv.PolyData) -> pv.PolyData:
    """A light copy; every value of a vertex, its normal too, is that of the nearest original vertex.

    Binned, not quadric: 0.05 s against 8 s for a femur of 330,000 triangles; the original's normals keep the shading.
    """
    binning = vtkBinnedDecimation()
    binning.SetInputData(pv.PolyData(surface.points, surface.faces))
    size = np.ptp(surface.points, axis=0)
    binning.SetNumberOfDivisions(*(max(1, int(length / CELL_MM)) for length in size))
    binning.Update()
    light = pv.PolyData(binning.GetOutput())
    nearest = cKDTree(surface.points).query(light.points)[1]
    for name, values in surface.point_data.items():
        light.point_data[name] = np.asarray(values)[nearest]
    return facing_out(light)


def facing_out(surface: pv.PolyData) -> pv.PolyData:
    """The surface with each triangle facing where its vertices' normals point: binning turns some over."""
    triangles = surface.regular_faces.copy()
    a, b, c = (surface.points[triangles[:, k]] for k in range(3))
    normals = np.asarray(surface.point_data["Normals"])[triangles].sum(axis=1)
    wrong = np.einsum("ij,ij->i", np.cross(b - a, c - a), normals) < 0.0
    triangles[wrong] = triangles[wrong][:, ::-1]
    turned = pv.PolyData.from_regular_faces(surface.points, triangles)
    turned.point_data.update(surface.point_data)
    return turned


def coloured_bones(folder: Path) -> dict[Structure, pv.PolyData]:
    """The bones of a results tree, their cartilage's thickness as colour, each turned about its own middle."""
    bones = {}
    for structure in BONES:
        path = SURFACE_VTP.at(folder, bone=structure.key)
        if not path.exists():
            continue
        bone = decimated(pv.PolyData(pv.read(path)))
        turn = Rotation.from_euler(*TURNS[structure], degrees=True).as_matrix().T
        shown = pv.PolyData(((bone.points - bone.center) @ turn).astype(np.float32), bone.faces)
        shown.point_data.active_normals = (bone.point_data["Normals"] @ turn).astype(np.float32)
        shown.point_data["colour"] = thickness_rgb(np.asarray(bone.point_data["thickness_mm"], dtype=np.float64))
        bones[structure] = shown
    return bones


def lay_out(bones: dict[Structure, pv.PolyData], side: str) -> None:
    """Move the bones apart in the picture's plane (x, z): tibia below femur, patella beside them, laterally."""
    lateral = 1.0 if side == "left" else -1.0
    column = [bones[s] for s in (Structure.FEMUR, Structure.TIBIA) if s in bones]
    top = 0.0
    for bone in column:
        bone.translate((0.0, 0.0, top - bone.bounds.z_max), inplace=True)
        top = bone.bounds.z_min - GAP_MM
    if (patella := bones.get(Structure.PATELLA)) is not None and column:
        edge = max(lateral * x for bone in column for x in (bone.bounds.x_min, bone.bounds.x_max))
        half = (patella.bounds.x_max - patella.bounds.x_min) / 2
        patella.translate((lateral * (edge + GAP_MM + half), 0.0, (top + GAP_MM) / 2), inplace=True)


def build_scene(folder: Path, side: str) -> Any:  # Any: pyvista has no types
    """A plotter with all that the preview shows. Raises ValueError where the results hold no surface."""
    bones = coloured_bones(folder)
    if not bones:
        raise ValueError("no surface to show")
    lay_out(bones, side)
    plotter = pv.Plotter(off_screen=True, window_size=[600, 560])
    plotter.set_background(BACKGROUND)
    for bone in bones.values():
        plotter.add_mesh(bone, scalars="colour", rgb=True, smooth_shading=True, specular=0.12, ambient=0.12)
    plotter.view_vector((0.0, -1.0, 0.0), viewup=(0.0, 0.0, 1.0))
    plotter.camera.Dolly(CLOSER)
    plotter.renderer.ResetCameraClippingRange()
    return plotter


def main(arguments: list[str]) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", choices=("left", "right"), default="right")
    chosen = parser.parse_args(arguments)
    # trame starts by downloading a WebAssembly build of VTK, which this export does not use: declared absent
    sys.modules["trame.widgets.vtklocal"] = None  # type: ignore[assignment]
    build_scene(chosen.folder, chosen.side).trame.export_html(chosen.output)


if __name__ == "__main__":
    main(sys.argv[1:])
