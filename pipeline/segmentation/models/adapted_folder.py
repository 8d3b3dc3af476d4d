"""A folder of MODELS_DIR with a card.json is a model: a first pass adapted to a lab's scans (make adapt), its name the
model's id. Edges are located by the built-in networks where the card states that this was better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ModelError
from pipeline.segmentation.card import CARD_NAME, ModelCard, card_of, read_card_file
from pipeline.segmentation.identity import FIRST_PASS, INSTALLED, WEIGHTS, ModelFile, ModelIdentity
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet
from pipeline.segmentation.limits import holds_for
from pipeline.segmentation.models.knee_edges import KneeEdges, knee_edges
from pipeline.segmentation.models.nnunet_folder import SAFE_ID
from pipeline.segmentation.segmenter import Availability, Report
from pipeline.types import Resources, Scan, Segmentation

FAMILY: Final = "adapted_unet"


@dataclass(frozen=True, kw_only=True)
class AdaptedFolder:
    """One folder with a card.json."""

    folder: Path

    @property
    def card(self) -> ModelCard:
        model = self._read
        if isinstance(model, ModelError):
            return ModelCard(
                id=self.folder.name,
                title=f"{self.folder.name} (adapted, installed here, cannot be read)",
                family=FAMILY,
                source=INSTALLED,
                description="Repair or remove its files: until then no analysis can run with it.",
                native_labels={},
                native_to_canonical=knee_unet().card.native_to_canonical,
            )
        return model.card

    def files(self) -> tuple[ModelFile, ...]:
        model = self._read
        return () if isinstance(model, ModelError) else model.files()

    def identity(self) -> ModelIdentity:
        return ModelIdentity.of(self.folder.name, INSTALLED, self.files())

    def availability(self) -> Availability:
        model = self._read
        if isinstance(model, ModelError):
            return Availability(available=False, reason=str(model))
        return model.availability()

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        return self._ready().segment(scan, resources, report)

    def provenance(self, resources: Resources) -> dict[str, object]:
        return self._ready().provenance(resources)

    def _ready(self) -> KneeUnet | KneeEdges:
        """Raises ModelError if the card cannot be used."""
        if isinstance(self._read, ModelError):
            raise self._read
        return self._read

    @cached_property
    def _read(self) -> KneeUnet | KneeEdges | ModelError:
        try:
            return read_adapted(self.folder)
        except ModelError as error:
            return error


def read_adapted(folder: Path) -> KneeUnet | KneeEdges:
    """The model of a folder. Raises ModelError if its card cannot be read or names a file outside the folder.

    Accuracy that was measured with other files, such as edge networks of an earlier version, is left out.
    """
    with read_card_file(folder) as data:
        name = str(data["weights"])
        if Path(name).name != name:
            raise ValueError(f"weights: {name!r}; expected the name of a file in the folder")
        own = ModelFile(role=WEIGHTS, path=folder / name, sha256=str(data["sha256"]), stated_in=CARD_NAME)
        located = knee_edges().weights if data["edges"] else None
        digests = {WEIGHTS: own.sha256}
        if located is not None:
            digests = {WEIGHTS: located.sha256, FIRST_PASS: own.sha256}
        card = replace(card_of(_valid(data, digests), folder, digests), id=folder.name, source=INSTALLED)
        first = KneeUnet(
            card=card,
            weights=own,
            axes=str(data["axes"]),
            resolution_mm=float(data["resolution_mm"]),
            window_voxels=int(data["window_voxels"]),
        )
        return first if located is None else KneeEdges(card=card, weights=located, first_pass=first)


def _valid(data: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """The content of the card without accuracy of other files."""
    kept = dict(data)
    if not holds_for(kept.get("accuracy", {}), digests):
        kept.pop("accuracy", None)
    return kept | {"id": data["id"], "family": FAMILY}


def find(resources: Resources) -> tuple[AdaptedFolder, ...]:
    """Every folder of resources.models_dir with a card.json and a valid id."""
    if resources.models_dir is None or not resources.models_dir.is_dir():
        return ()
    folders = sorted(path.parent for path in resources.models_dir.glob(f"*/{CARD_NAME}"))
    return tuple(AdaptedFolder(folder=folder) for folder in folders if SAFE_ID.fullmatch(folder.name))
