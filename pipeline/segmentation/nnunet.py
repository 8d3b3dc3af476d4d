"""Weights in an nnU-Net v2 folder, through the nnunetv2 package (an optional extra).

nnU-Net does the resampling and tiling, and brings class scores, not labels, back to the scan's grid. This module brings
the image into the axes used in training.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.checkpoint_file import read_checkpoint
from pipeline.errors import ModelError, OutOfMemory, WeightsCorrupt, WeightsMissing
from pipeline.segmentation.nnunet_files import DATASET, PREVIOUS_STAGE, axes_in, checkpoints, read_json, read_plans
from pipeline.segmentation.orientation import nearest_order
from pipeline.segmentation.runtime import thread_count
from pipeline.types import Resources, Scan

NEEDED: Final = frozenset({"network_weights", "trainer_name", "init_args"})
"""Keys of a checkpoint."""

TRAINER: Final = re.compile(r"nnUNetTrainer\w{0,80}")
"""The package imports the class of this name from its own modules."""


def native_labels(
    folder: Path, scan: Scan, resources: Resources, on_progress: Callable[[float], None]
) -> NDArray[np.uint8]:
    """(z, y, x) labels in the network's numbering, from an nnU-Net v2 folder.

    Raises WeightsMissing, WeightsCorrupt, OutOfMemory or another ModelError.
    """
    order = nearest_order(scan.grid, axes_in(read_json(folder / DATASET)))
    image = np.ascontiguousarray(order.to_network(scan.anatomical))[None]
    spacing = order.spacing_mm(scan.grid)
    with (
        _translated_failures(),
        redirect_stdout(io.StringIO()),
    ):  # the package prints
        native = predict(folder, image, spacing, resources, on_progress)
    return np.ascontiguousarray(order.from_network(native.astype(np.uint8)))


def facts(resources: Resources) -> dict[str, object]:
    """The runtime of the network, for provenance. Raises ModelError if DEVICE is unavailable."""
    device = _device(resources)
    return {
        "runtime": f"nnunetv2 {version('nnunetv2')}, torch {version('torch')}",
        "provider": str(device),
        "threads": thread_count(resources),
        "mirrored_at_test_time": device.type == "cuda",
    }


def _device(resources: Resources) -> Any:
    import torch

    if resources.device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if resources.device == "cuda":
        raise ModelError("DEVICE is cuda, but torch finds no CUDA device.", hint="Set DEVICE=cpu or auto.")
    return torch.device("cpu")


@contextmanager
def _translated_failures() -> Iterator[None]:
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemory(
            "nnU-Net ran out of memory.", hint="Run fewer analyses at once, or set DEVICE=cpu."
        ) from error
    except (
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
        ArithmeticError,
        ImportError,
    ) as error:
        raise ModelError(
            f"nnU-Net failed: {type(error).__name__}.",
            hint="Check the major version of nnU-Net used for training.",
        ) from error


def predict(
    folder: Path,
    image: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    resources: Resources,
    on_progress: Callable[[float], None],
) -> NDArray[np.generic]:
    """(1, a, b, c) in the network's axes -> native labels (a, b, c)."""
    import torch

    torch.set_num_threads(thread_count(resources))
    predictor = _predictor(folder, _device(resources))
    previous: NDArray[Any] | None = None
    share = 0.0
    if predictor.configuration_manager.previous_stage_name is not None:
        first = folder / PREVIOUS_STAGE
        if not checkpoints(first):
            raise WeightsMissing(
                "The installed model is the second stage of a cascade; its first stage is missing.",
                hint=f"Put that model's folder into {PREVIOUS_STAGE}/ of this one.",
            )
        share = 0.5
        answer = predict(first, image, spacing_mm, resources, lambda done: on_progress(share * done))
        previous = answer[None].astype(np.int16)  # nnU-Net marks voxels outside the image with -1
    _report_tiles(predictor, lambda done: on_progress(share + (1 - share) * done))
    labels: NDArray[Any] = predictor.predict_single_npy_array(image, {"spacing": list(spacing_mm)}, previous)
    return labels


def _report_tiles(predictor: Any, on_progress: Callable[[float], None]) -> None:
    """nnU-Net has no callback: progress is the number of network calls relative to the planned tiles."""
    plan = predictor._internal_get_sliding_window_slicers
    mirrored = len(predictor.allowed_mirroring_axes or ()) if predictor.use_mirroring else 0
    done, total = 0, 0

    def planned(size: tuple[int, ...]) -> Any:
        nonlocal total
        tiles = plan(size)
        total = len(tiles) * 2**mirrored * len(predictor.list_of_parameters)
        return tiles

    def on_call(*_: object) -> None:
        nonlocal done
        done += 1
        on_progress(min(1.0, done / max(total, 1)))

    predictor._internal_get_sliding_window_slicers = planned
    predictor.network.register_forward_hook(on_call)


def _predictor(folder: Path, device: Any) -> Any:
    """nnU-Net's predictor with every trained fold. Mirroring (eight times the work) is used only on a GPU."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    loaded = [_load_checkpoint(path) for path in checkpoints(folder)]
    dataset, plans = read_json(folder / DATASET), PlansManager(read_plans(folder))
    configuration = plans.get_configuration(loaded[0]["init_args"]["configuration"])
    trainer = loaded[0]["trainer_name"]
    network = recursive_find_trainer_class_by_name(trainer).build_network_architecture(
        plans,
        configuration,
        determine_num_input_channels(plans, configuration, dataset),
        plans.get_label_manager(dataset).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    network.load_state_dict(loaded[0]["network_weights"])
    predictor = nnUNetPredictor(use_mirroring=device.type == "cuda", device=device, allow_tqdm=False)
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        [checkpoint["network_weights"] for checkpoint in loaded],
        dataset,
        trainer,
        loaded[0].get("inference_allowed_mirroring_axes"),
    )
    return predictor


def _load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of one fold, tensors as torch's; no code of the file is executed.

    Raises WeightsCorrupt if the file is damaged, contains more than weights, or is not a checkpoint of nnU-Net v2.
    """
    import torch

    name = f"{path.parent.name}/{path.name}"
    checkpoint: dict[str, Any] = dict(read_checkpoint(path, name))
    if not set(checkpoint) >= NEEDED or not isinstance(checkpoint["network_weights"], Mapping):
        raise WeightsCorrupt(f"{name} is not a checkpoint of nnU-Net v2; expected {', '.join(sorted(NEEDED))} in it.")
    if not TRAINER.fullmatch(str(checkpoint["trainer_name"])):
        raise WeightsCorrupt(f"{name} names a trainer that is none of nnU-Net v2; expected nnUNetTrainer or a variant.")
    weights = {key: torch.from_numpy(values) for key, values in checkpoint["network_weights"].items()}
    return checkpoint | {"network_weights": weights}
