"""The interface of segmentation models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import ModelFile, ModelIdentity, named_digests
from pipeline.types import Resources, Scan, Segmentation

Report = Callable[[float], None]
"""Receives the completed fraction of the work, 0 to 1, increasing."""


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a model can run here. reason: what is missing, for the operator."""

    available: bool
    reason: str = ""


class Segmenter(Protocol):
    """A segmentation model. Only `segment` and `provenance` may load an inference runtime."""

    @property
    def card(self) -> ModelCard:
        """Facts about the model. Never raises: the card of a model with unreadable files states the problem."""
        ...

    def files(self) -> tuple[ModelFile, ...]:
        """Every file that affects the result."""
        ...

    def identity(self) -> ModelIdentity:
        """Identity computed from these files."""
        ...

    def availability(self) -> Availability:
        """Whether files and runtime are available."""
        ...

    def segment(self, scan: Scan, resources: Resources, report: Report) -> Segmentation:
        """Canonical labels on the scan's grid, before post-processing. Raises ModelError."""
        ...

    def provenance(self, resources: Resources) -> dict[str, object]:
        """Runtime, provider and threads. Raises as `segment` does."""
        ...


def availability_of(files: Iterable[ModelFile]) -> Availability:
    """Availability of a model that needs only these files."""
    reason = next((file.problem for file in files if file.problem), "")
    return Availability(available=not reason, reason=reason)


def facts(card: ModelCard, identity: ModelIdentity) -> dict[str, object]:
    """Card and identity for JSON, without paths."""
    return card.to_dict() | named_digests(identity.digests) | {"identity": identity.to_dict()}
