"""The steps of the analysis: order, inputs and products.

A step applies the science modules to its inputs and returns its products; run.py loads and stores them. Progress,
provenance, report, command line and pages iterate STEPS, the only list of steps.
"""

from __future__ import annotations

from functools import partial
from typing import Final, TypeVar

from pipeline.alignment import align_knee, reference_bone
from pipeline.anatomy import REGION_SCHEME, SUBREGION_SCHEME, Structure
from pipeline.assembly import analysis_result, detectable_changes, measured_knee, measured_scan
from pipeline.correction import STEP as CORRECT
from pipeline.delivery import make_maps, make_results
from pipeline.flags import settled
from pipeline.measure import Findings, measure_knee
from pipeline.model_flags import model_flags
from pipeline.options import READING_OPTIONS
from pipeline.outlining import (
    correct,
    name_labels,
    outline,
    outlines_of,
    read_labels,
    read_upload,
    why_no_labels,
    why_no_scan,
    why_not_outlined,
)
from pipeline.plate_outline import with_worn_rims
from pipeline.product import Product
from pipeline.products import (
    ALIGNMENT,
    CORRECTED,
    CORRECTION,
    DELIVERY,
    DIVIDED,
    FLAGS,
    GIVEN_SEGMENTATION,
    INPUT_NAME,
    LABEL_MAP,
    MAPS,
    MEASUREMENTS,
    MODEL,
    RAW_SEGMENTATION,
    RECORDS,
    RESOURCES,
    SCAN,
    SCAN_HEADER,
    SEGMENTATION,
    SHAPES,
    SUBREGIONS,
    SURFACES,
    T2,
    T2_ROWS,
    THICKNESS,
    UPLOAD,
    VIEW,
)
from pipeline.quality import quality_flags
from pipeline.regions import split_compartments, subregions, without_menisci
from pipeline.report.page import page_template
from pipeline.segmentation.limits import DECIDING
from pipeline.segmentation.registry import model
from pipeline.shape.fit import fit_shapes
from pipeline.shape.installed import chosen_shapes, why_none
from pipeline.step import ALL_OPTIONS, Inputs, Outputs, Step
from pipeline.subregions import divide_plates
from pipeline.surface import bone_surface, bone_surfaces
from pipeline.t2.layers import measure_t2, relative_depth
from pipeline.t2.maps import fit_t2_map
from pipeline.thickness import thickness_of_bones
from pipeline.types import Surface

T = TypeVar("T")


def _surfaces(inputs: Inputs) -> Outputs:
    # a label map may hold any one bone; where a model finds no femur, the scan shows no knee
    required = (Structure.FEMUR,) if inputs[UPLOAD].labels is None else ()
    return (SURFACES.of(bone_surfaces(outlines_of(inputs), required, inputs.parts)),)


def _align(inputs: Inputs) -> Outputs:
    alignment = inputs.parts.value(
        align_knee, inputs[SURFACES][0]
    )  # in the order of BONES: the femur where there is one
    outlines = outlines_of(inputs)
    segmentation = split_compartments(outlines, alignment)
    if inputs[UPLOAD].labels is None and not inputs.options.menisci and not outlines.edited:
        segmentation = without_menisci(segmentation)
    return ALIGNMENT.of(alignment), SEGMENTATION.of(segmentation), SUBREGIONS.of(subregions(segmentation, alignment))


def _thickness(inputs: Inputs) -> Outputs:
    smoothing = inputs.options.cartilage_smoothing
    segmentation = inputs[SEGMENTATION]
    maps = thickness_of_bones(inputs[SURFACES], segmentation, inputs[SUBREGIONS], smoothing, inputs.parts)
    maps, divided = divide_plates(maps, segmentation, inputs[ALIGNMENT], inputs.options.weight_bearing_share)
    return THICKNESS.of(with_worn_rims(maps, inputs[ALIGNMENT], inputs.parts)), DIVIDED.of(divided)


def _t2(inputs: Inputs) -> Outputs:
    segmentation, scan = inputs[SEGMENTATION], measured_scan(inputs)
    assert scan is not None  # noqa: S101  ensured by `applies`
    t2 = fit_t2_map(
        scan,
        segmentation,
        skip_first_echo=inputs.options.skip_first_echo,
        spin_lock_times_ms=inputs.options.spin_lock_times_ms,
    )
    depth = relative_depth(segmentation)
    rows = measure_t2(t2, inputs[SUBREGIONS], depth, REGION_SCHEME)
    return T2.of(t2), T2_ROWS.of((*rows, *measure_t2(t2, inputs[DIVIDED], depth, SUBREGION_SCHEME)))


def _no_t2(inputs: Inputs) -> str | None:
    header = inputs.get(SCAN_HEADER)
    if header is None:
        return why_no_scan(inputs)
    return header.t2_unavailable(
        skip_first_echo=inputs.options.skip_first_echo, spin_lock_times_ms=inputs.options.spin_lock_times_ms
    )


def _shape(inputs: Inputs) -> Outputs:
    segmentation, femur = inputs[SEGMENTATION], _femur(inputs[SURFACES])
    cartilage = None
    if Structure.FEMORAL_CARTILAGE in segmentation.boxes:
        cartilage = bone_surface(segmentation, Structure.FEMORAL_CARTILAGE)
    models = chosen_shapes(inputs.options.nsm_type, inputs[RESOURCES])
    return (SHAPES.of(fit_shapes(models, femur, cartilage, inputs[ALIGNMENT], inputs.on_fraction)),)


def _femur(surfaces: tuple[Surface, ...]) -> Surface:
    return next(surface for surface in surfaces if surface.structure is Structure.FEMUR)


def _no_shape(inputs: Inputs) -> str | None:
    if not inputs.options.perform_nsm:
        return "not asked for"
    if inputs[ALIGNMENT].structure is not Structure.FEMUR:
        return "the label map holds no femur"
    kind = inputs.options.nsm_type
    return None if chosen_shapes(kind, inputs[RESOURCES]) else why_none(kind, inputs[RESOURCES])


def _shape_identity(inputs: Inputs) -> object:
    if not inputs.options.perform_nsm:
        return None
    return [(model.name, model.sha256) for model in chosen_shapes(inputs.options.nsm_type, inputs[RESOURCES])]


def _measure(inputs: Inputs) -> Outputs:
    findings = Findings(
        segmentation=inputs[SEGMENTATION],
        subregions=inputs[SUBREGIONS],
        thickness=inputs[THICKNESS],
        t2_rows=inputs.get(T2_ROWS) or (),
        alignment=inputs[ALIGNMENT],
        divided=inputs[DIVIDED],
        detectable=detectable_changes(inputs),
        parts=inputs.parts,
    )
    return (MEASUREMENTS.of(measure_knee(findings)),)


def _quality(inputs: Inputs) -> Outputs:
    header, segmentation = inputs.get(SCAN_HEADER), inputs[SEGMENTATION]
    stated = (header.side if header is not None else None) or inputs.options.chosen_side
    rows = inputs[MEASUREMENTS]
    flags = segmentation.flags + quality_flags(
        segmentation, inputs[SUBREGIONS], inputs[ALIGNMENT], rows, stated_side=stated
    )
    if inputs[UPLOAD].labels is None:
        flags += model_flags(segmentation, model(inputs.options.segmentation_model, inputs[RESOURCES]).card)
    return (FLAGS.of(settled(flags, {(row.quantity, row.structure, row.region) for row in rows})),)


def _maps(inputs: Inputs) -> Outputs:
    view_dir, maps_dir = make_maps(measured_knee(inputs), inputs.scratch_dir, inputs.parts)
    return VIEW.of(view_dir), MAPS.of(maps_dir)


def _write_results(inputs: Inputs) -> Outputs:
    result = analysis_result(inputs, {step.name: step.version for step in STEPS})
    return (DELIVERY.of(make_results(result, inputs[MAPS], inputs.scratch_dir)),)


def _model_identity(inputs: Inputs) -> object:
    return inputs[MODEL]["identity"]


def _limits_identity(inputs: Inputs) -> object:
    return {key: inputs[MODEL].get(key) for key in DECIDING}


STEPS: Final = (
    Step(
        name="read_scan",
        title="Read the scan",
        run=read_upload,
        applies=why_no_scan,
        reads=(UPLOAD,),
        produces=(SCAN, SCAN_HEADER),
        options=READING_OPTIONS,
        share=4,
    ),
    Step(
        name="read_labels",
        title="Read the label map",
        run=read_labels,
        applies=why_no_labels,
        reads=(UPLOAD,),
        produces=(LABEL_MAP,),
        share=1,
    ),
    Step(
        name="name_labels",
        title="Name the structures of the label map",
        run=name_labels,
        applies=why_no_labels,
        reads=(UPLOAD, SCAN, LABEL_MAP),
        produces=(GIVEN_SEGMENTATION,),
        options=("numbering", "resample_labels", "knee", "turn"),
        version=3,
        share=1,
    ),
    Step(
        name="segment",
        title="Outline bones and cartilage",
        run=outline,
        applies=why_not_outlined,
        reads=(UPLOAD, SCAN, MODEL, RESOURCES),
        produces=(RAW_SEGMENTATION,),
        options=("segmentation_model", "knee", "turn"),
        version=7,
        identity=_model_identity,
        share=60,
    ),
    Step(
        name=CORRECT,
        title="Read the corrected outlines",
        run=correct,
        belongs=lambda request: request.corrected,
        reads=(CORRECTION,),
        produces=(CORRECTED,),
        share=1,
    ),
    Step(
        name="surfaces",
        title="Build bone surfaces",
        run=_surfaces,
        reads=(UPLOAD, GIVEN_SEGMENTATION, RAW_SEGMENTATION, CORRECTED),
        produces=(SURFACES,),
        share=4,
    ),
    Step(
        name="align",
        title="Find side and compartments",
        run=_align,
        prepare=partial(reference_bone, Structure.FEMUR),
        reads=(UPLOAD, GIVEN_SEGMENTATION, RAW_SEGMENTATION, CORRECTED, SURFACES),
        produces=(ALIGNMENT, SEGMENTATION, SUBREGIONS),
        options=("menisci",),
        version=2,
        share=3,
    ),
    Step(
        name="thickness",
        title="Measure cartilage thickness",
        run=_thickness,
        reads=(SEGMENTATION, SUBREGIONS, SURFACES, ALIGNMENT),
        produces=(THICKNESS, DIVIDED),
        options=("cartilage_smoothing", "weight_bearing"),
        version=4,
        share=6,
    ),
    Step(
        name="t2",
        title="Fit T2 or T1rho",
        run=_t2,
        applies=_no_t2,
        reads=(UPLOAD, SCAN, SCAN_HEADER, SEGMENTATION, SUBREGIONS, DIVIDED),
        produces=(T2, T2_ROWS),
        options=("skip_first_echo", "spin_lock_times_ms", "turn"),
        required=False,
        version=3,
        share=4,
    ),
    Step(
        name="measure",
        title="Summarise by region",
        run=_measure,
        reads=(UPLOAD, SEGMENTATION, SUBREGIONS, DIVIDED, ALIGNMENT, THICKNESS, T2_ROWS, MODEL, CORRECTION),
        produces=(MEASUREMENTS,),
        version=4,
        identity=lambda inputs: detectable_changes(inputs).to_dict(),
        share=1,
    ),
    Step(
        name="quality",
        title="Check quality",
        run=_quality,
        reads=(UPLOAD, SCAN_HEADER, SEGMENTATION, SUBREGIONS, ALIGNMENT, MEASUREMENTS, MODEL, RESOURCES),
        produces=(FLAGS,),
        version=4,
        options=("side", "segmentation_model"),
        identity=_limits_identity,
        share=1,
    ),
    Step(
        name="maps",
        title="Draw maps and pictures",
        run=_maps,
        reads=(SCAN, SEGMENTATION, SUBREGIONS, DIVIDED, ALIGNMENT, THICKNESS, T2, FLAGS),
        produces=(VIEW, MAPS),
        options=("turn",),
        version=6,
        share=11,
    ),
    Step(
        name="shape",
        title="Fit the shape model",
        run=_shape,
        applies=_no_shape,
        reads=(SEGMENTATION, ALIGNMENT, SURFACES, RESOURCES),
        produces=(SHAPES,),
        options=("perform_nsm", "nsm_type"),
        identity=_shape_identity,
        required=False,
        early=True,
        share=1,
    ),
    Step(
        name="report",
        title="Write report and results",
        run=_write_results,
        prepare=page_template,
        reads=(
            *(UPLOAD, INPUT_NAME, RECORDS, MODEL, RESOURCES, CORRECTION),
            *(SCAN, SCAN_HEADER, SEGMENTATION, SUBREGIONS, DIVIDED, ALIGNMENT),
            *(THICKNESS, T2, SHAPES, MEASUREMENTS, FLAGS, MAPS),
        ),
        produces=(DELIVERY,),
        options=ALL_OPTIONS,
        share=4,
    ),
)


def steps_to(product: Product[T]) -> tuple[Step, ...]:
    """The required steps that lead to a product, in the order of STEPS: for a part of an analysis."""
    needed: set[object] = {product}
    chosen = []
    for step in reversed(STEPS):
        if step.required and needed.intersection(step.produces):
            chosen.append(step)
            needed.update(step.reads)
    return tuple(reversed(chosen))
