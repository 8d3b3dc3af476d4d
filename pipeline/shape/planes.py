"""The first half of a triplanar decoder: from a latent vector to three feature planes, with its gradient.

The only nonlinearities are the normalisations between the convolutions and a final tanh. All values are float32, as in
training. Gradients are computed only with respect to the latent vector; weights are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.shape.checkpoint import Tensors
from pipeline.shape.settings import NetworkSettings

Array = NDArray[np.float32]

NORM_EPSILON: Final = 1e-5
"""torch's default for both normalisations; not configurable."""

OFFSETS: Final = tuple((row, column) for row in range(3) for column in range(3))
"""The nine taps of a 3 x 3 kernel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Convolution:
    """Nine matrices (out, in), one per tap, and a bias (out,). A transposed one doubles the width (stride 2)."""

    taps: tuple[Array, ...]
    bias: Array
    transposed: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Norm:
    """scale and shift, (c, h, w) or (c, 1, 1); mean and variance (c, 1, 1) if fixed in training."""

    scale: Array
    shift: Array
    mean: Array | None
    variance: Array | None


class PlaneDecoder:
    """latent (d,) -> planes (3 * c, width, width), c the features of one plane, in the order xz, yz, xy."""

    def __init__(self, settings: NetworkSettings, weights: Tensors) -> None:
        """Raises KeyError if a tensor is missing, ValueError if a shape does not match the settings."""
        self.settings = settings
        first = settings.conv_channels[0] if settings.starts_dense else settings.latent_size // settings.first_width**2
        self.start = (first, settings.first_width, settings.first_width)
        flat = int(np.prod(self.start))
        self.dense: tuple[Array, Array] | None = None
        if settings.starts_dense:
            self.dense = (
                _take(weights, "vae_decoder.fc.weight", (flat, settings.latent_size)),
                _take(weights, "vae_decoder.fc.bias", (flat,)),
            )
        self.layers: list[tuple[_Convolution, _Norm | None]] = []
        index, width, incoming = 0, settings.first_width, first
        for outgoing in settings.conv_channels:
            width *= 2
            name = f"vae_decoder.decoder.{index}"
            convolution = _convolution(weights, name, incoming, outgoing, transposed=True)
            index, incoming, norm = index + 1, outgoing, None
            if settings.norm is not None:
                norm = _norm(weights, f"vae_decoder.decoder.{index}", outgoing, width, settings.norm)
                index += 1
            self.layers.append((convolution, norm))
        channels = 3 * (settings.features + settings.coarse_distance)
        self.last = _convolution(weights, f"vae_decoder.decoder.{index}.0", incoming, channels, transposed=False)

    def planes(self, latent: Array) -> tuple[Array, list[object]]:
        """The planes, and the intermediate values that `gradient` needs."""
        x = latent if self.dense is None else self.dense[0] @ latent + self.dense[1]
        x = x.reshape(self.start)
        trace: list[Any] = []
        for convolution, norm in self.layers:
            x = _forward(convolution, x)
            if norm is not None:
                x, known = _normalise(norm, x)
                trace.append(known)
        planes = np.tanh(_forward(self.last, x))
        return planes, [*trace, planes]

    def gradient(self, slope: Array, trace: list[Any]) -> Array:  # Any: each layer keeps its own kind of values
        """D loss / d planes, same shape as the planes -> d loss / d latent (d,)."""
        *known, planes = trace
        x = _backward(self.last, slope * (1 - planes * planes))
        for convolution, norm in reversed(self.layers):
            if norm is not None:
                x = _unnormalise(norm, x, known.pop())
            x = _backward(convolution, x)
        flat = x.reshape(-1)
        return flat if self.dense is None else self.dense[0].T @ flat


def _take(weights: Tensors, name: str, shape: tuple[int, ...]) -> Array:
    tensor = weights[name]
    if tensor.shape != shape:
        raise ValueError(f"{name} has the shape {tensor.shape}; expected {shape}")
    return np.ascontiguousarray(tensor, dtype=np.float32)


def _convolution(weights: Tensors, name: str, incoming: int, outgoing: int, *, transposed: bool) -> _Convolution:
    shape = (incoming, outgoing, 3, 3) if transposed else (outgoing, incoming, 3, 3)
    kernel = _take(weights, f"{name}.weight", shape)
    if transposed:
        kernel = kernel.swapaxes(0, 1)
    return _Convolution(
        taps=tuple(np.ascontiguousarray(kernel[:, :, row, column]) for row, column in OFFSETS),
        bias=_take(weights, f"{name}.bias", (outgoing,)),
        transposed=transposed,
    )


def _norm(weights: Tensors, name: str, channels: int, width: int, kind: str) -> _Norm:
    shape = (channels, width, width) if kind == "layer" else (channels,)
    parts = [_take(weights, f"{name}.{part}", shape) for part in ("weight", "bias")]
    if kind == "layer":
        return _Norm(scale=parts[0], shift=parts[1], mean=None, variance=None)
    parts += [_take(weights, f"{name}.{part}", shape) for part in ("running_mean", "running_var")]
    scale, shift, mean, variance = (part[:, None, None] for part in parts)
    return _Norm(scale=scale, shift=shift, mean=mean, variance=variance)


def _forward(convolution: _Convolution, x: Array) -> Array:
    """(in, h, w) -> (out, h, w), zeros beyond the border; transposed: (out, 2 h, 2 w)."""
    _, h, w = x.shape
    outgoing = len(convolution.bias)
    if convolution.transposed:
        flat = x.reshape(len(x), -1)
        padded = np.zeros((outgoing, 2 * h + 1, 2 * w + 1), dtype=np.float32)
        for (row, column), tap in zip(OFFSETS, convolution.taps, strict=True):
            padded[:, row : row + 2 * h : 2, column : column + 2 * w : 2] += (tap @ flat).reshape(outgoing, h, w)
        out = padded[:, 1:, 1:]
    else:
        wide = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        out = np.zeros((outgoing, h, w), dtype=np.float32)
        for (row, column), tap in zip(OFFSETS, convolution.taps, strict=True):
            part = np.ascontiguousarray(wide[:, row : row + h, column : column + w]).reshape(len(x), -1)
            out += (tap @ part).reshape(outgoing, h, w)
    return np.asarray(out + convolution.bias[:, None, None], dtype=np.float32)


def _backward(convolution: _Convolution, slope: Array) -> Array:
    """The adjoint of `_forward` without its bias: (out, h, w) -> (in, h, w), or from (out, 2 h, 2 w) if transposed."""
    outgoing, h, w = slope.shape
    incoming = convolution.taps[0].shape[1]
    if convolution.transposed:
        h, w = h // 2, w // 2
        padded = np.pad(slope, ((0, 0), (1, 0), (1, 0)))
        back = np.zeros((incoming, h * w), dtype=np.float32)
        for (row, column), tap in zip(OFFSETS, convolution.taps, strict=True):
            part = np.ascontiguousarray(padded[:, row : row + 2 * h : 2, column : column + 2 * w : 2])
            back += tap.T @ part.reshape(outgoing, -1)
        return back.reshape(incoming, h, w)
    flat = slope.reshape(outgoing, -1)
    wide = np.zeros((incoming, h + 2, w + 2), dtype=np.float32)
    for (row, column), tap in zip(OFFSETS, convolution.taps, strict=True):
        wide[:, row : row + h, column : column + w] += (tap.T @ flat).reshape(incoming, h, w)
    return np.ascontiguousarray(wide[:, 1:-1, 1:-1])


def _normalise(norm: _Norm, x: Array) -> tuple[Array, tuple[Array | None, Any]]:
    """Normalise over the whole array (layer), or by fixed statistics per channel (batch)."""
    if norm.mean is not None and norm.variance is not None:
        spread = np.sqrt(norm.variance + np.float32(NORM_EPSILON))
        return (x - norm.mean) / spread * norm.scale + norm.shift, (None, spread)
    mean = x.mean(dtype=np.float64)
    spread = np.float32(np.sqrt(np.square(x - mean).mean(dtype=np.float64) + NORM_EPSILON))
    unit = (x - np.float32(mean)) / spread
    return unit * norm.scale + norm.shift, (unit, spread)


def _unnormalise(norm: _Norm, slope: Array, known: tuple[Array | None, Any]) -> Array:
    """The adjoint of `_normalise` at the point where it was evaluated."""
    unit, spread = known
    scaled = slope * norm.scale
    if unit is None:
        return np.asarray(scaled / spread, dtype=np.float32)
    along = np.float32((scaled * unit).mean(dtype=np.float64))
    return np.asarray((scaled - np.float32(scaled.mean(dtype=np.float64)) - unit * along) / spread, dtype=np.float32)
