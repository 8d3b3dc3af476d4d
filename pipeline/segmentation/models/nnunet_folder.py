"""A folder of MODELS_DIR in nnU-Net v2 format is a model, its name the model's id. It runs through nnunetv2."""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.digest import SUMS_NAME, expected_digests
from pipeline.errors import ModelError, WeightsCorrupt, WeightsMissing
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import INSTALLED, ModelFile, ModelIdentity
from pipeline.segmentation.nnunet_files import (
    DATASET,
    PLANS,
    PREVIOUS_STAGE,
    checkpoints,
    deciding_files,
    nnunet_card,
    unreadable_card,
)
from pipeline.segmentation.segmenter import Availability, Report, availability_of
from pipeline.types import Resources, Scan, Segmentation

HINT: Final = "pip install -r requirements-nnunet.txt"

SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A folder's name is an id in addresses, options and records."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class NnunetFolder:
    """One folder with a plans.json."""

    folder: Path

    @property
    def card(self) -> ModelCard:
        return self._read[0]

    def files(self) -> tuple[ModelFile, ...]:
        """With the digests in the folder's SHA256SUMS."""
        stated = self._stated or {}
        names = {path.relative_to(self.folder).as_posix(): path for path in deciding_files(self.folder)}
        return tuple(
            ModelFile(role=name, path=path, sha256=stated.get(name, ""), stated_in=SUMS_NAME if name in stated else "")
            for name, path in names.items()
        )

    def identity(self) -> ModelIdentity:
        return ModelIdentity.of(self.folder.name, INSTALLED, self.files())

    def availability(self) -> Availability:
        missing = {
            f"{DATASET} is missing": not (self.folder / DATASET).is_file(),
            self._read[1]: bool(self._read[1]),
            "no fold_*/checkpoint_final.pth": not checkpoints(self.folder),
            f"{SUMS_NAME} cannot be read": self._stated is None,
            f"the nnunetv2 package is not installed: {HINT}": find_spec("nnunetv2") is None,
        }
        reason = next((what for what, found in missing.items() if found), "")
        return Availability(available=False, reason=reason) if reason else availability_of(self.files())

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        card = self._ready()
        from pipeline.segmentation.nnunet import native_labels

        native = native_labels(self.folder, scan, resources, report)
        table = np.zeros(256, dtype=np.uint8)
        for label in card.native_labels:
            table[label] = card.native_to_canonical.to_canonical[label] or 0
        return Segmentation(
            labels=table[native],
            grid=scan.grid,
            model_id=card.id,
            compartments_apart=card.native_to_canonical.compartments_apart,
        )

    def provenance(self, resources: Resources) -> dict[str, object]:
        """Also the digests of the folds."""
        self._ready()
        from pipeline.segmentation import nnunet

        digests = self.identity().digests
        own = {name: digests[name] for name in (f"{p.parent.name}/{p.name}" for p in checkpoints(self.folder))}
        only = next(iter(own.values())) if len(own) == 1 else ""
        return {"weights_sha256": only, "checkpoints_sha256": own} | nnunet.facts(resources)

    def _ready(self) -> ModelCard:
        """Raises ModelError (a file cannot be used), WeightsMissing (no fold, no nnunetv2), WeightsCorrupt."""
        card = nnunet_card(self.folder, self.folder.name)
        if not checkpoints(self.folder):
            raise WeightsMissing(
                "The installed model has no trained fold.",
                hint="Expected fold_*/checkpoint_final.pth in the folder of plans.json.",
            )
        if find_spec("nnunetv2") is None:
            raise WeightsMissing("The installed model needs the nnunetv2 package, which is not installed.", hint=HINT)
        if wrong := next((file for file in self.files() if file.problem), None):
            raise WeightsCorrupt(f"{wrong.name} has another SHA-256 than {wrong.stated_in} names.")
        return card

    @cached_property
    def _read(self) -> tuple[ModelCard, str]:
        """Card, and the reason why the JSON files cannot be used ("" if they can)."""
        try:
            return nnunet_card(self.folder, self.folder.name), ""
        except ModelError as error:
            return unreadable_card(self.folder.name), str(error)

    @cached_property
    def _stated(self) -> dict[str, str] | None:
        """Digests in SHA256SUMS, also in that of a cascade's first stage; None if one cannot be read."""
        try:
            first = expected_digests(self.folder / PREVIOUS_STAGE)
            return {f"{PREVIOUS_STAGE}/{name}": digest for name, digest in first.items()} | expected_digests(
                self.folder
            )
        except (OSError, ValueError):
            return None


def find(resources: Resources) -> tuple[NnunetFolder, ...]:
    """Every folder of resources.models_dir with a plans.json; folders with an invalid id are logged and left out."""
    if resources.models_dir is None or not resources.models_dir.is_dir():
        return ()
    folders = sorted(path.parent for path in resources.models_dir.glob(f"*/{PLANS}"))
    for folder in folders:
        if not SAFE_ID.fullmatch(folder.name):
            _warn(folder.name)
    return tuple(NnunetFolder(folder=folder) for folder in folders if SAFE_ID.fullmatch(folder.name))


@functools.cache
def _warn(name: str) -> None:
    """Once per process."""
    _log.warning("folder %r of MODELS_DIR is left out: expected a name of letters, digits, dots, dashes and _", name)
