"""Fit a shape model, built-in or installed, to a femur, with its cartilage if the model includes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import scale_of
from pipeline.shape.built_in import fit as built_in_fit
from pipeline.shape.built_in import reconstruction as built_in_reconstruction
from pipeline.shape.built_in.decoder import PLACE_MM, FieldDecoder
from pipeline.shape.built_in.model import BuiltInShape, load_built_in
from pipeline.shape.decoder import ShapeDecoder
from pipeline.shape.installed import InstalledShape, load
from pipeline.shape.latent import fit_latent
from pipeline.shape.placement import Placement, below_cut, place
from pipeline.shape.reconstruction import distances_to, surfaces_of
from pipeline.types import Alignment, ShapeFit, Surface

FAR_MM: Final = 2.0
"""Maximum mean bone distance of a reconstruction; above it, no score is computed."""

MEASURED: Final = 20_000
"""Approximate number of vertices (every n-th in grid order) used for the distance between surfaces."""


def fit_shapes(
    models: tuple[InstalledShape | BuiltInShape, ...],
    bone: Surface,
    cartilage: Surface | None,
    alignment: Alignment,
    on_progress: Callable[[float], None],
) -> tuple[ShapeFit, ...]:
    """Each model in turn; see `fit_shape`. on_progress: the completed share of all of them, 0 to 1."""

    def part(index: int) -> Callable[[float], None]:
        return lambda done: on_progress((index + done) / len(models))

    return tuple(fit_shape(model, bone, cartilage, alignment, part(index)) for index, model in enumerate(models))


def fit_warnings(fits: tuple[ShapeFit, ...]) -> tuple[str, ...]:
    """One for each reconstruction that is too far from the patient's femur."""
    return tuple(
        f"The shape that {fit.model} makes of the femur is {fit.assd_mm[0]:.1f} mm off: no score."
        for fit in fits
        if fit.assd_mm[0] >= FAR_MM
    )


def fit_shape(
    model: InstalledShape | BuiltInShape,
    bone: Surface,
    cartilage: Surface | None,
    alignment: Alignment,
    on_progress: Callable[[float], None] = lambda _: None,
) -> ShapeFit:
    """Fit one shape model to one femur (LPS mm); `cartilage` for models of bone and cartilage.

    Raises FitDiverged if no plausible shape is found, ModelError, WeightsMissing or WeightsCorrupt.
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
"""Latent vector, placement of the femur in the model's coordinates, reconstructed surfaces in LPS mm."""


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
    """Fit a built-in model to a femur and, if included in the targets, its cartilage (LPS mm)."""
    cartilage = targets[1] if len(targets) > 1 else None
    points = built_in_fit.targets_of(targets[0], below_cut(targets[0], alignment), cartilage)
    matrix, latent = built_in_fit.fit(decoder, points, alignment.matrix, lambda done: on_progress(0.6 * done))
    placement = Placement(matrix=matrix, center=np.zeros(3), scale=PLACE_MM)
    made = built_in_reconstruction.surfaces_of(decoder, latent, 1 / scale_of(matrix), cartilage=cartilage is not None)
    return latent, placement, tuple(_in_patient(item, placement) for item in made)


def distances_apart(targets: tuple[Surface, ...], made: tuple[Surface, ...], alignment: Alignment) -> tuple[float, ...]:
    """Per surface, the mean of the distances (mm) to its reconstruction and back; bone only below the cut."""
    return tuple(
        (_mean_distance(a, b, keep) + _mean_distance(b, a, other)) / 2
        for a, b, keep, other in zip(targets, made, _below(targets, alignment), _below(made, alignment), strict=True)
    )


def _below(surfaces: tuple[Surface, ...], alignment: Alignment) -> tuple[NDArray[np.bool_], ...]:
    """Which vertices are used: of the bone those below the cut, of cartilage all."""
    return (below_cut(surfaces[0], alignment), *(np.ones(len(item.points_mm), dtype=bool) for item in surfaces[1:]))


def _in_patient(surface: Surface, placement: Placement) -> Surface:
    """A surface of `surfaces_of` (the model's axes, mm) in LPS mm; faces are kept outward for left knees."""
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
