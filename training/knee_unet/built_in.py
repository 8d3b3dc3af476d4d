"""The built-in models that are evaluated, and their cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.digest import sha256_of
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet, read_knee_unet
from pipeline.segmentation.models import knee_edges
from pipeline.segmentation.models.knee_edges import KneeEdges
from pipeline.types import Resources

BuiltIn = KneeUnet | KneeEdges


def built_in(model_id: str) -> BuiltIn:
    """The model with this id: nnunet_fullres, nnunet_cascade, or knee_unet for the first pass alone.

    Raises KeyError if there is none.
    """
    known = {model.card.id: model for model in (*knee_edges.find(Resources()), knee_unet())}
    return known[model_id]


def first_pass_with(model: KneeUnet, weights: Path | None) -> KneeUnet:
    """The same first pass with other weights.

    weights: a folder with card.json and its weights, or a file of the same network as the built-in one; None: unchanged
    """
    if weights is None:
        return model
    if weights.is_dir():
        return read_knee_unet(weights)
    return replace(model, weights=replace(model.weights, path=weights, sha256=sha256_of(weights)))


def with_first_pass(model: BuiltIn, weights: Path | None) -> BuiltIn:
    """The same model with other weights of its first pass (first_pass_with), and the labels of that pass."""
    if isinstance(model, KneeUnet):
        return first_pass_with(model, weights)
    first = first_pass_with(model.first_pass, weights)
    card = replace(
        model.card,
        native_labels=first.card.native_labels,
        native_to_canonical=first.card.native_to_canonical,
        experimental=first.card.experimental,
    )
    return replace(model, card=card, first_pass=first)


def with_edges(model: BuiltIn, weights: Path | None) -> BuiltIn:
    """The same model with another file of its edge networks; None: unchanged.

    Raises TypeError if it has no edge networks.
    """
    if weights is None:
        return model
    if isinstance(model, KneeUnet):
        raise TypeError(f"{model.card.id} has no edge networks; expected a model that locates edges")
    return replace(model, weights=replace(model.weights, path=weights, sha256=sha256_of(weights)))


def read_card(path: Path, digests: Mapping[str, str]) -> dict[str, Any]:  # Any: the content of a JSON file
    """The content of a card.json that is to receive figures.

    digests: of all measured files, by role. Raises ValueError if a file of the card's model is another one.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    stated = built_in(content["id"]).identity().digests
    for role in {*stated, *digests}:
        card, measured = stated.get(role, "none"), digests.get(role, "none")
        if card != measured:
            raise ValueError(f"{path} is for {role} {card[:12]}; the measured {role} are {measured[:12]}")
    return content
