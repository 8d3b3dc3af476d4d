"""What weights are here, whether they are genuine, and what is missing. Loads no inference runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline.digest import SUMS_NAME, expected_digests, sha256_of
from pipeline.errors import KneeError
from pipeline.segmentation.catalogue import CATALOGUE, ModelCard, availability, checkpoints, installed_folder
from pipeline.segmentation.installed import installed_card
from pipeline.shape.built_in.model import CARD, BuiltInShape, built_in_shapes
from pipeline.shape.installed import FOLDER, InstalledShape, installed_shapes
from pipeline.types import Resources
from pipeline.weights.sources import Source, read_sources


class State(StrEnum):
    """READY: it runs. BROKEN: it is there, but cannot run or is not what it should be. MISSING: it could be fetched."""

    READY = "ready"
    BROKEN = "broken"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A weights file: its name, digest, and against what that was checked ("" for: against nothing)."""

    name: str
    sha256: str
    checked_against: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the inventory. detail: for READY what it is, else why it is not and what to do."""

    id: str
    title: str
    origin: str
    state: State
    detail: str
    files: tuple[FileRecord, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def take_inventory(resources: Resources) -> tuple[Entry, ...]:
    """Built-in segmentation models, the lab's own ones, shape models, and sources that are not installed.

    Reads every weights file once, to find its digest. Raises ModelError where a list of sources cannot be read.
    """
    entries = [_built_in(card) for card in CATALOGUE]
    for card in CATALOGUE:
        folder = installed_folder(card.id, resources)
        if folder is not None:
            entries.append(_nnunet(card, folder, resources))
    entries.append(_built_in_shape(built_in_shapes()[0]))
    shapes = installed_shapes(resources)
    entries += [_shape(model) for model in shapes]
    here = {f"{FOLDER}/{model.name}" for model in shapes} | {
        card.id for card in CATALOGUE if installed_folder(card.id, resources) is not None
    }
    entries += [_missing(source) for name, source in read_sources(resources.models_dir).items() if name not in here]
    return tuple(entries)


def _built_in(card: ModelCard) -> Entry:
    state, detail = State.READY, card.description
    files: tuple[FileRecord, ...] = ()
    if not card.weights.is_file():
        state, detail = State.BROKEN, f"{card.weights.name} is not there; fetch models/ again."
    else:
        found = sha256_of(card.weights)
        files = (FileRecord(name=card.weights.name, sha256=found, checked_against="card.json"),)
        if found != card.sha256:
            state = State.BROKEN
            detail = f"{card.weights.name} has another SHA-256 than card.json names ({card.sha256[:12]}…)."
    return Entry(id=card.id, title=card.title, origin="built-in", state=state, detail=detail, files=files)


def _nnunet(card: ModelCard, folder: Path, resources: Resources) -> Entry:
    title, state, detail = card.id, State.READY, "nnU-Net v2; takes precedence over the built-in weights of this id."
    reason = availability(card, resources).reason
    try:
        title = installed_card(folder, card.id).title
    except KneeError as error:
        reason = reason or error.message
    files, wrong = _checked(folder, checkpoints(folder))
    if reason or wrong:
        state, detail = State.BROKEN, wrong or reason
    return Entry(id=card.id, title=title, origin="installed", state=state, detail=detail, files=files)


def _built_in_shape(model: BuiltInShape) -> Entry:
    problem, found = model.problem, model.sha256
    files = (FileRecord(name=model.weights.name, sha256=found, checked_against=CARD),) if found else ()
    if not problem and found != model.card["sha256"]:
        problem = f"{model.weights.name} has another SHA-256 than {CARD} names ({model.card['sha256'][:12]}…)."
    return Entry(
        id=f"{FOLDER}/{model.name}",
        title=str(model.card.get("title", "Shape model of the femur")),
        origin="built-in",
        state=State.BROKEN if problem else State.READY,
        detail=problem or str(model.card.get("description", "")),
        files=files,
    )


def _shape(model: InstalledShape) -> Entry:
    kind = {"bone_only": "bone alone", "bone_and_cart": "bone and cartilage"}.get(model.kind, "")
    score = "with a B-score" if model.score else "without a B-score"
    files, wrong = _checked(model.folder, (model.checkpoint,) if model.checkpoint else ())
    problem = model.problem or wrong
    latent = model.settings.latent_size if model.settings else 0
    return Entry(
        id=f"{FOLDER}/{model.name}",
        title=f"Shape model {model.name}",
        origin="installed",
        state=State.BROKEN if problem else State.READY,
        detail=problem or f"{kind}, {latent} latent numbers, {score}.",
        files=files,
    )


def _missing(source: Source) -> Entry:
    advice = f"python -m pipeline models fetch {source.id} --models-dir DIR"
    if source.unpinned:
        advice = f"Copy it into MODELS_DIR/{source.id}; it cannot be fetched, because {source.unpinned} is not pinned."
    where = f"{source.hub}/{source.repository}"
    access = f" ({source.access})" if source.access else ""
    return Entry(
        id=source.id, title=source.title, origin="hub", state=State.MISSING, detail=f"{where}{access}. {advice}"
    )


def _checked(folder: Path, paths: tuple[Path, ...]) -> tuple[tuple[FileRecord, ...], str]:
    """Digests of weights files, and what is wrong with them by SHA256SUMS in their folder ("" where nothing is)."""
    try:
        expected = expected_digests(folder)
    except (OSError, ValueError) as error:
        return (), f"{SUMS_NAME} cannot be read: {error}."
    records, wrong = [], ""
    for path in paths:
        name, found = path.relative_to(folder).as_posix(), sha256_of(path)
        known = expected.get(name)
        records.append(FileRecord(name=name, sha256=found, checked_against=SUMS_NAME if known else ""))
        if known is not None and known != found:
            wrong = f"{name} has another SHA-256 than {SUMS_NAME} names ({known[:12]}…)."
    return tuple(records), wrong
