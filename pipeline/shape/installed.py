"""The available shape models: the folders of MODELS_DIR/nsm, then the built-in one.

Reads only their small files; weights are read by `load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.digest import expected_digests, sha256_of
from pipeline.errors import KneeError, ModelError, WeightsCorrupt
from pipeline.options import NsmType
from pipeline.shape.built_in.model import BuiltInShape, built_in_shapes
from pipeline.shape.score import BScoreModel, find_score, read_score
from pipeline.shape.settings import NetworkSettings, read_settings
from pipeline.types import Resources

if TYPE_CHECKING:
    from pipeline.shape.decoder import ShapeDecoder

FOLDER: Final = "nsm"
"""Inside MODELS_DIR."""

CONFIG_NAMES: Final = ("model_config.json", "model_params_config.json")
"""Names of the same file in published folders."""

KINDS: Final = {1: "bone_only", 2: "bone_and_cart"}
"""Number of surfaces of a model -> the value of nsm_type that selects it."""


@dataclass(frozen=True, kw_only=True)
class InstalledShape:
    """One folder. problem: why it cannot be used; "" if it can. With a problem, other fields may be incomplete.

    files: every file that was read for it, the checkpoint included
    """

    name: str
    folder: Path
    settings: NetworkSettings | None
    checkpoint: Path | None
    score: BScoreModel | None
    problem: str = ""
    files: tuple[Path, ...] = ()

    @property
    def kind(self) -> str:
        """`bone_only`, `bone_and_cart`, or "" if model_config.json could not be read."""
        return KINDS[self.settings.objects] if self.settings else ""

    @property
    def sha256(self) -> str:
        return sha256_of(self.checkpoint) if self.checkpoint else ""


def installed_shapes(resources: Resources) -> tuple[InstalledShape, ...]:
    """Every folder of MODELS_DIR/nsm, by name; unusable ones state the reason."""
    if resources.models_dir is None or not (resources.models_dir / FOLDER).is_dir():
        return ()
    folders = sorted(path for path in (resources.models_dir / FOLDER).iterdir() if path.is_dir())
    return tuple(_look_at(folder) for folder in folders if not folder.name.startswith("."))


def chosen_shapes(kind: NsmType, resources: Resources) -> tuple[InstalledShape | BuiltInShape, ...]:
    """The usable models for nsm_type: per kind the first installed one by name, else the built-in one."""
    wanted = ("bone_and_cart", "bone_only") if kind == "both" else (kind,)
    models: tuple[InstalledShape | BuiltInShape, ...] = (*installed_shapes(resources), *built_in_shapes())
    usable = [model for model in models if not model.problem]
    found = (next((model for model in usable if model.kind == name), None) for name in wanted)
    return tuple(model for model in found if model is not None)


def unused_shapes(kind: NsmType, resources: Resources) -> tuple[str, ...]:
    """Reasons why installed models selected by nsm_type, or of unknown kind, cannot be used."""
    wanted = ("", "bone_and_cart", "bone_only") if kind == "both" else ("", kind)
    models = (model for model in installed_shapes(resources) if model.problem and model.kind in wanted)
    return tuple(f"Shape model {model.name} cannot be used: {model.problem}" for model in models)


def why_none(kind: NsmType, resources: Resources) -> str:
    """The reason why `chosen_shapes` is empty."""
    problems = [model.problem for model in built_in_shapes() if model.problem][:1]
    return " ".join(("no shape model can be used.", *problems, *unused_shapes(kind, resources)))


def require_genuine(model: InstalledShape) -> None:
    """Raises WeightsCorrupt if the digest of a file differs from that in SHA256SUMS."""
    try:
        expected = expected_digests(model.folder)
    except (OSError, ValueError) as error:
        raise WeightsCorrupt(f"Shape model {model.name}: SHA256SUMS cannot be read: {error}.") from error
    for path in model.files:
        stated = expected.get(path.relative_to(model.folder).as_posix())
        if stated is not None and (found := sha256_of(path)) != stated:
            raise WeightsCorrupt(
                f"{path.name} of model {model.name} has SHA-256 {found[:12]}…; SHA256SUMS expects {stated[:12]}….",
                hint="Fetch them again.",
            )


def load(model: InstalledShape) -> ShapeDecoder:
    """The network with its weights, a `decoder.ShapeDecoder`. Raises ModelError, WeightsMissing or WeightsCorrupt."""
    from pipeline.shape.checkpoint import read_weights
    from pipeline.shape.decoder import ShapeDecoder

    if model.problem or model.settings is None or model.checkpoint is None:
        raise ModelError(f"Shape model {model.name}: {model.problem}")
    require_genuine(model)
    try:
        return ShapeDecoder(model.settings, read_weights(model.checkpoint))
    except KeyError as error:
        raise WeightsCorrupt(
            f"Shape model {model.name}: {model.checkpoint.name} has no tensor {error}; model_config.json requires it."
        ) from error
    except ValueError as error:
        raise WeightsCorrupt(
            f"Shape model {model.name}: {error}.", hint="Check that both files belong to the same model."
        ) from error


def _look_at(folder: Path) -> InstalledShape:
    settings, checkpoint, score = None, None, None
    files: list[Path] = []
    try:
        files.append(_config(folder))
        settings = read_settings(files[-1])
        checkpoint = _checkpoint(folder)
        files.append(checkpoint)
        if path := find_score(folder):
            files.append(path)
            score = read_score(path, settings.latent_size)
        problem = ""
    except KneeError as error:
        problem = error.message
    return InstalledShape(
        name=folder.name,
        folder=folder,
        settings=settings,
        checkpoint=checkpoint,
        score=score,
        problem=problem,
        files=tuple(files),
    )


def _config(folder: Path) -> Path:
    for name in CONFIG_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"There is no {CONFIG_NAMES[0]} in the folder.")


def _checkpoint(folder: Path) -> Path:
    """The only .pth in the folder or in model/, or the last of several numbered ones (epochs)."""
    found = sorted((*folder.glob("*.pth"), *folder.glob("model/*.pth")))
    if not found:
        raise ModelError("There is no .pth checkpoint in the folder, nor in its subfolder model.")
    if len(found) > 1 and not all(path.stem.isdigit() for path in found):
        raise ModelError(f"There are {len(found)} .pth files in the folder; expected one.")
    return max(found, key=lambda path: int(path.stem) if path.stem.isdigit() else 0)
