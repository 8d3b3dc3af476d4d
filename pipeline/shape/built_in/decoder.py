"""(latent, point) -> signed distances to a femur and to its cartilage, mm, negative inside.

The latent vector combines smooth fields on a lattice around the mean femur: a linear prediction of the distance to the
bone, one of the cartilage thickness, and additional features. A small network corrects both predictions, using features
and position. Cartilage is the layer on the bone up to its thickness: max(-bone, bone - thickness).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.grid import FloatArray
from pipeline.shape.built_in.lattice import Lattice

Array = NDArray[np.float32]

REACH_MM: Final = 8.0
"""Beyond this distance from the bone the correction is zero."""

FEATURE_MM: Final = 4.0
PLACE_MM: Final = 50.0
"""Scales of the network's input."""

WAVES: Final = (1.0, 2.0, 4.0)
"""Number of half waves of the position within PLACE_MM in the network's input."""

NEAR_MM: Final = (-2.5, 6.5)
"""On a grid, the network is evaluated only between these predicted distances, which include both surfaces."""

POINTS_AT_ONCE: Final = 1 << 15


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldDecoder:
    """Points are in mm in the model's frame: a right knee, upright, of the reference knee's size.

    fine, mean           the first two features of the mean, (nodes, 2) float32
    coarse, rows, modes  effect of a latent number on the features: modes (features, kept nodes, d) float32 at the nodes
                         `rows` of the coarse lattice, 0 elsewhere
    layers               matrices (in, out) and biases (out,) float32 of the network, tanh between them
    """

    fine: Lattice
    mean: Array
    coarse: Lattice
    rows: NDArray[np.int64]
    modes: Array
    layers: tuple[tuple[Array, Array], ...]

    @property
    def latent_size(self) -> int:
        return int(self.modes.shape[2])

    @property
    def features(self) -> int:
        return len(self.modes)

    @cached_property
    def _column(self) -> NDArray[np.int64]:
        """Node of the coarse lattice -> its row in `modes`; the last row, of zeros, for nodes that are not kept."""
        column = np.full(self.coarse.size, len(self.rows))
        column[self.rows] = np.arange(len(self.rows))
        return column

    def sampling(self, points_mm: FloatArray) -> Sampling:
        """Values that depend only on the points, for repeated evaluation."""
        index, weight = self.coarse.around(points_mm)
        starts = np.arange(len(points_mm) + 1) * 27
        shape = (len(points_mm), len(self.rows) + 1)
        near = sparse.csr_matrix((weight.reshape(-1), self._column[index].reshape(-1), starts), shape=shape)
        mean = np.zeros((len(points_mm), self.features), dtype=np.float32)
        mean[:, :2] = self.fine.sampling(points_mm) @ self.mean
        return Sampling(mean=mean, modes=near[:, :-1].tocsr(), place=_place(points_mm))

    def features_at(self, latent: FloatArray, sampling: Sampling) -> Array:
        """(n, features)."""
        mixed = self.modes @ latent.astype(np.float32)
        return np.asarray(sampling.mean + sampling.modes @ mixed.T, dtype=np.float32)

    def answer(self, features: Array, place: Array) -> Array:
        """Features (n, c), encoded places (n, p) -> distance to the bone and thickness of the cartilage, (n, 2) mm."""
        x = np.concatenate([features / np.float32(FEATURE_MM), place], axis=1)
        for matrix, bias in self.layers[:-1]:
            x = np.tanh(x @ matrix + bias)
        matrix, bias = self.layers[-1]
        return np.asarray(features[:, :2] + _gate(features)[:, None] * (x @ matrix + bias), dtype=np.float32)

    def answer_and_slope(self, features: Array, place: Array) -> tuple[Array, Array]:
        """The result (n, 2), and its derivative with respect to the features (n, 2, c)."""
        c = self.features
        x = np.concatenate([features / np.float32(FEATURE_MM), place], axis=1)
        steps = []
        for matrix, bias in self.layers[:-1]:
            x = np.tanh(x @ matrix + bias)
            steps.append(x)
        matrix, bias = self.layers[-1]
        correction = x @ matrix + bias
        gate, gate_slope = _gate(features), _gate_slope(features)
        slope = np.empty((len(features), 2, c), dtype=np.float32)
        for output in range(2):
            back = np.broadcast_to(matrix[:, output], x.shape)
            for number in reversed(range(len(steps))):
                back = (back * (1 - steps[number] ** 2)) @ self.layers[number][0].T
            slope[:, output] = gate[:, None] * back[:, :c] / np.float32(FEATURE_MM)
            slope[:, output, 0] += gate_slope * correction[:, output]
            slope[:, output, output] += 1
        return np.asarray(features[:, :2] + gate[:, None] * correction, dtype=np.float32), slope

    def on_axes(self, latent: FloatArray, axes: tuple[FloatArray, ...]) -> tuple[Array, Array]:
        """Distance to the bone and thickness of the cartilage on the grid of three axes, (x, y, z) mm each."""
        mixed = np.zeros((self.features, self.coarse.size), dtype=np.float32)
        mixed[:, self.rows] = self.modes @ latent.astype(np.float32)
        fields = np.stack([self.coarse.on_axes(values, axes) for values in mixed], axis=-1)
        for number in range(2):
            fields[..., number] += self.fine.on_axes(np.ascontiguousarray(self.mean[:, number]), axes)
        flat = fields.reshape(-1, self.features)
        result = flat[:, :2].copy()
        near = np.flatnonzero((flat[:, 0] > NEAR_MM[0]) & (flat[:, 0] < NEAR_MM[1]))
        x, y, z = np.unravel_index(near, fields.shape[:3])
        for start in range(0, len(near), POINTS_AT_ONCE):
            part = slice(start, start + POINTS_AT_ONCE)
            points = np.stack([axes[0][x[part]], axes[1][y[part]], axes[2][z[part]]], axis=1)
            result[near[part]] = self.answer(flat[near[part]], _place(points))
        bone, thickness = result.T.reshape(2, *fields.shape[:3])
        return bone, thickness


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampling:
    """Points prepared for the decoder: features of the mean (n, c), weights of the kept nodes (n, k), encoded
    positions.
    """

    mean: Array
    modes: sparse.csr_matrix
    place: Array


def _place(points_mm: FloatArray) -> Array:
    """(n, 3) mm -> (n, 3 + 6 per wave): the position, and sines and cosines of it."""
    place = (points_mm / PLACE_MM).astype(np.float32)
    waves = [function(np.float32(np.pi * wave) * place) for wave in WAVES for function in (np.sin, np.cos)]
    return np.concatenate([place, *waves], axis=1)


def _gate(features: Array) -> Array:
    """(n,): 1 on the bone, 0 from REACH_MM on, from the predicted distance."""
    inner = np.maximum(1 - np.square(features[:, 0] / np.float32(REACH_MM)), 0)
    return np.asarray(np.square(inner), dtype=np.float32)


def _gate_slope(features: Array) -> Array:
    """(n,): its derivative with respect to that distance."""
    inner = np.maximum(1 - np.square(features[:, 0] / np.float32(REACH_MM)), 0)
    return np.asarray(-4 * inner * features[:, 0] / np.float32(REACH_MM**2), dtype=np.float32)
