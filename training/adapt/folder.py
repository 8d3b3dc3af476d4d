"""The folder of an adapted model in MODELS_DIR: weights and card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.digest import sha256_of
from pipeline.segmentation.card import CARD_NAME
from pipeline.segmentation.identity import FIRST_PASS, WEIGHTS
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.models.adapted_folder import FAMILY
from pipeline.segmentation.models.knee_edges import knee_edges
from pipeline.segmentation.models.nnunet_folder import SAFE_ID
from pipeline.segmentation.registry import built_in_models
from training.adapt.validate import WITH_EDGES, Measured
from training.knee_unet.evaluate import structures_of, thickness_of


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the card states about the training."""

    id: str
    licence: str
    scans: int
    knees: int
    folds: int
    synthetic: float
    minutes: float


def check_id(id: str) -> None:
    """Raises ValueError unless this is a valid and unused name of a model."""
    if not SAFE_ID.fullmatch(id):
        raise ValueError(f"the id is {id!r}; expected up to 64 letters, digits, dots, dashes and _")
    if id in {model.card.id for model in (*built_in_models(), knee_unet())}:
        raise ValueError(f"{id} is a built-in model; expected another id, so that both can be compared")


def card_content(facts: Facts, base: Mapping[str, Any], weights: Path, found: Measured | None) -> dict[str, Any]:
    """Content of card.json. base: of the card of the network that was adapted; found: cross-validated, or None."""
    edges = found is None or found.model == WITH_EDGES
    digest = sha256_of(weights)
    digests = {WEIGHTS: knee_edges().weights.sha256, FIRST_PASS: digest} if edges else {WEIGHTS: digest}
    kept = {key: base[key] for key in ("labels", "numbering", "axes", "resolution_mm", "window_voxels", "sequences")}
    content = {
        "id": facts.id,
        "title": f"{facts.id} (built-in networks adapted to {facts.scans} scans of this lab)",
        "family": FAMILY,
        "description": "The built-in first pass, fine-tuned on labelled scans of this lab and on synthetic ones"
        + (", then the built-in networks that locate edges." if edges else "; edges are not located: it was worse."),
        "weights": "weights.onnx",
        "sha256": digest,
        "edges": edges,
        "licence": facts.licence,
        "citation": base.get("citation", ""),
        "scope": base.get("scope", ""),
        "training_data": f"{facts.scans} labelled scans of {facts.knees} knees of this lab, and {facts.synthetic:.0%} "
        f"synthetic patches; {facts.minutes:g} minutes. Before: {base.get('training_data', '')}",
        "caution": _caution(found),
        **kept,
    }
    if found is not None and found.knees:
        content["accuracy"] = {
            "made_by": "make adapt",
            "measured_on": f"{len(found.knees)} labelled scans of this lab, each with weights that were adapted without"
            f" its knee ({facts.folds}-fold cross-validation); the installed weights were adapted to all of them",
            "digests": digests,
            "structures": structures_of(found.knees),
            "thickness": thickness_of(found.knees),
        }
    return content


def _caution(found: Measured | None) -> str:
    if found is None or not found.knees:
        return "Not validated on any scan."
    lost = f" {len(found.failed)} scans could not be segmented: {', '.join(found.failed)}." if found.failed else ""
    return f"Adapted to one lab's scans, and measured on them alone.{lost}"


def install(content: Mapping[str, Any], weights: Path, models_dir: Path) -> Path:
    """Write MODELS_DIR/<id>; it appears complete, and replaces an earlier version of the same id."""
    target = models_dir / str(content["id"])
    partial = models_dir / f".{target.name}.{os.getpid()}.part"
    partial.mkdir(parents=True)
    shutil.copyfile(weights, partial / str(content["weights"]))
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (partial / CARD_NAME).write_text(text, encoding="utf-8")
    if target.is_dir():
        shutil.rmtree(target)
    partial.rename(target)
    return target
