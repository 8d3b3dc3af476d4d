"""A shape model in the installed format with shapes given by a formula: two ellipsoids that depend on the latent.

bone: an ellipsoid whose first half-axis grows with the first latent number; cartilage: a smaller one below it that
grows with the second. The planes carry the latent vector (tanh of a small multiple, the same in every pixel), so that
only the point network has to be fitted, with random first weights and a least-squares last layer, without torch.
"""

import json
from collections import OrderedDict
from functools import lru_cache

import numpy as np

from tests.support.checkpoint_files import write_checkpoint

LATENT = 2
AXES = np.array([0.80, 0.66, 0.45])
GROWTH = 0.05
CARTILAGE_AXES = np.array([0.42, 0.40, 0.12])
CARTILAGE_AT = np.array([0.0, 0.0, -0.46])
CONFIG = {
    "model_type": "triplanar",
    "latent_size": LATENT,
    "objects_per_decoder": 2,
    "conv_hidden_dims": [2, 2],
    "conv_deep_image_size": 2,
    "conv_norm": False,
    "conv_start_with_mlp": True,
    "sdf_latent_size": 2,
    "sdf_hidden_dims": [700],
    "weight_norm": True,
    "final_activation": "tanh",
    "activation": "relu",
    "sum_conv_output_features": True,
    "conv_pred_sdf": False,
    "lr_recon": 0.005,
}
CARRY = 0.1
"""The planes hold tanh(CARRY * latent) / 3 each, so that their sum is nearly CARRY * latent."""


def half_axes(latent):
    """(3,) of the bone and (3,) of the cartilage, before centring and scaling."""
    return AXES * [1 + GROWTH * latent[0], 1, 1], CARTILAGE_AXES * (1 + GROWTH * latent[1])


def shape(latent):
    """Centre and half-axes of the bone and of the cartilage, in the model's units.

    As in its training, the mean of the lower 95 % of the bone is the centre, and the largest distance from it is 1.
    """
    bone, cartilage = half_axes(latent)
    angle = np.pi * (1 + 5**0.5) * np.arange(4000)
    height = 1 - (2 * np.arange(4000) + 1) / 4000
    unit = np.stack([*(np.sqrt(1 - height**2) * [np.cos(angle), np.sin(angle)]), height], axis=1)
    area = np.linalg.norm(unit / bone, axis=1)
    kept = unit[:, 2] < -1 + 2 * 0.95
    points = (unit * bone)[kept]
    center = np.average(points, axis=0, weights=area[kept]) * [0, 0, 1]
    size = np.linalg.norm(points - center, axis=1).max()
    return (-center / size, bone / size), ((CARTILAGE_AT - center) / size, cartilage / size)


def ellipsoid_distance(points, axes):
    """(n,) signed distance, to first order, negative inside: exact on the surface and nearly exact close to it."""
    k = np.linalg.norm(points / axes, axis=-1)
    return k * (k - 1) / np.maximum(np.linalg.norm(points / axes**2, axis=-1), 1e-6)


@lru_cache(maxsize=1)
def tensors():
    """The content of the checkpoint: name -> float32 array."""
    rng = np.random.default_rng(5)
    found = OrderedDict()
    found["vae_decoder.fc.weight"] = np.kron(np.eye(LATENT), np.ones((4, 1))) * CARRY
    found["vae_decoder.fc.bias"] = np.zeros(4 * LATENT)
    for layer in range(2):
        kernel = np.zeros((LATENT, LATENT, 3, 3))
        kernel[:, :, 1:, 1:] = np.eye(LATENT)[:, :, None, None]  # each new pixel is a copy of one old pixel
        found[f"vae_decoder.decoder.{layer}.weight"] = kernel
        found[f"vae_decoder.decoder.{layer}.bias"] = np.zeros(LATENT)
    last = np.zeros((3 * LATENT, LATENT, 3, 3))
    last[:, :, 1, 1] = np.tile(np.eye(LATENT), (3, 1)) / 3
    found["vae_decoder.decoder.2.0.weight"] = last
    found["vae_decoder.decoder.2.0.bias"] = np.zeros(3 * LATENT)

    latents = np.concatenate([np.zeros((8, LATENT)), rng.normal(0, 1.5, (72, LATENT))])
    inputs, wanted = [], []
    for latent in latents:
        pairs = shape(latent)
        anywhere = rng.uniform(-1.1, 1.1, (100, 3))
        near = [middle + axes * direction(rng, 120) for middle, axes in pairs]
        points = np.concatenate([anywhere, *[p + rng.normal(0, 0.03, p.shape) for p in near]])
        features = 3 * np.tanh(CARRY * latent / 3)
        inputs.append(np.concatenate([np.tile(features, (len(points), 1)), points], axis=1))
        distances = np.stack([ellipsoid_distance(points - middle, axes) for middle, axes in pairs], axis=1)
        wanted.append(np.arctanh(np.clip(distances, -0.6, 0.6)))
    inputs, wanted = np.concatenate(inputs), np.concatenate(wanted)
    weight, bias = rng.normal(size=(700, LATENT + 3)), rng.uniform(-1.6, 1.6, 700)
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    hidden = np.maximum(inputs @ weight.T + bias, 0)
    design = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
    close = 1 / (0.05 + np.abs(wanted).min(axis=1, keepdims=True))  # points near a surface have more weight
    gram = (design * close).T @ (design * close) + 1e-6 * len(design) * np.eye(701)
    answer = np.linalg.solve(gram, (design * close).T @ (wanted * close))
    for number, (matrix, shift) in enumerate(((weight, bias), (answer[:-1].T, answer[-1]))):
        found[f"sdf_decoder.layers.{number}.weight_g"] = np.linalg.norm(matrix, axis=1, keepdims=True)
        found[f"sdf_decoder.layers.{number}.weight_v"] = matrix / 2
        found[f"sdf_decoder.layers.{number}.bias"] = shift
    return {name: np.asarray(value, dtype=np.float32) for name, value in found.items()}


def direction(rng, n):
    points = rng.normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def install(folder, *, only_bone=False, score=None, config=None):
    """Write a model folder as a user would copy it; returns its path."""
    folder.mkdir(parents=True)
    weights = dict(tensors())
    settings = CONFIG | (config or {})
    if only_bone:
        settings = settings | {"objects_per_decoder": 1}
        for part in ("weight_g", "weight_v", "bias"):
            weights[f"sdf_decoder.layers.1.{part}"] = weights[f"sdf_decoder.layers.1.{part}"][:1]
    (folder / "model_config.json").write_text(json.dumps(settings))
    write_checkpoint(folder / "model.pth", {"epoch": 3, "model": OrderedDict(weights)})
    if score is not None:
        (folder / "bscore").mkdir()
        (folder / "bscore" / "model.json").write_text(json.dumps(score))
    return folder
