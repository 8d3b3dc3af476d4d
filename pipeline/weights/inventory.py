"""Inventory of installed weights: verification, and missing ones. Loads no inference runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.digest import SUMS_NAME, digest_of, expected_digests, sha256_of
from pipeline.segmentation.registry import every_model, model
from pipeline.segmentation.segmenter import Segmenter
from pipeline.shape.built_in.model import CARD, BuiltInShape, built_in_shapes
from pipeline.shape.installed import FOLDER, InstalledShape, installed_shapes
from pipeline.types import Resources
from pipeline.weights.sources import Source, read_sources


class State(StrEnum):
    """READY: usable. BROKEN: installed, but unusable or with a wrong digest. MISSING: can be fetched."""

    READY = "ready"
    BROKEN = "broken"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A weights file: its name, digest, and the source of the expected digest ("" if there is none)."""

    name: str
    sha256: str
    checked_against: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the inventory. detail: for READY a description, otherwise the problem and what to do."""

    id: str
    title: str
    origin: str
    state: State
    detail: str
    files: tuple[FileRecord, ...] = ()

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def take_inventory(resources: Resources) -> tuple[Entry, ...]:
    """Built-in and installed segmentation models, shape models, and sources that are not installed.

    Reads every weights file once to compute its digest. Raises ModelError if a list of sources cannot be read.
    """
    segmenters = every_model(resources)
    entries = [_segmenter(entry, resources) for entry in segmenters]
    entries.append(_built_in_shape(built_in_shapes()[0]))
    shapes = installed_shapes(resources)
    entries += [_shape(shape) for shape in shapes]
    here = {f"{FOLDER}/{shape.name}" for shape in shapes} | {entry.card.id for entry in segmenters}
    entries += [_missing(source) for name, source in read_sources(resources.models_dir).items() if name not in here]
    return tuple(entries)


def _segmenter(entry: Segmenter, resources: Resources) -> Entry:
    card, reason = entry.card, entry.availability().reason
    detail = card.description
    if model(card.id, resources).card.source != card.source:
        detail += " Not used: an installed model of this id takes precedence."
    files = [file for file in entry.files() if file.path.is_file()]
    records = tuple(
        FileRecord(name=file.name, sha256=digest_of(file.path), checked_against=file.stated_in) for file in files
    )
    for file, record in zip(files, records, strict=True):
        if file.sha256 not in ("", record.sha256):
            reason = f"{file.name} has another SHA-256 than {file.stated_in} names ({file.sha256[:12]}…)."
    return Entry(
        id=card.id,
        title=card.title,
        origin=card.source,
        state=State.BROKEN if reason else State.READY,
        detail=reason or detail,
        files=records,
    )


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
    files, wrong = _checked(model.folder, model.files)
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
    """Digests of weights files, and a problem according to SHA256SUMS in their folder ("" if there is none)."""
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
