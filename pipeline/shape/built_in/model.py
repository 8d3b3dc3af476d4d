"""The built-in shape model in models/: its card, its digest, and its decoder on demand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.digest import sha256_of
from pipeline.errors import WeightsCorrupt

if TYPE_CHECKING:
    from pipeline.shape.built_in.decoder import FieldDecoder

FOLDER: Final = Path(__file__).resolve().parents[3] / "models" / "femur_shape"
CARD: Final = "card.json"
KINDS: Final = ("bone_and_cart", "bone_only")
"""Kinds of fit; one decoder serves both."""


@dataclass(frozen=True, kw_only=True)
class BuiltInShape:
    """One kind of fit. problem: why it cannot be used; "" if it can."""

    kind: str
    folder: Path
    card: dict[str, Any]  # Any: the content of a JSON file
    problem: str = ""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def weights(self) -> Path:
        return self.folder / str(self.card.get("weights", "decoder.npz"))

    @property
    def sha256(self) -> str:
        return sha256_of(self.weights) if self.weights.is_file() else ""


def built_in_shapes(folder: Path = FOLDER) -> tuple[BuiltInShape, ...]:
    """The built-in model for each kind of fit; `problem` is set if its files do not match its card."""
    card, problem = {}, ""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        weights = folder / str(card["weights"])
        if not weights.is_file():
            problem = f"{weights.name} is missing; fetch models/ again."
        elif not isinstance(card["latent_size"], int) or not isinstance(card["sha256"], str):
            problem = f"{CARD} has a value of the wrong type."
    except (OSError, ValueError, KeyError, TypeError) as error:
        card, problem = {}, f"{CARD} of the built-in shape model cannot be read: {type(error).__name__}."
    return tuple(BuiltInShape(kind=kind, folder=folder, card=card, problem=problem) for kind in KINDS)


def load_built_in(model: BuiltInShape) -> FieldDecoder:
    """Load the decoder. Raises WeightsCorrupt if the file does not match the card or is damaged."""
    from pipeline.shape.built_in.weights_file import read_decoder

    expected = str(model.card.get("sha256", ""))
    if model.problem or (found := model.sha256) != expected:
        raise WeightsCorrupt(
            model.problem or f"The built-in shape model has SHA-256 {found[:12]}…; its card expects {expected[:12]}….",
            hint="Fetch models/ again.",
        )
    return read_decoder(model.weights)
