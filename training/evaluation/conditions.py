"""The conditions in which the networks are measured, and what is required in each. One table: CONDITIONS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.anatomy import ALL, BONES, Plate, Structure
from training.evaluation.changes import with_bony_spurs, with_denuded_patches, with_menisci
from training.evaluation.examine import MENISCUS_IN_CARTILAGE, PATELLAR_THAT_IS_FLUID, Group
from training.evaluation.figures import Bar, Statistic
from training.evaluation.grids import Plane
from training.evaluation.marrow import oedema, open_growth_plates
from training.evaluation.scan import Recipe, Rendered, blurred_average, unseen_dess
from training.evaluation.sequences import DESS, PD, PD_FS, T1, T2_FS, TSE_3D, Sequence

BONE_NAMES: Final = tuple(bone.key for bone in BONES)
PLATE_NAMES: Final = tuple(plate.value for plate in Plate)
WHOLE_PLATES: Final = tuple(f"{plate.value}/{ALL}" for plate in Plate)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """render: (map, numbering, number of the map, seed) -> scan and truth; bars: what is required, may be empty."""

    id: str
    title: str
    render: Callable[[Path, str, int, int], Rendered]
    bars: tuple[Bar, ...] = ()
    sequence: str = ""


def _dice(least: float, *names: str) -> Bar:
    return Bar(group=Group.DICE, names=names, least=least)


def _thin(id: str, sequence: Sequence) -> Condition:
    recipe = Recipe(sequence=sequence)
    title = f"{sequence.name}, voxels of {recipe.voxel_mm:.1f} mm"
    return Condition(
        id=id,
        title=title,
        render=recipe,
        bars=(_dice(0.84, *PLATE_NAMES), _dice(0.97, *BONE_NAMES)),
        sequence=sequence.name,
    )


def _thick(id: str, sequence: Sequence, plane: Plane, *, voxel_mm: float, slices: int) -> Condition:
    recipe = Recipe(sequence=sequence, voxel_mm=voxel_mm, plane=plane, slices=slices)
    title = f"{sequence.name}, {plane.name.lower()} slices of {slices * voxel_mm:.1f} mm"
    return Condition(id=id, title=title, render=recipe, bars=(_dice(0.95, *BONE_NAMES),))


_SEQUENCE: Final = (
    _dice(0.88, Plate.FEMORAL),
    _dice(0.87, Plate.TIBIAL),
    _dice(0.86, Plate.PATELLAR),
    _dice(0.985, Structure.FEMUR.key),
    _dice(0.98, Structure.TIBIA.key),
    _dice(0.965, Structure.PATELLA.key),
    Bar(group=Group.THC, most=0.05),
    Bar(group=Group.THC, statistic=Statistic.RMS, most=0.20),
)
_EFFUSION: Final = (
    Bar(group=Group.VOLUME, most=8.0),
    Bar(group=Group.FLUID, names=(PATELLAR_THAT_IS_FLUID,), most=3.0),
)
_MENISCI: Final = (Bar(group=Group.MENISCUS, names=(MENISCUS_IN_CARTILAGE,), most=3.0),)
_DISEASE: Final = (
    Bar(group=Group.DAB, statistic=Statistic.WORST, names=WHOLE_PLATES, most=10.0),
    Bar(group=Group.MISSING, statistic=Statistic.WORST, most=27.0),  # a cube of 3 mm
    Bar(group=Group.HOLES, statistic=Statistic.WORST, most=0.0),
    Bar(group=Group.PIECES, statistic=Statistic.WORST, most=1.0),
)

CONDITIONS: Final[tuple[Condition, ...]] = (
    Condition(
        id="dess",
        title="DESS, parameters outside the training ranges",
        render=unseen_dess,
        bars=_SEQUENCE,
        sequence=DESS.name,
    ),
    _thin("pd_fs", PD_FS),
    _thin("t2_fs", T2_FS),
    _thin("t1", T1),
    _thin("pd", PD),
    _thin("tse_3d", TSE_3D),
    _thick("pd_fs_sagittal", PD_FS, Plane.SAGITTAL, voxel_mm=0.6, slices=5),
    _thick("pd_fs_coronal", PD_FS, Plane.CORONAL, voxel_mm=0.6, slices=5),
    _thick("pd_fs_axial", PD_FS, Plane.AXIAL, voxel_mm=0.6, slices=5),
    _thick("pd_sagittal", PD, Plane.SAGITTAL, voxel_mm=0.56, slices=7),
    _thick("pd_coronal", PD, Plane.CORONAL, voxel_mm=0.56, slices=7),
    _thick("pd_axial", PD, Plane.AXIAL, voxel_mm=0.56, slices=7),
    Condition(
        id="effusion_dess",
        title="Effusion, DESS",
        render=Recipe(sequence=DESS, changes=(with_menisci,), bathed=True),
        bars=_EFFUSION,
    ),
    Condition(
        id="effusion_t2_fs",
        title="Effusion, T2-FS",
        render=Recipe(sequence=T2_FS, changes=(with_menisci,), bathed=True),
        bars=_EFFUSION,
    ),
    Condition(
        id="effusion_t2_fs_sagittal",
        title="Effusion, T2-FS, sagittal slices of 3.0 mm",
        render=Recipe(
            sequence=T2_FS, voxel_mm=0.6, plane=Plane.SAGITTAL, slices=5, changes=(with_menisci,), bathed=True
        ),
        bars=_EFFUSION,
    ),
    Condition(
        id="menisci_t1",
        title="Drawn menisci, T1",
        render=Recipe(sequence=T1, changes=(with_menisci,)),
        bars=_MENISCI,
    ),
    Condition(
        id="menisci_pd",
        title="Drawn menisci, PD",
        render=Recipe(sequence=PD, changes=(with_menisci,)),
        bars=_MENISCI,
    ),
    Condition(
        id="denuded_dess",
        title="Denuded patches of 1 to 4 cm2, DESS",
        render=Recipe(sequence=DESS, changes=(with_denuded_patches,)),
        bars=_DISEASE,
    ),
    Condition(
        id="denuded_pd_fs",
        title="Denuded patches of 1 to 4 cm2, PD-FS",
        render=Recipe(sequence=PD_FS, changes=(with_denuded_patches,)),
        bars=_DISEASE,
    ),
    Condition(
        id="osteophytes_pd",
        title="Osteophytes, PD",
        render=Recipe(sequence=PD, changes=(with_bony_spurs,)),
        bars=_DISEASE,
    ),
    Condition(
        id="open_growth_plate_pd_fs",
        title="Open growth plates, PD-FS",
        render=Recipe(sequence=PD_FS, in_bone=open_growth_plates),
        bars=_DISEASE,
    ),
    Condition(
        id="oedema_t2_fs",
        title="Bone marrow oedema, T2-FS",
        render=Recipe(sequence=T2_FS, in_bone=oedema),
        bars=_DISEASE,
    ),
    Condition(
        id="oedema_t1",
        title="Bone marrow oedema, T1",
        render=Recipe(sequence=T1, in_bone=oedema),
        bars=_DISEASE,
    ),
    Condition(
        id="blurred_average",
        title="Masked and blurred DESS average, as a template; no patella",
        render=blurred_average,
        bars=(Bar(group=Group.VOLUME, names=(Plate.FEMORAL.value,), most=12.0),),
    ),
)
