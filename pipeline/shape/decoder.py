"""A triplanar neural shape model: (latent, point) -> signed distance, negative inside, in the model's units.

The architecture is that of the NSM library (Gatti et al., "ShapeMed-Knee", medRxiv 2024.05.06.24306965): planes of
features decoded from the latent vector, sampled at the projections of a point, and a small network from features and
point to one distance per surface. Own implementation in numpy; tests/pipeline/shape/test_parity.py compares
the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.shape.checkpoint import Tensors
from pipeline.shape.planes import Array, PlaneDecoder
from pipeline.shape.settings import NetworkSettings

PLANE_AXES: Final = ((0, 2), (1, 2), (0, 1))
"""The point axes along the columns and rows of each plane, in the order of the planes: xz, yz, xy."""

EDGE: Final = 10e-6
"""Added to 1 + padding, so that a point on the edge stays inside the plane."""

LEAK: Final = 0.01
"""Slope of leaky_relu below zero."""

POINTS_AT_ONCE: Final = 1 << 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Query:
    """Points (n, 3) float32 with the matrix (n, 3 * pixels of a plane) that samples the planes there."""

    points: Array
    sampling: sparse.csr_matrix


class ShapeDecoder:
    """A network with its weights. Points and distances are in the model's units: a shape fits into the unit sphere."""

    def __init__(self, settings: NetworkSettings, weights: Tensors) -> None:
        """Raises KeyError if a tensor is missing, ValueError if a shape does not match the settings."""
        self.settings = settings
        self.plane_decoder = PlaneDecoder(settings, weights)
        widths = (settings.features + 3, *settings.hidden, settings.objects)
        self.layers = [
            _linear(weights, f"sdf_decoder.layers.{k}", widths[k], widths[k + 1]) for k in range(len(widths) - 1)
        ]

    def prepare(self, points: NDArray[np.floating]) -> Query:
        """Values that depend only on the points, for repeated evaluation."""
        points = np.ascontiguousarray(points, dtype=np.float32)
        width = self.settings.width
        place = np.clip(points / np.float32(1 + self.settings.padding + EDGE), -1, 1)
        place = (place + 1) * np.float32((width - 1) / 2)
        columns, values = [], []
        for number, (across, down) in enumerate(PLANE_AXES):
            low = np.minimum(np.floor(place[:, (across, down)]).astype(np.int64), max(width - 2, 0))
            share = place[:, (across, down)] - low.astype(np.float32)
            for right in (0, 1):
                for below in (0, 1):
                    x, y = np.minimum(low[:, 0] + right, width - 1), np.minimum(low[:, 1] + below, width - 1)
                    weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - below - share[:, 1])
                    columns.append((number * width + y) * width + x)
                    values.append(weight)
        shape = (len(points), 3 * width * width)
        rows = np.arange(len(points) + 1) * len(columns)
        indices, data = np.stack(columns, axis=1).reshape(-1), np.stack(values, axis=1).reshape(-1)
        return Query(points=points, sampling=sparse.csr_matrix((data, indices, rows), shape=shape))

    def distances(self, latent: NDArray[np.floating], points: NDArray[np.floating]) -> Array:
        """Latent (d,), points (n, 3) -> signed distances (n, surfaces): bone, then cartilage."""
        planes, _ = self.plane_decoder.planes(np.asarray(latent, dtype=np.float32))
        pixels = self._pixels(planes)
        parts = [
            self._point_network(self.prepare(points[start : start + POINTS_AT_ONCE]), pixels)[0]
            for start in range(0, len(points), POINTS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.settings.objects), dtype=np.float32)

    def distances_and_gradient(self, latent: NDArray[np.generic], query: Query) -> tuple[Array, Pullback]:
        """Signed distances (n, surfaces), and the function that propagates d loss / d distances back to the latent."""
        planes, trace = self.plane_decoder.planes(np.asarray(latent, dtype=np.float32))
        distances, steps = self._point_network(query, self._pixels(planes))
        return distances, Pullback(decoder=self, query=query, steps=steps, trace=trace, planes=planes)

    def _pixels(self, planes: Array) -> Array:
        """(3 c, w, w) -> (3 w w, c): the features of every pixel, plane after plane."""
        channels = len(planes) // 3
        return np.ascontiguousarray(planes.reshape(3, channels, -1).swapaxes(1, 2)).reshape(-1, channels)

    def _point_network(self, query: Query, pixels: Array) -> tuple[Array, list[Array]]:
        features = np.asarray(query.sampling @ pixels, dtype=np.float32)
        coarse = features[:, :1] if self.settings.coarse_distance else None
        inputs = features[:, 1:] if self.settings.coarse_distance else features
        x = np.concatenate([inputs, query.points], axis=1)
        steps = []
        for number, (matrix, bias) in enumerate(self.layers):
            x = x @ matrix.T
            x += bias
            last = number == len(self.layers) - 1
            x = _activate(self.settings.final_activation if last else self.settings.activation, x)
            steps.append(x)
        return (x if coarse is None else x + coarse), steps


@dataclass(frozen=True, kw_only=True, eq=False)
class Pullback:
    """Backpropagates a gradient from distances to the latent vector, for one evaluation."""

    decoder: ShapeDecoder
    query: Query
    steps: list[Array]
    trace: list[object]
    planes: Array

    def __call__(self, slope: NDArray[np.generic]) -> Array:
        """D loss / d distances (n, surfaces) -> d loss / d latent (d,)."""
        settings = self.decoder.settings
        x = np.asarray(slope, dtype=np.float32)
        coarse = x.sum(axis=1, keepdims=True)
        for number in reversed(range(len(self.decoder.layers))):
            last = number == len(self.decoder.layers) - 1
            change = _slope(settings.final_activation if last else settings.activation, self.steps[number])
            change *= x
            x = change @ self.decoder.layers[number][0]
        features = x[:, : settings.features]
        if settings.coarse_distance:
            features = np.concatenate([coarse, features], axis=1)
        pixels = np.asarray(self.query.sampling.T @ features, dtype=np.float32)
        channels = pixels.shape[1]
        planes = pixels.reshape(3, -1, channels).swapaxes(1, 2).reshape(self.planes.shape)
        return self.decoder.plane_decoder.gradient(np.ascontiguousarray(planes), self.trace)


def _linear(weights: Tensors, name: str, incoming: int, outgoing: int) -> tuple[Array, Array]:
    """Matrix (out, in) and bias (out,); weights stored as direction and length are combined."""
    split = {
        f"{name}.weight_g": f"{name}.weight_v",
        f"{name}.parametrizations.weight.original0": f"{name}.parametrizations.weight.original1",
    }
    length = next((key for key in split if key in weights), None)
    if length is None:
        matrix = weights[f"{name}.weight"].astype(np.float32)
    else:
        direction = weights[split[length]].astype(np.float32)
        matrix = direction * (weights[length] / np.linalg.norm(direction, axis=1, keepdims=True))
    bias = weights[f"{name}.bias"].astype(np.float32)
    if matrix.shape != (outgoing, incoming) or bias.shape != (outgoing,):
        raise ValueError(f"{name} has the shape {matrix.shape}; expected {(outgoing, incoming)}")
    return np.ascontiguousarray(matrix, dtype=np.float32), bias


def _activate(kind: str, x: Array) -> Array:
    """May overwrite x, which saves a third of the time."""
    if kind == "relu":
        return np.maximum(x, np.float32(0), out=x)
    if kind == "leaky_relu":
        return np.where(x > 0, x, np.float32(LEAK) * x)
    return np.tanh(x, out=x) if kind == "tanh" else x


def _slope(kind: str, y: Array) -> Array:
    """The derivative of an activation, computed from its value."""
    if kind == "relu":
        return (y > 0).astype(np.float32)
    if kind == "leaky_relu":
        return np.where(y > 0, np.float32(1), np.float32(LEAK))
    return 1 - y * y if kind == "tanh" else np.ones_like(y)
