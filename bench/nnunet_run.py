"""nnU-Net's side of the comparison; runs in a separate environment (created by bench/nnunet.py).

    .venv-nnunet/bin/python -m bench.nnunet_run FOLDER

FOLDER/image.npy is a scan (a, b, c) in the network's axes, FOLDER/request.json the settings. Writes the labels (a, b,
c) uint8 of every requested mirroring as FOLDER/NAME.npy, and the cost of each, from image in memory to labels, to
FOLDER/costs.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from training.knee_unet.export import read_parameters
from training.knee_unet.network import KneeUNet, load_parameters

CONFIGURATION = "3d_fullres"


def plans(resolution_mm: float, window_voxels: int) -> dict[str, Any]:
    """The plans file of nnU-Net's planner with our resolution and window; otherwise its defaults."""
    image: dict[str, Any] = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    resample = "resample_data_or_seg_to_shape"
    return {
        "dataset_name": "Dataset001_Knee",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [resolution_mm] * 3,
        "original_median_shape_after_transp": [window_voxels] * 3,
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [window_voxels] * 3,
                "median_image_size_in_voxels": [window_voxels] * 3,
                "spacing": [resolution_mm] * 3,
                "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": resample,
                "resampling_fn_data_kwargs": image,
                "resampling_fn_seg": resample,
                "resampling_fn_seg_kwargs": image | {"is_seg": True, "order": 1},
                "resampling_fn_probabilities": resample,
                "resampling_fn_probabilities_kwargs": image | {"order": 1},
                "batch_dice": False,
                "architecture": {"network_class_name": "", "arch_kwargs": {}, "_kw_requires_import": []},
            }
        },
    }


def predictor_of(request: dict[str, Any]) -> nnUNetPredictor:
    """nnU-Net's predictor with its defaults and our network."""
    network = KneeUNet()
    load_parameters(network, read_parameters(Path(request["weights"])))
    network.eval()
    manager = PlansManager(plans(request["resolution_mm"], request["window_voxels"]))
    dataset = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0} | request["labels"],
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network,
        manager,
        manager.get_configuration(CONFIGURATION),
        [network.state_dict()],
        dataset,
        "nnUNetTrainer",
        (0, 1, 2),
    )
    return predictor


def main(folder: Path) -> None:
    """Predict once for every mirroring."""
    request = json.loads((folder / "request.json").read_text())
    torch.set_num_threads(request["threads"])
    image = np.load(folder / "image.npy")[None]
    predictor = predictor_of(request)
    costs = {}
    for name, axes in request["mirrored_axes"].items():
        predictor.allowed_mirroring_axes = tuple(axes)
        wall, cpu = time.perf_counter(), time.process_time()
        labels = predictor.predict_single_npy_array(image, {"spacing": request["spacing_mm"]})
        costs[name] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        np.save(folder / f"{name}.npy", labels.astype(np.uint8))
    (folder / "costs.json").write_text(json.dumps(costs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
