"""The files of an nnU-Net v2 folder and the content of its JSON files. Loads no inference runtime."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.anatomy import DOSMA, NUMBERINGS, Numbering, names_both_compartments, structure_of
from pipeline.errors import ModelError
from pipeline.grid import axes_of
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.identity import INSTALLED

FAMILY: Final = "nnunet_v2"
PLANS: Final = "plans.json"
DATASET: Final = "dataset.json"
PREVIOUS_STAGE: Final = "previous_stage"
"""Subfolder with the first network of a cascade."""

SAGITTAL_AXES: Final = "RIP"
"""Array axes of a sagittal series as read by SimpleITK and used by nnU-Net in training: slices from left to right, rows
downwards, columns towards posterior."""

NUMBERED_AS: Final = DOSMA
"""The numbering of a model that does not name its labels."""

_CLASS: Final = r"[A-Z][A-Za-z0-9]*"
_NETWORKS: Final = rf"dynamic_network_architectures\.(architectures|building_blocks)\.[a-z][a-z0-9_]*\.{_CLASS}"
_RESAMPLING: Final = re.compile(r"(no_)?resampl[a-z_]+")
_CODE: Final = {
    "network_class_name": re.compile(_NETWORKS),
    "arch_kwargs": re.compile(rf"torch\.nn\.(modules\.[a-z]+\.)?{_CLASS}|{_NETWORKS}"),
    "UNet_class_name": re.compile(_CLASS),
    "preprocessor_name": re.compile(rf"{_CLASS}Preprocessor"),
    "normalization_schemes": re.compile(rf"({_CLASS})?Normalization"),
    "label_manager": re.compile(rf"({_CLASS})?LabelManager"),
    "image_reader_writer": re.compile(rf"{_CLASS}IO[A-Za-z0-9]*"),
    "resampling_fn_data": _RESAMPLING,
    "resampling_fn_seg": _RESAMPLING,
    "resampling_fn_probabilities": _RESAMPLING,
}
"""Key of plans.json -> the names that it may have. All except the first two are names inside nnU-Net's own modules."""

_SHOWN: Final = 80
"""Maximum length of a name of the file in a message."""

_IGNORED: Final = "ignore"
"""nnU-Net's name for voxels excluded from training; never predicted."""


def numbering_of(labels: Mapping[str, object]) -> tuple[dict[int, str], Numbering]:
    """From `labels` of a dataset.json (name -> number): number -> name, and the canonical structure of each.

    Labels without a descriptive name (`3`, `label_3`) are read in DOSMA's numbering. Raises ModelError if a label is a
    region of several values or unknown, or if two have the same meaning.
    """
    native: dict[int, str] = {}
    for name, value in labels.items():
        if not isinstance(value, (int, str)) or isinstance(value, bool) or not str(value).isdigit():
            raise ModelError(f"Label {name!r} in dataset.json is {value!r}; expected one whole number.")
        if int(value) != 0 and name != _IGNORED:
            native[int(value)] = name
    if not native:
        raise ModelError("dataset.json declares no labels; expected those of a knee.")
    if all(re.fullmatch(r"(label|class|structure)?[\s_-]*\d+", name.lower()) for name in native.values()):
        known = NUMBERINGS[NUMBERED_AS]
        if beyond := sorted(set(native) - set(known.to_canonical)):
            raise ModelError(f"dataset.json numbers labels {beyond} without a name; expected 1 to 9 or names.")
        return native, known
    meaning = {number: structure_of(name) for number, name in native.items()}
    if unknown := sorted(native[number] for number, structure in meaning.items() if structure is None):
        raise ModelError(
            f"dataset.json has unknown labels: {', '.join(unknown)}.",
            hint="Name them like `medial tibial cartilage` or `femur`.",
        )
    if len(set(meaning.values())) < len(meaning):
        raise ModelError("dataset.json gives two labels the same meaning; expected each structure once.")
    both = any(names_both_compartments(name) for name in native.values())
    return native, Numbering(
        id="dataset.json", title="As named in dataset.json", to_canonical=meaning, compartments_apart=not both
    )


def read_json(path: Path) -> dict[str, object]:
    """A JSON object. Raises ModelError if it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of the installed model cannot be read: {type(error).__name__}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of the installed model is not a JSON object.")
    return data


def read_plans(folder: Path) -> dict[str, object]:
    """plans.json. Raises ModelError if it cannot be read, or names code outside of nnU-Net and of torch's layers.

    nnU-Net imports the modules and classes that a plans file names.
    """
    plans: dict[str, Any] = read_json(folder / PLANS)
    try:
        settings = [plans, *plans.get("configurations", {}).values()]
        named = [(key, value) for part in settings for key, value in _named_code(part)]
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{PLANS} has another structure than nnU-Net v2 writes.") from error
    for key, value in named:
        if not _CODE[key].fullmatch(value):
            raise ModelError(
                f"{key} in {PLANS} names {value[:_SHOWN]!r}, which is neither part of nnU-Net v2 nor a layer of torch.",
                hint="Take the folder from its source again. Networks of other packages cannot be used.",
            )
    return dict(plans)


def _named_code(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every name in plans.json, or in one of its configurations, that nnU-Net resolves to code."""
    for key in _CODE.keys() & part.keys():
        values = part[key] if isinstance(part[key], list) else [part[key]]
        yield from ((key, str(value)) for value in values)
    network = part.get("architecture") or {}
    if "network_class_name" in network:
        yield "network_class_name", str(network["network_class_name"])
    layers = network.get("arch_kwargs") or {}
    yield from (
        ("arch_kwargs", str(layers[key])) for key in network.get("_kw_requires_import") or () if layers[key] is not None
    )


def checkpoints(folder: Path) -> tuple[Path, ...]:
    """The trained folds of an nnU-Net v2 folder, in the order of their names."""
    return tuple(sorted(folder.glob("fold_*/checkpoint_final.pth")))


def deciding_files(folder: Path) -> tuple[Path, ...]:
    """Every file that affects a result: plans, labels and folds, including those of a cascade's first stage."""
    own = tuple(path for name in (PLANS, DATASET) if (path := folder / name).is_file())
    first = folder / PREVIOUS_STAGE
    return (*own, *checkpoints(folder), *(deciding_files(first) if first.is_dir() else ()))


def axes_in(dataset: Mapping[str, object]) -> str:
    """The axis code (orientation.py) of a dataset.json. Raises ModelError if it is invalid."""
    axes = str(dataset.get("axes", SAGITTAL_AXES))
    try:
        axes_of(axes)
    except ValueError as error:
        raise ModelError(f'"axes" in {DATASET}: {error}.') from error
    return axes


def nnunet_card(folder: Path, model_id: str) -> ModelCard:
    """The card of an nnU-Net v2 folder, from plans.json and dataset.json.

    Raises ModelError if a file is missing, a label cannot be mapped, or the model needs more than one image.
    """
    dataset: dict[str, Any] = read_json(folder / DATASET)
    plans = read_plans(folder)
    native, numbering = numbering_of(dataset.get("labels") or {})
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    if len(channels) != 1:
        raise ModelError(f"The installed model {model_id} takes {len(channels)} images; expected 1.")
    axes_in(dataset)
    return ModelCard(
        id=model_id,
        title=f"{plans.get('dataset_name') or dataset.get('name') or 'Unnamed model'} (nnU-Net v2, installed here)",
        family=FAMILY,
        source=INSTALLED,
        description=str(dataset.get("description", "")) or "Weights that this server's operator installed.",
        native_labels=native,
        native_to_canonical=numbering,
        licence=str(dataset.get("licence") or dataset.get("license") or "as supplied with the weights"),
        citation=str(dataset.get("reference") or ""),
        training_data=f"{dataset['numTraining']} images" if "numTraining" in dataset else "",
    )


def unreadable_card(model_id: str) -> ModelCard:
    """The card of a folder whose JSON files cannot be used."""
    return ModelCard(
        id=model_id,
        title=f"{model_id} (nnU-Net v2, installed here, cannot be read)",
        family=FAMILY,
        source=INSTALLED,
        description="Repair or remove its files: until then no analysis can run with it.",
        native_labels={},
        native_to_canonical=NUMBERINGS[NUMBERED_AS],
    )
