"""The decoder network: its gradient compared with finite differences, and every variant with torch's layers if torch is
installed.
"""

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.shape.decoder import ShapeDecoder
from pipeline.shape.settings import NetworkSettings, read_settings
from tests.support.shape_model import install

VARIANTS = {
    "layer": {"norm": "layer"},
    "batch": {"norm": "batch", "activation": "leaky_relu"},
    "none": {"norm": None, "activation": "tanh", "final_activation": "linear"},
    "coarse": {"norm": "layer", "coarse_distance": True, "objects": 1},
    "no dense": {"norm": "batch", "starts_dense": False, "padding": 0.3, "activation": "tanh"},
}


def settings(**changes):
    base = {
        "latent_size": 16,
        "objects": 2,
        "conv_channels": (6, 5),
        "first_width": 2,
        "norm": "layer",
        "starts_dense": True,
        "features": 4,
        "hidden": (11, 9),
        "activation": "relu",
        "final_activation": "tanh",
        "coarse_distance": False,
        "padding": 0.1,
        "scale_jointly": False,
    }
    return NetworkSettings(**base | changes)


def random_weights(chosen):
    rng = np.random.default_rng(11)
    found = OrderedDict()

    def put(name, *shape, around=0.0):
        found[name] = (around + 0.4 * rng.normal(size=shape)).astype(np.float32)

    incoming = chosen.conv_channels[0] if chosen.starts_dense else chosen.latent_size // 4
    if chosen.starts_dense:
        put("vae_decoder.fc.weight", 4 * incoming, chosen.latent_size)
        put("vae_decoder.fc.bias", 4 * incoming)
    index, width = 0, 2
    for channels in chosen.conv_channels:
        width *= 2
        put(f"vae_decoder.decoder.{index}.weight", incoming, channels, 3, 3)
        put(f"vae_decoder.decoder.{index}.bias", channels)
        index, incoming = index + 1, channels
        if chosen.norm:
            shape = (channels, width, width) if chosen.norm == "layer" else (channels,)
            put(f"vae_decoder.decoder.{index}.weight", *shape, around=1.0)
            put(f"vae_decoder.decoder.{index}.bias", *shape)
            if chosen.norm == "batch":
                put(f"vae_decoder.decoder.{index}.running_mean", channels)
                found[f"vae_decoder.decoder.{index}.running_var"] = rng.uniform(0.5, 2, channels).astype(np.float32)
            index += 1
    planes = 3 * (chosen.features + chosen.coarse_distance)
    put(f"vae_decoder.decoder.{index}.0.weight", planes, incoming, 3, 3)
    put(f"vae_decoder.decoder.{index}.0.bias", planes)
    widths = (chosen.features + 3, *chosen.hidden, chosen.objects)
    for number, (a, b) in enumerate(pairwise(widths)):
        put(f"sdf_decoder.layers.{number}.weight_v", b, a)
        put(f"sdf_decoder.layers.{number}.weight_g", b, 1, around=1.0)
        put(f"sdf_decoder.layers.{number}.bias", b)
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_the_gradient_equals_finite_differences(name):
    decoder = ShapeDecoder(chosen := settings(**VARIANTS[name]), random_weights(settings(**VARIANTS[name])))
    rng = np.random.default_rng(2)
    query = decoder.prepare(rng.uniform(-1.2, 1.2, (400, 3)))
    latent, weight = rng.normal(size=chosen.latent_size), rng.normal(size=(400, chosen.objects))
    _, back = decoder.distances_and_gradient(latent, query)
    gradient = back(weight)
    for _ in range(3):
        along = rng.normal(size=chosen.latent_size)
        step = 2e-4 * along
        ends = [decoder.distances_and_gradient(latent + sign * step, query)[0] for sign in (1, -1)]
        slope = float((weight * (ends[0].astype(float) - ends[1])).sum()) / 4e-4
        assert gradient @ along == pytest.approx(slope, rel=0.03, abs=0.02)


def test_points_far_outside_have_the_features_of_the_edge():
    decoder = ShapeDecoder(settings(), random_weights(settings()))
    here, beyond = decoder.prepare(np.array([[1.2, 0.3, 0.1]])), decoder.prepare(np.array([[5.0, 0.3, 0.1]]))
    assert (here.sampling != beyond.sampling).nnz == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_and_its_gradient_equal_torch_layers(name):
    torch = pytest.importorskip("torch", reason="torch is an optional extra (requirements-nsm.txt)")
    chosen = settings(**VARIANTS[name])
    weights = random_weights(chosen)
    rng = np.random.default_rng(3)
    latent, points = rng.normal(size=chosen.latent_size), rng.uniform(-1.3, 1.3, (500, 3))
    start = torch.tensor(latent, dtype=torch.float32, requires_grad=True)
    expected = in_torch(torch, chosen, weights, start, points)
    decoder = ShapeDecoder(chosen, weights)
    assert np.abs(decoder.distances(latent, points) - expected.detach().numpy()).max() < 1e-5
    slope = rng.normal(size=expected.shape).astype(np.float32)
    (expected * torch.tensor(slope)).sum().backward()
    gradient = decoder.distances_and_gradient(latent, decoder.prepare(points))[1](slope)
    np.testing.assert_allclose(gradient, start.grad.numpy(), rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


def in_torch(torch, chosen, weights, latent, points):
    """The same network built from torch functions."""
    nn, w = torch.nn.functional, {name: torch.tensor(value) for name, value in weights.items()}
    x = latent[None]
    if chosen.starts_dense:
        x = nn.linear(x, w["vae_decoder.fc.weight"], w["vae_decoder.fc.bias"])
    x, index = x.reshape(1, -1, 2, 2), 0
    for _ in chosen.conv_channels:
        name = f"vae_decoder.decoder.{index}"
        x = nn.conv_transpose2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1, output_padding=1)
        index += 1
        if chosen.norm:
            name = f"vae_decoder.decoder.{index}"
            scale, shift = w[f"{name}.weight"], w[f"{name}.bias"]
            if chosen.norm == "layer":
                x = nn.layer_norm(x, scale.shape, scale, shift)
            else:
                x = nn.batch_norm(x, w[f"{name}.running_mean"], w[f"{name}.running_var"], scale, shift)
            index += 1
    name = f"vae_decoder.decoder.{index}.0"
    planes = torch.tanh(nn.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=1))
    place = torch.tensor(points, dtype=torch.float32)
    at = (place / (1 + chosen.padding + 10e-6)).clamp(-1, 1)
    n, features = planes.shape[1] // 3, 0
    for k, axes in enumerate(([0, 2], [1, 2], [0, 1])):
        grid = at[None, :, None, axes]
        part = planes[:, n * k : n * k + n]
        features = features + nn.grid_sample(part, grid, padding_mode="border", align_corners=True)[0, :, :, 0].T
    coarse, features = (features[:, :1], features[:, 1:]) if chosen.coarse_distance else (0, features)
    x = torch.cat([features, place], dim=1)
    activations = {"relu": nn.relu, "leaky_relu": nn.leaky_relu, "tanh": torch.tanh, "linear": lambda y: y}
    for k in range(len(chosen.hidden) + 1):
        v, g = w[f"sdf_decoder.layers.{k}.weight_v"], w[f"sdf_decoder.layers.{k}.weight_g"]
        x = nn.linear(x, g * v / v.norm(dim=1, keepdim=True), w[f"sdf_decoder.layers.{k}.bias"])
        x = activations[chosen.final_activation if k == len(chosen.hidden) else chosen.activation](x)
    return x + coarse


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "deepsdf"}, "expected 'triplanar'"),
        ({"sum_conv_output_features": False}, "expected True"),
        ({"activation": "sin"}, "expected one of relu"),
        ({"conv_norm": True, "conv_norm_type": "group"}, "expected one of layer, batch"),
        ({"objects_per_decoder": 5}, "expected 1 (bone) or 2"),
        ({"latent_size": "many"}, "wrong type"),
        ({"conv_hidden_dims": [8] * 12}, "pixels wide"),
    ],
)
def test_an_unsupported_configuration_is_rejected_by_name(tmp_path: Path, change, said):
    folder = install(tmp_path / "m", config=change)
    with pytest.raises(ModelError) as caught:
        read_settings(folder / "model_config.json")
    assert said in caught.value.message


@pytest.mark.slow
def test_a_configuration_without_padding_has_the_library_s_default(tmp_path: Path):
    assert read_settings(install(tmp_path / "m") / "model_config.json").padding == 0.1
