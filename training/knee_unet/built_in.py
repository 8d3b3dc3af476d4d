"""The built-in models that are evaluated, and their cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.segmentation.identity import WEIGHTS
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet
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


def read_card(path: Path, digests: Mapping[str, str]) -> dict[str, Any]:  # Any: the content of a JSON file
    """The content of a card.json that is to receive figures.

    digests: of the measured files, by role. Raises ValueError if the model of the card has other weights.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    stated, measured = built_in(content["id"]).weights.sha256, digests[WEIGHTS]
    if stated != measured:
        raise ValueError(f"{path} is for weights {stated[:12]}; the measured weights are {measured[:12]}")
    return content
