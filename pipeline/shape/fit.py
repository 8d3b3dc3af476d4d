"""Fit a shape model to a femur, with its cartilage where the model has it.

The latent vector is the one whose signed distances agree best with points on the patient's surfaces (where they should
be 0) and a little off them, along the normals. Limited-memory BFGS from the mean shape, over all points at once: no
sampling, no random numbers, the same vector every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import chosen_rows, scale_of
from pipeline.shape.built_in import fit as built_in_fit
from pipeline.shape.built_in import reconstruction as built_in_reconstruction
from pipeline.shape.built_in.decoder import PLACE_MM, FieldDecoder
from pipeline.shape.built_in.model import BuiltInShape, load_built_in
from pipeline.shape.decoder import ShapeDecoder
from pipeline.shape.installed import InstalledShape, load
from pipeline.shape.placement import Placement, below_cut, place
from pipeline.shape.reconstruction import distances_to, surfaces_of
from pipeline.types import Alignment, ShapeFit, Surface

POINTS: Final = 1500
"""On each surface, spread evenly; each counts thrice."""

OFFSETS_MM: Final = (1.0, 0.4)
"""How far off the bone, and off the cartilage (a plate of 1 to 3 mm), the other two of the three lie."""

SHARP: Final = 0.004
"""In the model's units (0.2 mm): below it the loss is quadratic in the error, above it grows as the error does."""

PULL: Final = 1e-5
"""Weight of the latent's squared length: as much as 0.03 mm for a vector as long as those of published fits (7)."""

FAR_MM: Final = 2.0
"""A reconstruction whose bone lies farther off than this on average is not the patient's: it gets no score."""

MEASURED: Final = 20_000
"""Vertices of a surface, about, from which the distance to another is taken: every n-th as they lie in the grid."""

MOST_EVALUATIONS: Final = 25
"""Of the network with its gradient, 0.6 s each for one of the published size. With 150 instead, a model trained on 12
femurs came as close to other ones, to 0.02 mm, by vectors that were 1 to 2 % longer."""


def fit_shape(
    model: InstalledShape | BuiltInShape,
    bone: Surface,
    cartilage: Surface | None,
    alignment: Alignment,
    on_progress: Callable[[float], None] = lambda _: None,
) -> ShapeFit:
    """One shape model on one femur (LPS mm); `cartilage` for models of bone and cartilage.

    Raises FitDiverged where no plausible shape is found, ModelError, WeightsMissing or WeightsCorrupt.
    """
    if model.kind == "bone_and_cart" and cartilage is None:
        raise FitDiverged(f"Shape model {model.name} needs femoral cartilage; none was found.")
    targets = (bone,) if cartilage is None or model.kind == "bone_only" else (bone, cartilage)
    if isinstance(model, BuiltInShape):
        latent, placement, made = fit_built_in(load_built_in(model), targets, alignment, on_progress)
    else:
        latent, placement, made = _fit_installed(model, targets, alignment, on_progress)
    on_progress(0.9)
    distances = distances_apart(targets, made, alignment)
    score = None if isinstance(model, BuiltInShape) else model.score
    on_progress(1.0)
    return ShapeFit(
        model=model.name,
        kind=model.kind,
        sha256=model.sha256,
        latent=latent,
        icp_transform=placement.matrix,
        center=placement.center,
        scale=placement.scale,
        reconstructions=made,
        assd_mm=distances,
        bscore=score.score(latent) if score is not None and distances[0] < FAR_MM else None,
    )


Fitted = tuple[FloatArray, Placement, tuple[Surface, ...]]
"""Latent vector, where the femur lies in the model's coordinates, reconstructed surfaces in LPS mm."""


def _fit_installed(
    model: InstalledShape, targets: tuple[Surface, ...], alignment: Alignment, on_progress: Callable[[float], None]
) -> Fitted:
    decoder: ShapeDecoder = load(model)
    kept = _below(targets, alignment)
    mean = surfaces_of(decoder, np.zeros(decoder.settings.latent_size), 1.0, halvings=1)[0]
    parts = [(s.points_mm[keep], s.vertex_areas_mm2[keep]) for s, keep in zip(targets, kept, strict=True)]
    counted = tuple(parts if decoder.settings.scale_jointly else parts[:1])
    placement = place(parts[0][0], mean, alignment, counted)
    on_progress(0.1)
    latent = fit_latent(decoder, placement, targets, kept, lambda done: on_progress(0.1 + 0.75 * done))
    made = surfaces_of(decoder, latent, placement.unit_mm)
    return latent, placement, tuple(_in_patient(item, placement) for item in made)


def fit_built_in(
    decoder: FieldDecoder,
    targets: tuple[Surface, ...],
    alignment: Alignment,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Fitted:
    """The built-in kind of model on a femur and, where it is among the targets, its cartilage (LPS mm)."""
    cartilage = targets[1] if len(targets) > 1 else None
    points = built_in_fit.targets_of(targets[0], below_cut(targets[0], alignment), cartilage)
    matrix, latent = built_in_fit.fit(decoder, points, alignment.matrix, lambda done: on_progress(0.6 * done))
    placement = Placement(matrix=matrix, center=np.zeros(3), scale=PLACE_MM)
    made = built_in_reconstruction.surfaces_of(decoder, latent, 1 / scale_of(matrix), cartilage=cartilage is not None)
    return latent, placement, tuple(_in_patient(item, placement) for item in made)


def distances_apart(targets: tuple[Surface, ...], made: tuple[Surface, ...], alignment: Alignment) -> tuple[float, ...]:
    """Of each surface the mean distance in mm to its reconstruction and back, averaged; bone below the cut."""
    return tuple(
        (_mean_distance(a, b, keep) + _mean_distance(b, a, other)) / 2
        for a, b, keep, other in zip(targets, made, _below(targets, alignment), _below(made, alignment), strict=True)
    )


def _below(surfaces: tuple[Surface, ...], alignment: Alignment) -> tuple[NDArray[np.bool_], ...]:
    """Which vertices count: of the bone those below the cut, of cartilage all."""
    return (below_cut(surfaces[0], alignment), *(np.ones(len(item.points_mm), dtype=bool) for item in surfaces[1:]))


def fit_latent(
    decoder: ShapeDecoder,
    placement: Placement,
    targets: tuple[Surface, ...],
    kept: tuple[NDArray[np.bool_], ...],
    on_progress: Callable[[float], None] = lambda _: None,
) -> FloatArray:
    """(d,) float64: the shape closest to the kept vertices of the surfaces (LPS mm), column by column of the network.

    Raises FitDiverged where the loss is not finite.
    """
    points, distances, columns = [], [], []
    for column, (surface, keep) in enumerate(zip(targets, kept, strict=True)):
        chosen = np.flatnonzero(keep)
        chosen = chosen[np.unique(chosen_rows(surface.points_mm[chosen], POINTS))]
        for off in (0.0, -OFFSETS_MM[column], OFFSETS_MM[column]):
            points.append(placement.to_model(surface.points_mm[chosen] + off * surface.normals[chosen]))
            distances.append(np.full(len(chosen), off / placement.unit_mm))
            columns.append(np.full(len(chosen), column))
    query = decoder.prepare(np.concatenate(points))
    target, which = np.concatenate(distances), np.concatenate(columns)
    rows = np.arange(len(target))
    share = 1 / np.bincount(which)[which]
    evaluations = 0

    def loss(latent: FloatArray) -> tuple[float, FloatArray]:
        nonlocal evaluations
        evaluations += 1
        on_progress(min(1.0, evaluations / MOST_EVALUATIONS))
        found, back = decoder.distances_and_gradient(latent, query)
        error = found[rows, which].astype(np.float64) - target
        root = np.sqrt(error**2 + SHARP**2)
        slope = np.zeros(found.shape)
        slope[rows, which] = share * error / root
        value = float((share * (root - SHARP)).sum() + PULL * latent @ latent)
        return value, back(slope).astype(np.float64) + 2 * PULL * latent

    start = np.zeros(decoder.settings.latent_size)
    answer = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxfun": MOST_EVALUATIONS, "maxiter": MOST_EVALUATIONS, "maxcor": 20, "ftol": 1e-7, "gtol": 1e-8},
    )
    if not np.isfinite(answer.fun) or not np.isfinite(answer.x).all():
        raise FitDiverged("The fit of the shape model ended with a value that is not finite.")
    latent: FloatArray = np.asarray(answer.x, dtype=np.float64)
    return latent


def _in_patient(surface: Surface, placement: Placement) -> Surface:
    """A surface of `surfaces_of` (the model's axes, mm) in LPS mm; faces stay outward where the knee is a left one."""
    turn = placement.turn
    faces = surface.faces if np.linalg.det(turn) > 0 else np.ascontiguousarray(surface.faces[:, ::-1])
    return Surface(
        points_mm=placement.to_mm(surface.points_mm / placement.unit_mm),
        faces=faces,
        normals=surface.normals @ turn,
        vertex_areas_mm2=surface.vertex_areas_mm2,
        structure=surface.structure,
    )


def _mean_distance(source: Surface, target: Surface, keep: NDArray[np.bool_]) -> float:
    """Mm from the kept vertices of one surface to another surface, weighted by vertex area."""
    chosen = np.flatnonzero(keep)
    chosen = chosen[:: max(1, len(chosen) // MEASURED)]
    far = distances_to(target, source.points_mm[chosen])
    return float(np.average(far, weights=source.vertex_areas_mm2[chosen]))
