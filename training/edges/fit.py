"""Fit the network to examples: cross-entropy of the class at every depth of every ray."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.segmentation.edges.network import ANSWERS, ProfileNetwork, prior
from pipeline.segmentation.edges.profiles import DEPTHS_MM
from training.edges.examples import Examples, shares_of

WIDTH: Final = 384
HIDDEN: Final = 2
DROP_FEATURES: Final = 0.1
DROP: Final = 0.2
RATE: Final = 2e-3
RATE_FROM_START: Final = 5e-4
"""Of networks that are trained further: at RATE they would lose what they know."""
DECAY: Final = 1e-2
BATCH: Final = 1024
LEAST_SCALE: Final = 0.05


class Perceptron(nn.Module):
    """The network of pipeline.segmentation.edges.network.ProfileNetwork in torch, with dropout during training."""

    def __init__(self, centre: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        super().__init__()
        last = nn.Linear(WIDTH, ANSWERS * len(DEPTHS_MM))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        inner = (nn.Linear(WIDTH, WIDTH) for _ in range(HIDDEN))
        self.layers = nn.ModuleList([nn.Linear(len(centre), WIDTH), *inner, last])
        self.drop_features, self.drop = nn.Dropout(DROP_FEATURES), nn.Dropout(DROP)
        self.register_buffer("centre", torch.from_numpy(centre))
        self.register_buffer("scale", torch.from_numpy(scale))

    @classmethod
    def of(cls, network: ProfileNetwork) -> Perceptron:
        """The same network, to be trained further."""
        model = cls(network.centre, network.scale)
        with torch.no_grad():
            for layer, (matrix, bias) in zip(model.layers, network.layers, strict=True):
                layer.weight.copy_(torch.from_numpy(np.asarray(matrix, np.float32).T))
                layer.bias.copy_(torch.from_numpy(np.asarray(bias, np.float32)))
        return model

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(n, f) -> (n, ANSWERS, depths): the correction added to the log-probabilities of the first pass."""
        first, *inner, last = self.layers
        x = self.drop(torch.relu(first(self.drop_features((features - self.centre) / self.scale))))
        for layer in inner:
            x = self.drop(x + torch.relu(layer(x)))
        return last(x).reshape(-1, ANSWERS, len(DEPTHS_MM))

    def exported(self) -> ProfileNetwork:
        """The parameters as the pipeline uses them."""
        return ProfileNetwork(
            centre=self.centre.numpy().copy(),
            scale=self.scale.numpy().copy(),
            layers=tuple(
                (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in self.layers
            ),
        )


def fit(
    examples: Examples,
    minutes: float,
    seed: int,
    on_step: Callable[[int, float], None],
    first: ProfileNetwork | None = None,
) -> ProfileNetwork:
    """Train for `minutes` with a cosine learning-rate schedule; on_step receives the step number and its loss.

    first: a network to continue from; None: random weights
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rate = RATE if first is None else RATE_FROM_START
    if first is None:
        some = examples.features[rng.permutation(len(examples.features))[:50_000]].astype(np.float32)
        model = Perceptron(some.mean(axis=0), some.std(axis=0) + np.float32(LEAST_SCALE))
    else:
        model = Perceptron.of(first)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=DECAY)
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / (60.0 * minutes)) < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = rate * max(0.01, 0.5 * (1.0 + np.cos(np.pi * done)))
        chosen = rng.integers(len(examples.features), size=BATCH)
        features = examples.features[chosen].astype(np.float32)
        truth = torch.from_numpy(shares_of(examples.truth[chosen]))
        logits = model(torch.from_numpy(features)) + torch.from_numpy(prior(features))
        loss = -(truth * torch.log_softmax(logits, 1)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        on_step(step, float(loss.detach()))
    return model.exported()
