"""The decoder in torch: same formula as pipeline/shape/built_in/decoder.py, which uses its parameters."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.shape.built_in.decoder import FEATURE_MM, PLACE_MM, REACH_MM, WAVES, FieldDecoder
from pipeline.shape.built_in.lattice import Lattice
from training.shape_model.subspace import Start

EXTRA_FEATURES = 2
"""Input features in addition to the two linear predictions."""

HIDDEN = (64, 64)


class Network(nn.Module):
    """Mean fields, modes and the correction network; the latent codes of the training shapes are stored separately."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.fine, self.coarse, self.rows = start.fine, start.coarse, start.rows
        _, kept, latent = start.modes.shape
        self.mean = nn.Parameter(torch.tensor(start.mean, dtype=torch.float32))
        extra = 1e-2 * torch.randn(EXTRA_FEATURES, kept, latent)
        self.modes = nn.Parameter(torch.cat([torch.tensor(start.modes, dtype=torch.float32), extra]))
        column = torch.full((start.coarse.size,), kept, dtype=torch.long)
        column[torch.from_numpy(start.rows)] = torch.arange(kept)
        self.register_buffer("column", column)
        widths = (2 + EXTRA_FEATURES + 3 + 6 * len(WAVES), *HIDDEN)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.last = nn.Linear(widths[-1], 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, points: Tensor, latent: Tensor) -> Tensor:
        """(n, 3) mm, (d,) -> (n, 2) mm: signed distances to bone and cartilage."""
        place = points.numpy().astype(np.float64)
        mixed = nn.functional.pad((self.modes @ latent).T, (0, 0, 0, 1))
        features = _sampled(self.coarse, place, mixed, self.column)
        mean = _sampled(self.fine, place, self.mean)
        features = torch.cat([features[:, :2] + mean, features[:, 2:]], dim=1)
        x = torch.cat([features / FEATURE_MM, encoded(points)], dim=1)
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        gate = (1 - (features[:, :1] / REACH_MM) ** 2).clamp(min=0) ** 2
        bone, thickness = (features[:, :2] + gate * self.last(x)).unbind(1)
        return torch.stack([bone, torch.maximum(-bone, bone - thickness)], dim=1)

    def decoder(self) -> FieldDecoder:
        """The numpy decoder with the current parameters."""
        layers = [*self.hidden, self.last]
        return FieldDecoder(
            fine=self.fine,
            mean=_array(self.mean),
            coarse=self.coarse,
            rows=self.rows,
            modes=_array(self.modes),
            layers=tuple((_array(layer.weight.T), _array(layer.bias)) for layer in layers),
        )


def encoded(points: Tensor) -> Tensor:
    """(n, 3) mm -> (n, 3 + 6 per wave)."""
    place = points / PLACE_MM
    waves = [function(np.pi * wave * place) for wave in WAVES for function in (torch.sin, torch.cos)]
    return torch.cat([place, *waves], dim=1)


def _sampled(lattice: Lattice, points: np.ndarray, values: Tensor, column: Tensor | None = None) -> Tensor:
    """Node values (k, c) -> (n, c) at the points."""
    index, weight = lattice.around(points)
    where = torch.from_numpy(index).long()
    rows = where if column is None else column[where]
    weights = torch.from_numpy(weight)
    return nn.functional.embedding_bag(rows, values, mode="sum", per_sample_weights=weights)


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
