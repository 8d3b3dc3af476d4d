"""Extrusion and coverage of menisci: mskt and ours on the same label maps, and both on a phantom of known truth.

Part of `python -m bench.peer`. Where the label map has no menisci, they are drawn (bench/drawn_menisci.py), once in
place and once with the medial one extruded: they test the measures, not a knee's menisci.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.drawn_menisci import with_drawn_menisci
from bench.plateau_phantom import LATERAL, MEDIAL, Disc, alignment, plateau_phantom, tibia_of
from pipeline.anatomy import MENISCUS_ON, NUMBERINGS, Side, Structure
from pipeline.grid import FloatArray
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.measure import Findings, measure_knee
from pipeline.menisci import columns_of, extrusion_of, measure_menisci
from pipeline.plateau import MEDIAL as TOWARDS_MEDIAL
from pipeline.plateau import SUPERIOR, Plateau, plateau_of
from pipeline.quantities import MENISCUS_COVERAGE, MENISCUS_EXTRUSION, Method
from pipeline.types import Measurement, Segmentation, Surface, ThicknessMap
from training.measured import findings_of
from training.reference_knee import write_labels

ROOT: Final = Path(__file__).resolve().parent.parent
NUMBERING: Final = NUMBERINGS["pymskt"]
SEED: Final = 1
EXTRUSION_BAR_MM: Final = 0.2
COVERAGE_BAR: Final = 2.0
"""Percentage points. Both bars are for ours on the phantom, of which the truth is known."""

COMPARTMENTS: Final = {
    "medial": (Structure.MEDIAL_MENISCUS, Structure.MEDIAL_TIBIAL_CARTILAGE, 1.0),
    "lateral": (Structure.LATERAL_MENISCUS, Structure.LATERAL_TIBIAL_CARTILAGE, -1.0),
}
"""Compartment -> its meniscus, its plate, and the direction of outwards along our medial axis."""

LINES: Final = {
    "extrusion": "extrusion, mm",
    "reach": "  reach of the meniscus, mm",
    "edge": "  outer edge of the plate, mm",
    "coverage": "coverage, %",
    "by_vertex": "  mskt's, weighted by vertex",
    "unsmoothed": "  and with menisci not smoothed",
    "area": "  area of the plate, mm2",
}
"""Value -> its name in the table. Reach and edge are outwards from the same point, along the axes of each column. Two
lines are mskt's coverage with our weights, and with menisci as our label map has them; see peer_run.py."""

COMPARED: Final = {key: key for key in LINES} | {"by_vertex": "coverage", "unsmoothed": "coverage"}
"""Value of mskt -> the value of ours that it is compared with."""

COLUMNS: Final = {
    "mskt": "mskt",
    "mskt_surface": "its surface",
    "two_crossing": "ours, rim off",
    "ours": "ours",
}
"""Column -> its title. `mskt_surface`: our rules on mskt's tibia and plates; `two_crossing`: our rules and tibia, but
plates only where a ray crosses the cartilage twice, as mskt requires."""

Values = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """Labels that both programs measure. truth: compartment -> the disc of a phantom; empty: not known."""

    title: str
    labels: Segmentation
    truth: dict[str, Disc]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One case: column -> compartment -> the values of LINES.

    superior_deg, medial_deg: between mskt's axes and ours
    """

    title: str
    columns: dict[str, dict[str, Values]]
    truth: dict[str, Values]
    superior_deg: float
    medial_deg: float


def cases(labels: Path) -> Iterator[Case]:
    """The menisci of a label map in mskt's numbering, or those drawn into it; then the phantom."""
    knee = canonical_labels(read_label_map(labels), NUMBERING)
    if knee.mask(Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS).any():
        yield Case(title="Menisci of the label map", labels=knee, truth={})
    else:
        places = {"in place": frozenset[Structure](), "the medial one extruded": frozenset({Structure.MEDIAL_MENISCUS})}
        for place, extruded in places.items():
            title = f"Menisci drawn by this program, {place} (the label map has none)"
            yield Case(title=title, labels=with_drawn_menisci(knee, extruded, SEED), truth={})
    discs = {"medial": MEDIAL, "lateral": LATERAL}
    phantom = plateau_phantom(MEDIAL, LATERAL, Side.RIGHT, SEED)
    yield Case(title="Phantom: wedge-shaped rings on discs", labels=phantom, truth=discs)


def compare(python: Path, labels: Path, out_dir: Path) -> list[Found]:
    """Every case by both programs, from one file in mskt's numbering. python: the peer's interpreter."""
    found = []
    for number, case in enumerate(cases(labels)):
        folder = out_dir / f"menisci_{number}"
        path = write_case(case.labels, folder)
        command = [str(python), str(ROOT / "bench" / "peer_run.py"), str(path), str(folder), "menisci"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        found.append(_compared(case, path))
    return found


def write_case(knee: Segmentation, folder: Path) -> Path:
    """Write the file that both programs read: the labels in mskt's numbering."""
    table = np.zeros(256, np.uint8)
    for native, structure in NUMBERING.to_canonical.items():
        if structure is not None:
            table[structure] = native
    path = folder / "labels.nrrd"
    write_labels(table[knee.labels], knee.grid, path)
    return path


def _findings(knee: Segmentation, case: Case) -> Findings:
    """What is measured. A phantom has no femur, from which an analysis finds the side."""
    if not case.truth:
        return findings_of(knee)
    return Findings(
        segmentation=knee,
        subregions=np.zeros_like(knee.labels),
        thickness=(tibia_of(knee), tibia_of(knee, Method.TWO_CROSSING)),
        alignment=alignment(Side.RIGHT),
    )


def _compared(case: Case, path: Path) -> Found:
    peer: dict[str, Any] = json.loads((path.parent / "peer_menisci.json").read_text(encoding="utf-8"))
    findings = _findings(canonical_labels(read_label_map(path), NUMBERING), case)
    knee, plateau, knee_alignment = findings.segmentation, findings.plateau, findings.alignment
    assert plateau is not None, "both plates are present"
    assert knee_alignment is not None, "the knee has been aligned"
    side, centre = knee_alignment.side, plateau.origin_mm
    narrow, theirs = (
        plateau_of(item, side) for item in (_two_crossing(findings), _peer_tibia(path.parent / "peer_tibia.npz"))
    )
    assert narrow is not None, "both plates are present"
    assert theirs is not None, "both plates are present"
    columns = {
        "mskt": {name: _peer_values(peer, name, centre) for name in COMPARTMENTS},
        "mskt_surface": _values(measure_menisci(knee, theirs), knee, theirs, centre),
        "two_crossing": _values(measure_menisci(knee, narrow), knee, narrow, centre),
        "ours": _values(measure_knee(findings), knee, plateau, centre),
    }
    return Found(
        title=case.title,
        columns=columns,
        truth={
            name: {
                "extrusion": disc.extrusion_mm,
                "coverage": disc.coverage_percent,
                "area": float(np.pi * disc.radius_mm**2),
            }
            for name, disc in case.truth.items()
        },
        superior_deg=_angle(np.array(peer["superior"]), plateau.axes[SUPERIOR]),
        medial_deg=_angle(-np.array(peer["across"]), plateau.axes[TOWARDS_MEDIAL]),
    )


def _peer_values(peer: dict[str, Any], name: str, centre: FloatArray) -> Values:
    """Mskt's values of one compartment, its ends outwards from a point (3,) LPS mm."""
    *_, sign = COMPARTMENTS[name]
    start = -sign * float(centre @ np.array(peer["across"]))  # mskt's axis points from medial to lateral
    found = peer[name]
    values = {key: found[key] for key in LINES}
    values |= {end: found[end] - start for end in ("reach", "edge")}
    assert abs(values["reach"] - values["edge"] - values["extrusion"]) < 1e-6, "the ends are those that mskt takes"
    return values


def _values(
    rows: tuple[Measurement, ...], knee: Segmentation, plateau: Plateau, centre: FloatArray
) -> dict[str, Values]:
    """Compartment -> our values on a plateau; the ends outwards from a point (3,) LPS mm."""
    value = {(row.structure, row.quantity): row.value for row in rows}
    shift = float(plateau.to_plateau(centre[None])[0, TOWARDS_MEDIAL])
    found = {}
    for name, (meniscus, _, sign) in COMPARTMENTS.items():
        region = MENISCUS_ON[meniscus]
        ends = extrusion_of(columns_of(meniscus, knee, plateau), plateau, region)
        assert ends is not None, "the meniscus reaches the middle of its plate"
        found[name] = {
            "extrusion": value[meniscus.key, MENISCUS_EXTRUSION.id],
            "reach": ends.reach_mm - sign * shift,
            "edge": ends.edge_mm - sign * shift,
            "coverage": value[meniscus.key, MENISCUS_COVERAGE.id],
            "area": float(plateau.tibia.surface.vertex_areas_mm2[plateau.plate(region)].sum()),
        }
    return found


def _two_crossing(findings: Findings) -> ThicknessMap:
    """Our tibia with plates that end where no ray crosses the cartilage twice."""
    item = next(
        item
        for item in findings.thickness
        if item.surface.structure is Structure.TIBIA and item.method is Method.TWO_CROSSING
    )
    return replace(item, thickness_mm=np.where(item.thickness_mm > 0, item.thickness_mm, np.nan))


def _peer_tibia(path: Path) -> ThicknessMap:
    """Mskt's tibia with its plates, as a map whose thickness only says where the plates are."""
    with np.load(path, allow_pickle=False) as stored:
        points, faces, native = stored["points_mm"], stored["faces"], stored["region"]
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)  # twice the area of each face, along its normal
    if np.einsum("ij,ij->", across, a - points.mean(axis=0)) < 0:
        faces, across = np.ascontiguousarray(faces[:, ::-1]), -across
    normals, areas = np.zeros_like(points), np.zeros(len(points))
    for k in range(3):
        np.add.at(normals, faces[:, k], across)
        np.add.at(areas, faces[:, k], np.linalg.norm(across, axis=1) / 6)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    region = np.zeros(len(points), np.uint8)
    for meniscus, plate, _ in COMPARTMENTS.values():
        number = next(n for n, structure in NUMBERING.to_canonical.items() if structure is plate)
        region[native == number] = MENISCUS_ON[meniscus].label
    return ThicknessMap(
        surface=Surface(
            points_mm=points, faces=faces, normals=normals, vertex_areas_mm2=areas, structure=Structure.TIBIA
        ),
        thickness_mm=np.where(region > 0, 1.0, np.nan),
        region=region,
        method=Method.TWO_CROSSING,
    )


def _angle(a: FloatArray, b: FloatArray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def print_menisci(found: list[Found]) -> None:
    """Print a table for every case."""
    for case in found:
        titles = "".join(f"{title:>14}" for title in COLUMNS.values())
        # the table of one case: both programs, their difference, and the truth of the phantom
        print(f"\n{case.title}\n{'':37}{titles}{'ours - mskt':>13}{'true' if case.truth else '':>9}")
        for name in COMPARTMENTS:
            for key, title in LINES.items():
                values = [case.columns[column][name].get(key) for column in COLUMNS]
                difference = case.columns["ours"][name][COMPARED[key]] - case.columns["mskt"][name][key]
                line = title if title.startswith(" ") else f"{name} {title}"
                true = case.truth.get(name, {}).get(key)
                shown = "".join(f"{'' if value is None else f'{value:.2f}':>14}" for value in values)
                print(f"{line:37}{shown}{difference:+13.2f}{'' if true is None else f'{true:9.2f}'}")
        # shows whether different axes explain a difference
        print(f"between the axes of both: superior {case.superior_deg:.1f}, medial {case.medial_deg:.1f} degrees")


def missed_bars(found: list[Found]) -> list[str]:
    """One line for every value of ours that misses the truth of a phantom."""
    missed = []
    for case in found:
        for name, truth in case.truth.items():
            for key, bar in (("extrusion", EXTRUSION_BAR_MM), ("coverage", COVERAGE_BAR)):
                apart = abs(case.columns["ours"][name][key] - truth[key])
                if not apart <= bar:
                    missed.append(f"{case.title}, {name} {LINES[key]}: {apart:.2f} from the truth, at most {bar}")
    return missed
