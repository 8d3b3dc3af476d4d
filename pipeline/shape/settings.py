"""Reads model_config.json: the keys of the NSM library's training configuration that define the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import ModelError

ACTIVATIONS: Final = ("relu", "leaky_relu", "tanh")
FINAL_ACTIVATIONS: Final = ("tanh", "linear")
NORMS: Final = ("layer", "batch")

PADDING: Final = 0.1
"""The library's default, used for models whose configuration does not specify it."""

FIXED: Final[Mapping[str, object]] = {"model_type": "triplanar", "sum_conv_output_features": True}
"""The only supported values, also assumed for missing keys."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The parts of a triplanar decoder.

    latent_size        size of the latent vector
    objects            number of surfaces: 1 bone, 2 bone and cartilage
    conv_channels      of each transposed convolution; each doubles the planes' width
    first_width        of the planes before the first one, pixels
    features           channels of a plane, the input of the point network
    hidden             widths of the point network
    coarse_distance    whether each plane also contains a coarse distance, added at the end
    padding            planes reach from -(1 + padding) to 1 + padding in the model's units
    scale_jointly      whether cartilage is also used for centre and size of a shape
    """

    latent_size: int
    objects: int
    conv_channels: tuple[int, ...]
    first_width: int
    norm: str | None
    starts_dense: bool
    features: int
    hidden: tuple[int, ...]
    activation: str
    final_activation: str
    coarse_distance: bool
    padding: float
    scale_jointly: bool

    @property
    def width(self) -> int:
        """Pixels along a side of each of the three planes."""
        return int(self.first_width * 2 ** len(self.conv_channels))


def read_settings(path: Path) -> NetworkSettings:
    """Read model_config.json; keys that affect only training are ignored.

    Raises ModelError if the file cannot be read, or a key has an unknown value or is missing.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of the shape model cannot be read: {type(error).__name__}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of the shape model is not a JSON object.")
    for key, expected in FIXED.items():
        if data.get(key, expected) != expected:
            raise ModelError(f"{key} in {path.name} is {data[key]!r}; expected {expected!r}.")
    try:
        settings = NetworkSettings(
            latent_size=int(data["latent_size"]),
            objects=int(data.get("objects_per_decoder", 1)),
            conv_channels=tuple(int(n) for n in data.get("conv_hidden_dims", (512,) * 5)),
            first_width=int(data.get("conv_deep_image_size", 2)),
            norm=str(data.get("conv_norm_type", "batch")) if data.get("conv_norm", True) else None,
            starts_dense=bool(data.get("conv_start_with_mlp", True)),
            features=int(data.get("sdf_latent_size", 128)),
            hidden=tuple(int(n) for n in data.get("sdf_hidden_dims", (512,) * 3)),
            activation=str(data.get("activation", "relu")),
            final_activation=str(data.get("final_activation", "tanh")),
            coarse_distance=bool(data.get("conv_pred_sdf", False)),
            padding=float(data.get("padding", PADDING)),
            scale_jointly=bool(data.get("scale_jointly", False)),
        )
    except KeyError as error:
        raise ModelError(f"{path.name} of the shape model has no key {error}; expected one.") from error
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path.name} of the shape model has a value of the wrong type: {error}.") from error
    _check(settings, path.name)
    return settings


def _check(settings: NetworkSettings, name: str) -> None:
    words = (
        ("activation", settings.activation, ACTIVATIONS),
        ("final_activation", settings.final_activation, FINAL_ACTIVATIONS),
        ("conv_norm_type", settings.norm or NORMS[0], NORMS),
    )
    for key, found, known in words:
        if found not in known:
            raise ModelError(f"{key} in {name} is {found!r}; expected one of {', '.join(known)}.")
    if settings.objects not in (1, 2):
        raise ModelError(
            f"objects_per_decoder in {name} is {settings.objects}; expected 1 (bone) or 2 (and cartilage)."
        )
    sizes = (settings.latent_size, settings.first_width, settings.features, *settings.conv_channels, *settings.hidden)
    if not settings.conv_channels or not settings.hidden or not all(1 <= n <= 4096 for n in sizes):
        raise ModelError(f"Layers in {name} have the sizes {sizes}; expected 1 to 4096.")
    if not 1 <= settings.width <= 1024:
        raise ModelError(f"Planes of {name} would be {settings.width} pixels wide; expected at most 1024.")
