"""Fits the latent vector of an installed model to the patient's surfaces.

Uses points on the surfaces (where distances should be 0) and slightly off them along the normals. Limited-memory BFGS
from the mean shape over all points, without random sampling, so the result is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray
from pipeline.registration import chosen_rows
from pipeline.shape.decoder import ShapeDecoder
from pipeline.shape.placement import Placement
from pipeline.types import Surface

POINTS: Final = 1500
"""Number of evenly spaced points per surface; each is used at three offsets."""

OFFSETS_MM: Final = (1.0, 0.4)
"""Offsets of the other two of the three, for bone and for cartilage (a plate of 1 to 3 mm)."""

QUADRATIC_BELOW: Final = 0.004
"""In the model's units (0.2 mm): the loss is quadratic for smaller errors and linear for larger ones."""

REGULARISATION: Final = 1e-5
"""Weight of the squared latent length: equivalent to 0.03 mm for the length of published fits (7)."""

MOST_EVALUATIONS: Final = 25
"""Maximum number of evaluations of network and gradient, 0.6 s each for the published size. With 150, a model trained
on 12 femora reached the same distance to other femora within 0.02 mm, with vectors 1 to 2 % longer."""


def fit_latent(
    decoder: ShapeDecoder,
    placement: Placement,
    targets: tuple[Surface, ...],
    kept: tuple[NDArray[np.bool_], ...],
    on_progress: Callable[[float], None] = lambda _: None,
) -> FloatArray:
    """(d,) float64: the shape closest to the kept vertices of the surfaces (LPS mm), in the order of the network's
    columns. Raises FitDiverged if the loss is not finite.
    """
    from scipy.optimize import minimize  # only installed models need it: 0.06 s of the start

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
        root = np.sqrt(error**2 + QUADRATIC_BELOW**2)
        slope = np.zeros(found.shape)
        slope[rows, which] = share * error / root
        value = float((share * (root - QUADRATIC_BELOW)).sum() + REGULARISATION * latent @ latent)
        return value, back(slope).astype(np.float64) + 2 * REGULARISATION * latent

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
