"""The whole analysis on one screen: what is done, in which order, from what, to what.

A step reads from the workspace, calls the science, writes to the workspace. Progress, provenance, report, command
line and pages iterate STEPS; nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, NUMBERINGS, Structure
from pipeline.delivery import deliver
from pipeline.image_io import read_label_map, read_scan, require_content
from pipeline.labels import canonical_labels
from pipeline.measure import Findings, measure_knee
from pipeline.model_flags import model_flags
from pipeline.options import AnalysisOptions
from pipeline.progress import StepRecord, StepState
from pipeline.quality import quality_flags
from pipeline.regions import split_tibial_cartilage, subregions
from pipeline.report import collect_host, collect_packages
from pipeline.segmentation import describe, segment
from pipeline.segmentation.identity import GIVEN, ModelIdentity
from pipeline.segmentation.registry import model
from pipeline.shape.fit import FAR_MM, fit_shape
from pipeline.shape.installed import chosen_shapes, unused_shapes, why_none
from pipeline.surface import bone_surface
from pipeline.t2.layers import measure_t2, relative_depth
from pipeline.t2.maps import fit_t2_map, t2_unavailable
from pipeline.thickness import thickness_maps
from pipeline.types import AnalysisResult, Provenance, Request, Resources, Scan, Segmentation
from pipeline.workspace import Workspace

Report = Callable[[float], None]
"""A step tells how far it is, 0 to 1."""


@dataclass(kw_only=True)
class Context:
    """What every step may look at. `steps` is what has happened so far; `report` takes the running step's progress."""

    workspace: Workspace
    options: AnalysisOptions
    resources: Resources
    request: Request
    input_sha256: str
    steps: tuple[StepRecord, ...] = field(default=())
    report: Report = field(default=lambda _: None)

    @cached_property
    def model(self) -> dict[str, Any]:
        """Card, identity and runtime of what makes the segmentation."""
        if self.request.labels is not None:
            numbering = NUMBERINGS[self.request.numbering]
            identity = ModelIdentity(id=f"given:{numbering.id}", source=GIVEN, digests={})
            title = f"Label map given by the user. {numbering.title}"
            return {"id": identity.id, "title": title, "identity": identity.to_dict()}
        return describe(self.options.segmentation_model, self.resources)

    def scan(self) -> Scan | None:
        """The scan, or None where a label map is measured alone."""
        return self.workspace.read_scan() if self.workspace.has("scan") else None

    def segmentation(self) -> Segmentation:
        return self.workspace.read_segmentation("segmentation")

    def input_path(self, name: str) -> Path:
        return self.workspace.input_dir / name

    def warnings(self) -> tuple[str, ...]:
        """What the scan's header made us assume, and each optional step that failed."""
        scan = self.workspace.read_json("scan")["warnings"] if self.workspace.has("scan") else ()
        failed = (f"{s.title}: {s.reason}" for s in self.steps if s.state is StepState.FAILED)
        return (*scan, *failed, *self._shape_warnings())

    def shape_models(self) -> tuple[dict[str, str], ...]:
        """Name, kind and weights digest of every shape model that was fitted."""
        fits = self.workspace.read_json("shape") if self.workspace.has("shape") else ()
        return tuple({"id": fit["model"], "kind": fit["kind"], "weights_sha256": fit["sha256"]} for fit in fits)

    def _shape_warnings(self) -> tuple[str, ...]:
        """A shape model that is installed cannot be used; a reconstruction is too far off."""
        fits = self.workspace.read_json("shape") if self.workspace.has("shape") else ()
        unused = unused_shapes(self.options.nsm_type, self.resources) if fits else ()
        far = [fit for fit in fits if fit["assd_mm"][0] >= FAR_MM]
        return (
            *unused,
            *(
                f"The shape that {f['model']} makes of the femur is {f['assd_mm'][0]:.1f} mm off: no score."
                for f in far
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage of the analysis.

    needs, produces  names of products in the workspace; uses: fields of AnalysisOptions that change the product
    share            rough share of the wall time, for the progress bar
    applies          None, or the reason why the step is skipped
    identity         what else decides the product, e.g. the model's weights
    """

    name: str
    title: str
    run: Callable[[Context], None]
    needs: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    share: int = 1
    required: bool = True
    applies: Callable[[Context], str | None] = lambda _: None
    identity: Callable[[Context], object] = lambda _: None


def _read(context: Context) -> None:
    path = context.input_path(str(context.request.scan))
    options = context.options
    scan = read_scan(path, side=options.chosen_side, series=options.series, scratch_dir=context.workspace.work_dir)
    require_content(scan)
    context.workspace.write_scan(scan)


def _no_scan(context: Context) -> str | None:
    return "no scan was given, only a label map" if context.request.scan is None else None


def _segment(context: Context) -> None:
    scan = context.scan()
    if context.request.labels is not None:
        labels, grid = read_label_map(
            context.input_path(context.request.labels), scratch_dir=context.workspace.work_dir
        )
        segmentation = canonical_labels(labels, grid, NUMBERINGS[context.request.numbering], scan)
    else:
        assert scan is not None  # noqa: S101  a Request without labels has a scan
        segmentation = segment(scan, context.options.segmentation_model, context.resources, context.report)
    context.workspace.write_segmentation("raw_segmentation", segmentation)


def _surfaces(context: Context) -> None:
    segmentation = context.workspace.read_segmentation("raw_segmentation")
    bones = [bone for bone in BONES if bone in segmentation.boxes or bone is Structure.FEMUR]
    with ThreadPoolExecutor() as bone_by_bone:
        surfaces = tuple(bone_by_bone.map(partial(bone_surface, segmentation), bones))
    context.workspace.write_surfaces(surfaces)


def _align(context: Context) -> None:
    segmentation = context.workspace.read_segmentation("raw_segmentation")
    femur = next(s for s in context.workspace.read_surfaces() if s.structure is Structure.FEMUR)
    alignment = align_knee(femur)
    context.workspace.write_alignment(alignment)
    context.workspace.write_segmentation("segmentation", split_tibial_cartilage(segmentation, alignment))


def _thickness(context: Context) -> None:
    segmentation = context.segmentation()
    parts = subregions(segmentation, context.workspace.read_alignment())
    smoothing = context.options.cartilage_smoothing
    with ThreadPoolExecutor() as bone_by_bone:
        maps = bone_by_bone.map(
            lambda surface: thickness_maps(surface, segmentation, parts, smoothing), context.workspace.read_surfaces()
        )
        context.workspace.write_thickness(tuple(chain.from_iterable(maps)), parts)


def _t2(context: Context) -> None:
    scan = context.workspace.read_scan()
    segmentation = context.segmentation()
    t2 = fit_t2_map(scan, segmentation, skip_first_echo=context.options.skip_first_echo)
    depth = relative_depth(segmentation)
    context.workspace.write_t2(t2)
    context.workspace.write_measurements("t2_rows", measure_t2(t2, context.workspace.read_subregions(), depth))


def _no_t2(context: Context) -> str | None:
    scan = context.scan()
    if scan is None:
        return _no_scan(context)
    return t2_unavailable(scan, skip_first_echo=context.options.skip_first_echo)


def _shape(context: Context) -> None:
    segmentation, alignment = context.segmentation(), context.workspace.read_alignment()
    femur = next(s for s in context.workspace.read_surfaces() if s.structure is Structure.FEMUR)
    cartilage = None
    if Structure.FEMORAL_CARTILAGE in segmentation.boxes:
        cartilage = bone_surface(segmentation, Structure.FEMORAL_CARTILAGE)
    models = chosen_shapes(context.options.nsm_type, context.resources)
    fits = (
        fit_shape(model, femur, cartilage, alignment, _part(context.report, index, len(models)))
        for index, model in enumerate(models)
    )
    context.workspace.write_shapes(tuple(fits))


def _part(report: Report, index: int, count: int) -> Report:
    """Progress of one of several alike as progress of the step."""
    return lambda done: report((index + done) / count)


def _no_shape(context: Context) -> str | None:
    if not context.options.perform_nsm:
        return "not asked for"
    kind = context.options.nsm_type
    return None if chosen_shapes(kind, context.resources) else why_none(kind, context.resources)


def _shape_identity(context: Context) -> object:
    if not context.options.perform_nsm:
        return None
    return [(model.name, model.sha256) for model in chosen_shapes(context.options.nsm_type, context.resources)]


def _measure(context: Context) -> None:
    workspace = context.workspace
    findings = Findings(
        segmentation=context.segmentation(),
        subregions=workspace.read_subregions(),
        thickness=workspace.read_thickness(),
        t2_rows=workspace.read_measurements("t2_rows") if workspace.has("t2_rows") else (),
    )
    workspace.write_measurements("measurements", measure_knee(findings))


def _quality(context: Context) -> None:
    stated = context.workspace.read_json("scan")["side"] if context.workspace.has("scan") else None
    segmentation = context.segmentation()
    flags = quality_flags(
        segmentation,
        context.workspace.read_alignment(),
        context.workspace.read_measurements("measurements"),
        stated_side=stated or context.options.chosen_side,
    )
    if context.request.labels is None:
        flags += model_flags(segmentation, model(context.options.segmentation_model, context.resources).card)
    context.workspace.write_flags(flags)


def _report(context: Context) -> None:
    workspace = context.workspace
    result = AnalysisResult(
        input_name=context.request.input_name,
        scan=context.scan(),
        segmentation=context.segmentation(),
        subregions=workspace.read_subregions(),
        alignment=workspace.read_alignment(),
        thickness=workspace.read_thickness(),
        t2=workspace.read_t2() if workspace.has("t2") else None,
        shapes=workspace.read_shapes() if workspace.has("shape") else (),
        measurements=workspace.read_measurements("measurements"),
        flags=workspace.read_flags(),
        warnings=context.warnings(),
        steps=context.steps,
        provenance=Provenance(
            input_sha256=context.input_sha256,
            options=context.options.to_dict(),
            model=context.model,
            shape_models=context.shape_models(),
            packages=collect_packages(),
            host=collect_host(),
            seconds={s.name: round(s.seconds, 3) for s in context.steps if s.seconds is not None},
        ),
    )
    deliver(result, workspace)


def _model_identity(context: Context) -> object:
    return context.model["identity"]


def _limits_identity(context: Context) -> object:
    return {key: context.model.get(key) for key in ("source", "confidence_flag", "thick_slices")}


def _report_identity(context: Context) -> object:
    states = [(s.name, s.state, s.reason) for s in context.steps if s.name != "report"]
    return context.request.input_name, context.options.to_dict(), states


STEPS: Final = (
    Step(
        name="read_scan",
        title="Read the scan",
        run=_read,
        produces=("scan",),
        uses=("side", "series"),
        applies=_no_scan,
        share=4,
    ),
    Step(
        name="segment",
        title="Outline bones and cartilage",
        run=_segment,
        needs=("scan",),
        produces=("raw_segmentation",),
        identity=_model_identity,
        share=60,
    ),
    Step(
        name="surfaces",
        title="Build bone surfaces",
        run=_surfaces,
        needs=("raw_segmentation",),
        produces=("surfaces",),
        share=4,
    ),
    Step(
        name="align",
        title="Find side and compartments",
        run=_align,
        needs=("raw_segmentation", "surfaces"),
        produces=("alignment", "segmentation"),
        share=3,
    ),
    Step(
        name="thickness",
        title="Measure cartilage thickness",
        run=_thickness,
        needs=("segmentation", "alignment", "surfaces"),
        produces=("thickness",),
        uses=("cartilage_smoothing",),
        share=6,
    ),
    Step(
        name="t2",
        title="Fit T2",
        run=_t2,
        needs=("scan", "segmentation", "thickness"),
        produces=("t2", "t2_rows"),
        uses=("skip_first_echo",),
        required=False,
        applies=_no_t2,
        share=4,
    ),
    Step(
        name="shape",
        title="Fit the shape model",
        run=_shape,
        needs=("segmentation", "alignment", "surfaces"),
        produces=("shape",),
        uses=("perform_nsm", "nsm_type"),
        identity=_shape_identity,
        required=False,
        applies=_no_shape,
        share=1,
    ),
    Step(
        name="measure",
        title="Summarise by region",
        run=_measure,
        needs=("segmentation", "thickness", "t2_rows"),
        produces=("measurements",),
        share=1,
    ),
    Step(
        name="quality",
        title="Check quality",
        run=_quality,
        needs=("scan", "segmentation", "alignment", "measurements"),
        produces=("quality",),
        uses=("side",),
        identity=_limits_identity,
        share=1,
    ),
    Step(
        name="report",
        title="Write report and results",
        run=_report,
        needs=("scan", "segmentation", "thickness", "t2", "shape", "measurements", "quality"),
        produces=("report",),
        identity=_report_identity,
        share=15,
    ),
)
"""The order of the analysis."""
