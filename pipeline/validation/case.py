"""One case: the expert's and the model's outlines of one scan, and how they agree."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.anatomy import AUTO, CARTILAGE_OF, LATERAL_OF, PLATE_ON, Structure
from pipeline.errors import KneeError, OutOfMemory
from pipeline.labels import GIVEN_ID
from pipeline.options import AnalysisOptions
from pipeline.products import SCAN
from pipeline.report.contact_sheet import write_paired_sheet
from pipeline.report.measured_knee import MeasuredKnee
from pipeline.segmentation.registry import model
from pipeline.turned_knee import turned
from pipeline.types import LabelArray, Resources
from pipeline.validation.agreement import Agreement, agreement
from pipeline.validation.hdf5_files import convert
from pipeline.validation.labelled_set import Case
from pipeline.validation.layouts import Layout
from pipeline.validation.outlines import Outlines, expert_outlines, model_outlines, on_bones_of
from pipeline.workspace import Workspace, write_json

RESULT: Final = "case.json"
SHEET: Final = "outlines.png"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every case. folder: of the results; one subfolder for each case, named by its digest."""

    layout: Layout
    options: AnalysisOptions
    resources: Resources
    folder: Path


@dataclass(frozen=True, kw_only=True)
class MeasuredPlace:
    """A measure of one region by both outlines, in the unit of the quantity. model: NaN where it found nothing."""

    quantity: str
    method: str
    structure: str
    region: str
    expert: float
    model: float


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """Agreement of one case.

    agreement   part (parts_of) -> figures, for the parts that the expert outlined and the model segments
    places      measures of the regions that the expert outlined and the model segments
    expert, found  keys of the structures in both label maps
    numbering   of the label map, as decided
    mixed_up    structure of the expert -> the structure that the model calls it, where more of it is that than itself
    """

    agreement: Mapping[str, Agreement]
    places: tuple[MeasuredPlace, ...]
    expert: tuple[str, ...]
    found: tuple[str, ...]
    numbering: str = ""
    mixed_up: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A case without a result: the code and the message of the error."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """By name of the case. folders: of the results, for their pictures."""

    results: dict[str, CaseResult] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)


def parts_of() -> dict[str, tuple[Structure, ...]]:
    """The compared parts: each structure, and the tibial cartilage as one plate."""
    found: dict[str, tuple[Structure, ...]] = {}
    for structure in Structure:
        if structure is CARTILAGE_OF[Structure.TIBIA][0]:
            found[PLATE_ON[Structure.TIBIA].value] = CARTILAGE_OF[Structure.TIBIA]
        found[structure.key] = (structure,)
    return found


def examine(case: Case, digest: str, plan: Plan) -> CaseResult | Refusal:
    """Segment, measure and compare one case, and store its result; a KneeError or lack of memory is a refusal."""
    folder = plan.folder / digest
    work = folder / "work"
    try:
        return _examined(case, plan, folder, work)
    except KneeError as error:
        return Refusal(code=error.code, message=str(error))
    except MemoryError:
        return Refusal(code=OutOfMemory("").code, message=f"The machine ran out of memory. {OutOfMemory.next_step}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def stored_result(folder: Path) -> CaseResult | None:
    """The result of a case that was examined before; None if there is none."""
    try:
        data: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return CaseResult(
        agreement={name: Agreement(**values) for name, values in data["agreement"].items()},
        places=tuple(MeasuredPlace(**values) for values in data["places"]),
        **{key: tuple(data[key]) for key in ("expert", "found", "flags", "warnings")},
        numbering=data["numbering"],
        mixed_up=data["mixed_up"],
        seconds=data["seconds"],
    )


def _examined(case: Case, plan: Plan, folder: Path, work: Path) -> CaseResult:
    started = time.perf_counter()
    scan, labels = inputs_of(case, plan.layout, work / "given")
    structures = model(plan.options.segmentation_model, plan.resources).card.structures
    of_expert, of_model = Workspace(work / "expert"), Workspace(work / "model")
    options = read_as(plan.options, plan.layout)
    expert = expert_outlines(of_expert, options, plan.resources, scan, labels)
    ours = model_outlines(of_model, options, plan.resources, scan, structures)
    own_bones = expert.alignment is not None and ours.alignment is not None
    smoothing = plan.options.cartilage_smoothing
    expert, ours = on_bones_of(expert, ours, smoothing), on_bones_of(ours, expert, smoothing)
    result = _compared(expert, ours, structures, own_bones=own_bones)
    result = replace(result, seconds=round(time.perf_counter() - started, 1))
    _write_sheet(of_model, expert, ours, plan.options.turn, folder / SHEET)
    shutil.rmtree(work)  # first: a case with a result is not visited again
    write_json(folder / RESULT, asdict(result))
    return result


def inputs_of(case: Case, layout: Layout, folder: Path) -> tuple[str, str]:
    """Paths of the scan and of the label map as the analysis reads them; converted or copied ones are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    scan, labels = case.scan.resolve(), case.labels.resolve()
    if layout.hdf5:
        scan, labels = convert(scan, labels, folder)
    elif case.names is not None and labels.is_file():
        named = folder / "named"
        named.mkdir(exist_ok=True)
        for path in (labels, case.names.resolve()):
            shutil.copyfile(path, named / path.name)
        labels = named
    return str(scan.resolve()), str(labels.resolve())


def read_as(options: AnalysisOptions, layout: Layout) -> AnalysisOptions:
    """The options, with the numbering of the layout unless one was given."""
    if options.numbering != AUTO:
        return options
    return replace(options, numbering=layout.numbering)


def _compared(expert: Outlines, ours: Outlines, declared: tuple[Structure, ...], *, own_bones: bool) -> CaseResult:
    true, found = expert.whole.labels, ours.whole.labels
    spacing = expert.segmentation.grid.spacing_mm
    apart = expert.segmentation.compartments_apart and ours.segmentation.compartments_apart
    unknown = set() if apart else {(structure,) for pair in LATERAL_OF.items() for structure in pair}
    compared = {
        name: agreement(np.isin(found, structures), mask, spacing)
        for name, structures in parts_of().items()
        if set(structures) & set(declared) and structures not in unknown and (mask := np.isin(true, structures)).any()
    }
    theirs = ours.measures(on_own_bones=own_bones)
    places = tuple(
        MeasuredPlace(
            quantity=quantity,
            method=method,
            structure=structure,
            region=region,
            expert=value,
            model=theirs.get((quantity, method, structure, region), math.nan),
        )
        for (quantity, method, structure, region), value in expert.measures(on_own_bones=own_bones).items()
        if math.isfinite(value) and _segmented(structure, declared)
    )
    return CaseResult(
        agreement=compared,
        places=places,
        expert=tuple(structure.key for structure in expert.segmentation.boxes),
        found=tuple(structure.key for structure in ours.segmentation.boxes),
        numbering=expert.segmentation.model_id.removeprefix(GIVEN_ID),
        mixed_up=_mixed_up(true, found),
        flags=ours.flags,
        warnings=expert.segmentation.warnings,
    )


def _segmented(name: str, declared: tuple[Structure, ...]) -> bool:
    """Whether the model segments a part of this plate or meniscus."""
    return bool(set(parts_of()[name]) & set(declared))


def _mixed_up(true: LabelArray, found: LabelArray) -> dict[str, str]:
    size = max(Structure) + 1
    counts = np.bincount(true.ravel().astype(np.int64) * size + found.ravel(), minlength=size * size)
    table = counts.reshape(size, size)
    result = {}
    for structure in Structure:
        row = table[structure].copy()
        row[0] = 0
        most = int(row.argmax())
        if row[most] > row[structure]:
            result[structure.key] = Structure(most).key
    return result


def _write_sheet(workspace: Workspace, expert: Outlines, ours: Outlines, turn: str, path: Path) -> None:
    """Pictures of slices with both outlines next to each other; none without an alignment, which finds the side."""
    if expert.alignment is None:
        return
    scan = turned(SCAN.load(workspace), turn)
    shown = [
        MeasuredKnee(
            scan=scan,
            segmentation=outlines.whole,
            subregions=outlines.whole.labels,
            divided=outlines.whole.labels,
            alignment=outlines.alignment or expert.alignment,
            thickness=(),
            t2=None,
            flags=(),
        )
        for outlines in (expert, ours)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_paired_sheet({"expert": shown[0], "model": shown[1]}, path)
